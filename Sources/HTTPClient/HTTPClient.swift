import CCurl
import ParleyRuntime

/// Requests over HTTP/1.1 and, where a server offers it under TLS, HTTP/2, by libcurl on an event loop.
///
/// Connections are kept and shared by later requests. Redirects are not followed and nothing is asked twice, with
/// libcurl's one exception: a request on a kept connection that the server had closed meanwhile goes out again.
/// Proxies come from the environment (`https_proxy`, `no_proxy`), as for curl.
public actor HTTPClient: LoopActor {
  public nonisolated let loop: EventLoop
  private let options: HTTPClientOptions
  private let waiting: Waiters<Result<HTTPResponse, HTTPFailure>>
  private var handle: CurlHandle?

  /// Makes a client on `loop`; nothing is opened before the first request.
  public init(loop: EventLoop, options: HTTPClientOptions = HTTPClientOptions()) {
    self.loop = loop
    self.options = options
    waiting = Waiters(loop: loop)
  }

  /// Sends a request and waits for the whole answer; the first of answer, `deadline` and cancellation counts.
  ///
  /// Any status is an answer. Must not be called after `close()`.
  public func send(_ request: HTTPRequest, deadline: LoopInstant) async throws(HTTPFailure) -> HTTPResponse {
    guard loop.now < deadline else { throw HTTPFailure(.timedOut, cause: "the deadline had passed already") }
    let ticket = waiting.ticket()
    do throws(HTTPFailure) {
      let transfer = try CurlTransfer(request, ticket: ticket, options: options)
      try openHandle().start(transfer)
    } catch {
      waiting.forget(ticket)
      throw error
    }
    let outcome = await waiting.wait(ticket, until: deadline)
    if case .value(let result) = outcome { return try result.get() }
    let isCancelled = if case .cancelled = outcome { true } else { false }
    // Freed only here: the wait may end in the middle of libcurl's callbacks, never this code.
    let mayHaveArrived = handle?.remove(ticket)?.mayHaveArrived ?? true
    throw isCancelled
      ? HTTPFailure(.cancelled, mayHaveArrived: mayHaveArrived, cause: "the request was cancelled")
      : HTTPFailure(.timedOut, mayHaveArrived: mayHaveArrived, cause: "no answer within the time given")
  }

  /// Ends all requests as `closed` and closes every connection. A request after it opens new ones.
  public func close() {
    handle = nil
    waiting.resumeAll(.failure(HTTPFailure(.closed, mayHaveArrived: true, cause: "the client was closed")))
  }

  /// The version of libcurl, for example `7.88.1`; `missing` where it is not installed. Loads it.
  public static var libraryVersion: String { CurlLibrary.version }

  private func openHandle() throws(HTTPFailure) -> CurlHandle {
    if let handle { return handle }
    let waiting = waiting
    let made = try CurlHandle(loop: loop, options) { transfer, result in
      waiting.resume(transfer.ticket, transfer.outcome(result))
    }
    handle = made
    return made
  }
}
