import ParleyRuntime

/// One connection: commands out in pipeline, replies in the same order; confined to its loop.
///
/// A reply that is overdue ends it, as does whatever ends its stream: then everything unanswered fails with `lost`'s
/// error, first, and `lost` is called, once.
//
// @unchecked: confined to the loop's thread.
final class RedisConnection: @unchecked Sendable {
  typealias Reply = (Result<RedisReply, SeamError>) -> Void
  /// Takes a reply that is only lent.
  typealias Taker = (Result<ReplyView, SeamError>) -> Void

  private struct Pending {
    let deadline: LoopInstant
    let take: Taker
  }

  let loop: EventLoop
  let endpoint: Endpoint
  private let stream: ByteStream
  private let parser: RedisHandle
  private let timeout: Duration
  private let lost: (SeamError) -> Void

  private var pending: [Pending] = []
  private var head = 0
  private var watchdog: LoopTimer?
  private var lastHeard: LoopInstant
  private var ending: SeamError?
  /// Nothing has ended it.
  private(set) var isOpen = true
  private let answers: Waiters<Result<RedisReply, SeamError>>

  /// What the server told of itself when the connection was opened.
  private(set) var facts = ServerFacts()

  private init(
    stream: ByteStream, parser: consuming RedisHandle, timeout: Duration, lost: @escaping (SeamError) -> Void
  ) {
    loop = stream.loop
    endpoint = stream.endpoint
    self.stream = stream
    self.parser = parser
    self.timeout = timeout
    self.lost = lost
    lastHeard = stream.loop.now
    answers = Waiters(loop: stream.loop)
  }

  /// Connects, encrypts, authenticates, names itself and selects the database.
  static func open(
    to endpoint: Endpoint, as role: ConnectionRole, loop: EventLoop, timeout: Duration, until deadline: LoopInstant,
    lost: @escaping (SeamError) -> Void, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisConnection {
    guard let parser = RedisHandle() else {
      throw SeamError(.unavailable, operation: "connect to \(endpoint)", cause: "hiredis has no memory")
    }
    let cipher = try role.cipher(for: endpoint)
    let stream = try await ByteStream.connect(
      to: endpoint, loop: loop, until: deadline, cipher: cipher, queueLimit: queueLimit)
    let connection = RedisConnection(stream: stream, parser: parser, timeout: timeout, lost: lost)
    stream.start(
      onBytes: { [weak connection] in connection?.take($0) },
      onClose: { [weak connection] in connection?.end($0, tells: true) })
    do throws(SeamError) {
      connection.facts = try await ServerFacts.greet(connection, as: role, until: deadline)
    } catch {
      connection.close()
      throw error
    }
    return connection
  }

  // MARK: Commands

  /// Whether a command would be taken now.
  var hasRoom: Bool { stream.hasRoom }

  /// Unsent bytes from which on commands are refused; half of it must leave before there is room again.
  private static let queueLimit = 512 << 10

  /// Sends a command; `reply` is called once, on the loop. `patience` is how long its answer may take beyond the
  /// connection's time-out, for commands that block.
  func send(_ arguments: [String], patience: Duration = .zero, reply: @escaping Reply) {
    send(patience: patience, taking: { reply($0.map(\.copy)) }) { RESP.encode(arguments, into: &$0) }
  }

  /// Sends the one command that `encode` appends; `take` is called once, on the loop.
  func send(patience: Duration = .zero, taking take: @escaping Taker, _ encode: (inout [UInt8]) -> Void) {
    if !isOpen, let ending { return take(.failure(ending)) }
    guard stream.write(appending: encode) else {
      return take(
        .failure(
          SeamError(
            .unavailable, operation: "send to \(endpoint)",
            cause: "\(stream.queuedBytes) bytes wait to be taken by the server already")))
    }
    let deadline = loop.now.advanced(by: patience == .zero ? timeout : timeout + patience)
    pending.append(Pending(deadline: deadline, take: take))
    if watchdog == nil { watch() }
  }

  /// Sends a command and waits for its reply; error replies are values.
  func call(
    _ arguments: [String], patience: Duration = .zero, until deadline: LoopInstant,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisReply {
    try await reply(to: begin(arguments, patience: patience), arguments[0], until: deadline)
  }

  /// Sends a command whose reply is waited for later, so that several go out together.
  func begin(_ arguments: [String], patience: Duration = .zero) -> UInt64 {
    let ticket = answers.ticket()
    send(arguments, patience: patience) { [weak self] in self?.answers.resume(ticket, $0) }
    return ticket
  }

  /// Waits for the reply to a command that was begun.
  func reply(
    to ticket: UInt64, _ name: String, until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisReply {
    switch await answers.wait(ticket, until: deadline) {
    case .value(let result): return try result.get()
    case .timedOut:
      throw SeamError(.timedOut, operation: name, cause: "\(endpoint) did not answer before the deadline")
    case .cancelled: throw SeamError(.cancelled, operation: name, cause: "the caller cancelled")
    }
  }

  /// Gives up the reply to a command that was begun.
  func forget(_ ticket: UInt64) { answers.forget(ticket) }

  /// Waits until the stream's queue has room; false when it has none by the deadline.
  func room(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async -> Bool {
    await stream.room(until: deadline)
  }

  // MARK: Replies

  private func take(_ bytes: RawSpan) {
    lastHeard = loop.now
    do throws(RedisHandle.ProtocolFailure) {
      var start = 0
      while start < bytes.byteCount {
        let end = min(bytes.byteCount, start + RedisHandle.fedAtOnce)
        try parser.feed(bytes.extracting(start..<end))
        start = end
        while isOpen, try parser.next({ answer($0) }) {}
      }
    } catch {
      let cause = "what the server sends is not Redis' protocol (\(error.text))"
      stream.close()
      end(SeamError(.unavailable, operation: "read from \(endpoint)", cause: cause), tells: true)
    }
  }

  private func answer(_ reply: ReplyView) {
    guard head < pending.count else { return }
    let waiting = pending[head]
    head += 1
    if head == pending.count {
      pending.removeAll(keepingCapacity: pending.capacity <= 4096)
      head = 0
    } else if head > 1024, head > pending.count / 2 {
      pending.removeFirst(head)
      head = 0
    }
    waiting.take(.success(reply))
  }

  /// Replies come in order, so the oldest deadline is the next one that matters; looked at when it is due, not moved
  /// with every reply.
  private func watch() {
    guard head < pending.count, isOpen else { return watchdog = nil }
    // A long reply over a slow network is no silence.
    let deadline = max(pending[head].deadline, lastHeard.advanced(by: timeout))
    guard deadline > loop.now else {
      stream.close()
      let seconds = "\(timeout.milliseconds) ms"
      return end(
        SeamError(
          .unavailable, operation: "wait for \(endpoint)", cause: "the server hangs: no answer within \(seconds)"),
        tells: true)
    }
    watchdog = loop.schedule(after: loop.now.duration(to: deadline)) { [weak self] in self?.watch() }
  }

  // MARK: Ending

  /// Closes it; what is unanswered fails as `unavailable`, and `lost` is not called.
  func close() {
    stream.close()
    end(SeamError(.unavailable, operation: "use \(endpoint)", cause: "the connection was closed"), tells: false)
  }

  /// Ends it as if the server had; for error replies after which nothing works any more.
  func fail(_ error: SeamError) {
    stream.close()
    end(error, tells: true)
  }

  private func end(_ error: SeamError, tells: Bool) {
    guard isOpen else { return }
    ending = error
    isOpen = false
    if let watchdog { loop.cancel(watchdog) }
    watchdog = nil
    let unanswered = pending[head...]
    pending = []
    head = 0
    for one in unanswered { one.take(.failure(error)) }
    if tells { lost(error) }
  }
}
