import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyNATS

let general = Topic("general")

func draft(_ content: String, topic: Topic = general, by handle: String = "coder", key: DraftKey? = nil) -> Draft {
  Draft(
    topic: topic, author: Author(handle: Handle(handle), instance: "\(handle)-1"), content: content,
    key: key ?? .generated("k-\(UInt64.random(in: 0 ... .max))"))
}

/// Runs `body` on a loop of its own with connected backends, and disconnects them.
func withBackends<Success: Sendable>(
  _ options: NATSOptions, count: Int = 1,
  _ body: @escaping @Sendable (EventLoop, [NATSBackend]) async throws -> Success
) async throws -> Success {
  let loop = try EventLoop.thread(named: "nats-test")
  defer { loop.stop() }
  return try await loop.spawn { () async -> Result<Success, any Error> in
    let backends = (0..<count).map { _ in NATSBackend(loop: loop, options: options) }
    let result: Result<Success, any Error>
    do {
      for backend in backends { try await backend.connect { _ in } }
      result = .success(try await body(loop, backends))
    } catch {
      result = .failure(error)
    }
    for backend in backends { await backend.disconnect() }
    return result
  }.value.get()
}

/// The seam's error that connecting with these options ends with; nil where it succeeds.
func connectFailure(_ options: NATSOptions) async throws -> SeamError? {
  do {
    try await withBackends(options) { _, _ in }
    return nil
  } catch let error as SeamError {
    return error
  }
}

extension NATSBackend {
  func soon(_ seconds: Int = 10) -> LoopInstant { loop.now.advanced(by: .seconds(seconds)) }

  @discardableResult
  func post(_ draft: Draft) async throws(SeamError) -> Receipt { try await post(draft, deadline: soon()) }

  func fetch(_ request: FetchRequest) async throws(SeamError) -> Page { try await fetch(request, deadline: soon()) }
}

/// A recorder that waits for so many messages.
struct DeliveryLog: Sendable {
  let recorder: DeliveryRecorder
  private let loop: EventLoop

  init(_ loop: EventLoop) {
    self.loop = loop
    recorder = DeliveryRecorder(loop: loop)
  }

  var sink: Sink { recorder.sink }

  func wait(for count: Int, seconds: Int = 10, isolation: isolated (any Actor)? = #isolation) async -> Bool {
    await recorder.wait(until: loop.now.advanced(by: .seconds(seconds))) { $0.messages.count >= count }
  }
}
