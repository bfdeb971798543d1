import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// One request of a stateless revision, with a session of its own that ends with it. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class StatelessCall: ReplyPath, @unchecked Sendable {
  private let reply: ReplyStream
  let trace: TraceContext?
  private var session: Session?
  private var subscriptions: ResourceSubscriptions?
  private let ended: (StatelessCall) -> Void

  init(reply: ReplyStream, trace: TraceContext?, ended: @escaping (StatelessCall) -> Void) {
    self.reply = reply
    self.trace = trace
    self.ended = ended
  }

  func begin(_ session: Session, _ subscriptions: ResourceSubscriptions, _ message: JSONSlice) {
    self.session = session
    self.subscriptions = subscriptions
    session.assumeIsolated { $0.receive(message, over: self) }
    if self.session != nil { reply.wait() }
  }

  /// What this call wants to hear of.
  var listening: ResourceSubscriptions? { subscriptions }

  func congested(_ isCongested: Bool) {
    if isCongested { subscriptions?.congested() } else { subscriptions?.drained() }
  }

  func answer(_ message: [UInt8], failure: Int?) {
    reply.finish(Self.status(of: failure), message, event: EventText.message(message))
    finish()
  }

  func tell(_ message: [UInt8]) { reply.send(EventText.message(message)) }

  func cancelled() {
    reply.end(.refusal(HTTPRefusal(503, "unavailable", "the server ends")))
    finish()
  }

  /// The client closed the response's connection, which is how it cancels (revision 2026-07-28, "Cancellation").
  func gone() {
    reply.stopTimer()
    close()
  }

  /// Waits for the answer, at most until `deadline`; listening does not count.
  func settle(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async {
    await session?.settle(until: deadline)
  }

  /// The server ends: listeners are told, waiting calls end without an answer.
  func close() {
    guard let session else { return }
    session.assumeIsolated { $0.end() }
    finish()
  }

  private func finish() {
    guard session != nil else { return }
    session = nil
    ended(self)
    subscriptions = nil
  }

  /// Errors of the protocol itself have a status of their own; what a method refuses is an answer like any other.
  static func status(of failure: Int?) -> Int {
    switch failure.flatMap(RPCError.Code.init) {
    case .methodNotFound: 404
    case .parseError, .invalidRequest, .unsupportedProtocolVersion, .headerMismatch: 400
    default: 200
    }
  }
}
