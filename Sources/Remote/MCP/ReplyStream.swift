import ParleyHTTPServer
import ParleyRuntime

/// The response to one POST: plain JSON where the answer comes soon, a stream of events where it takes longer or
/// something is to be told before it. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class ReplyStream: @unchecked Sendable {
  /// Longer than most calls take, and shorter than anyone would notice.
  private static let grace: Duration = .milliseconds(50)

  private let exchange: HTTPExchange
  private let loop: EventLoop
  private let keepAlive: Duration
  private let takesEvents: Bool
  private let takesJSON: Bool
  /// Lines that belong to whichever response it becomes.
  private let fields: [(name: String, value: String)]
  /// Written at the begin of a stream.
  private let opening: () -> [UInt8]
  private var timer: LoopTimer?

  init(
    _ exchange: HTTPExchange, loop: EventLoop, keepAlive: Duration, fields: [(name: String, value: String)] = [],
    opening: @escaping () -> [UInt8] = { EventText.keepAlive }
  ) {
    self.exchange = exchange
    self.loop = loop
    self.keepAlive = keepAlive
    self.fields = fields
    self.opening = opening
    takesEvents = exchange.head.accepts("text/event-stream")
    takesJSON = exchange.head.accepts("application/json")
  }

  /// The response's end has not been sent.
  var isOpen: Bool { !exchange.isOver }
  /// It has become a stream of events.
  var isStreaming: Bool { exchange.isStreaming }

  /// Becomes a stream when there is no answer soon, so that the client sees that its call is under way.
  func wait() {
    guard takesEvents, isOpen, !isStreaming else { return }
    timer = loop.schedule(after: Self.grace) { [weak self] in self?.open() }
  }

  /// Becomes a stream now; false where the client takes none.
  @discardableResult
  func open() -> Bool {
    guard isOpen else { return false }
    if isStreaming { return true }
    guard takesEvents else { return false }
    stopTimer()
    exchange.beginStream(200, fields: EventText.fields + fields)
    exchange.send(opening())
    beat()
    return true
  }

  /// Whole beats of the clock, so that streams that are quiet together say so in one turn of the loop: a thousand of them
  /// wake it once a second.
  private func beat() {
    let step = max(1, keepAlive.nanoseconds / 30)
    let now = loop.now.nanoseconds
    let due = (now + keepAlive.nanoseconds) / step * step
    timer = loop.schedule(after: .nanoseconds(due - now)) { [weak self] in
      guard let self, isOpen else { return }
      exchange.send(EventText.keepAlive)
      beat()
    }
  }

  /// Sends an event; dropped where the client takes none.
  func send(_ event: [UInt8]) {
    if open() { exchange.send(event) }
  }

  /// Ends the response with its last message: `event` where it is a stream.
  func finish(_ status: Int, _ message: [UInt8], event: @autoclosure () -> [UInt8]) {
    guard isOpen else { return }
    if isStreaming || (!takesJSON && open()) {
      exchange.send(event())
      exchange.endStream()
    } else {
      exchange.answer(.json(status, message, fields: fields))
    }
    stopTimer()
  }

  /// Ends the response without a message.
  func end(_ response: HTTPResponse) {
    guard isOpen else { return }
    if isStreaming { exchange.endStream() } else { exchange.answer(response) }
    stopTimer()
  }

  /// The client has gone.
  func stopTimer() {
    if let timer { loop.cancel(timer) }
    timer = nil
  }
}
