import ParleyCoordination
import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// One session of the revisions with a handshake: its calls, its standing stream, and what a client that lost one of
/// its streams may get again. Confined to the loop.
///
/// A client that goes away does not cancel its calls (2025-11-25, "Sending messages to the server"): their answers wait
/// for it to resume.
//
// @unchecked: confined to the loop's thread.
final class LegacySession: @unchecked Sendable {
  /// The standing stream (GET) is number 0, each POST that becomes a stream has the next.
  private static let standing = 0
  /// What is kept for clients that resume.
  private static let logBytes = 256 << 10

  let id: String
  /// Whoever used it last: the same client and handle, perhaps by another token.
  var principal: Principal
  private let loop: EventLoop
  private let keepAlive: Duration
  private var session: Session?
  private var feed: ChannelFeed?
  private var subscriptions: ResourceSubscriptions?
  private var inbox: Inbox?
  private var tasks: Tasks?
  private var log = EventLog(limit: logBytes)
  private var lastStream = 0
  private var replies: [Int: LegacyReply] = [:]
  private var standingStream: ReplyStream?
  private var lastStanding = 0
  /// Up to here the events of the standing stream were given to a client.
  private var sentStanding = 0
  private var isInitialized = false
  /// Told when the standing stream is opened or lost.
  var streamChanged: (_ isOpen: Bool) -> Void = { _ in }
  /// Told once, when the session is over.
  var ended: () -> Void = {}
  private(set) var lastUse: LoopInstant
  private(set) var isOver = false
  /// The handshake's revision, as soon as it is known.
  var revision: Revision? { session?.assumeIsolated { $0.negotiatedRevision } }

  init(id: String, principal: Principal, loop: EventLoop, keepAlive: Duration) {
    self.id = id
    self.principal = principal
    self.loop = loop
    self.keepAlive = keepAlive
    lastUse = loop.now
  }

  /// Connects the parts; `setup` has this session's own hub, inbox and tasks.
  func begin(_ setup: SessionSetup, inbox: Inbox, feed: ChannelFeed, subscriptions: ResourceSubscriptions) {
    self.inbox = inbox
    tasks = setup.coordination.tasks
    self.feed = feed
    self.subscriptions = subscriptions
    session = Session(
      setup: setup, subscriptions: subscriptions, opened: { [weak self] in self?.initialized() },
      output: { [weak self] message in self?.tellStanding(message) })
    // Until there is a stream to tell them on, changes wait and are told once.
    subscriptions.congested()
  }

  /// Whether anybody is connected: a stream is open or a call is under way.
  var isInUse: Bool { standingStream?.isOpen == true || replies.values.contains { $0.isAttached } }

  // MARK: POST

  /// Takes a message, or a batch, that has at least one request in it.
  func take(_ message: JSONSlice, _ exchange: HTTPExchange) {
    lastUse = loop.now
    lastStream += 1
    let number = lastStream
    let primes = revision.map { $0 >= .november2025 } ?? false
    let opening = { primes ? EventText.priming(id: EventID(stream: number, number: 0).text) : EventText.keepAlive }
    let stream = ReplyStream(
      exchange, loop: loop, keepAlive: keepAlive, fields: [("Mcp-Session-Id", id)], opening: opening)
    let reply = LegacyReply(
      session: self, number: number, stream: stream, trace: TraceContext(exchange.head))
    replies[number] = reply
    exchange.onGone = { [weak reply] in reply?.detach() }
    session?.assumeIsolated { $0.receive(message, over: reply) }
    if stream.isOpen { stream.wait() }
  }

  /// Takes notifications and responses, which are not answered.
  func note(_ message: JSONSlice) {
    lastUse = loop.now
    session?.assumeIsolated { $0.receive(message, over: nil) }
  }

  /// Notes an event of a reply and says under which id it goes out.
  fileprivate func record(_ message: [UInt8], stream: Int, number: Int) -> String {
    log.append(message, stream: stream, number: number)
    return EventID(stream: stream, number: number).text
  }

  fileprivate func finished(_ reply: LegacyReply) { replies[reply.number] = nil }

  // MARK: GET

  /// Opens the standing stream, or goes on with the stream of an event.
  func listen(_ exchange: HTTPExchange, after last: EventID?) {
    lastUse = loop.now
    let fields: [(name: String, value: String)] = [("Mcp-Session-Id", id)]
    if let last, last.stream != Self.standing { return resume(exchange, after: last, fields) }
    standingStream?.end(HTTPResponse(200))
    let stream = ReplyStream(exchange, loop: loop, keepAlive: keepAlive, fields: fields)
    standingStream = stream
    exchange.onGone = { [weak self, weak stream] in
      stream?.stopTimer()
      guard let self, let stream, standingStream === stream else { return }
      leftStanding()
    }
    exchange.onCongestion = { [weak self] in self?.congested($0) }
    stream.open()
    let known = last.map { min($0.number, lastStanding) } ?? sentStanding
    for entry in log.events(of: Self.standing, after: known) {
      stream.send(EventText.message(entry.message, id: EventID(stream: entry.stream, number: entry.number).text))
    }
    sentStanding = lastStanding
    if isInitialized { feed?.open() }
    congested(false)
    streamChanged(true)
  }

  private func resume(_ exchange: HTTPExchange, after last: EventID, _ fields: [(name: String, value: String)]) {
    let stream = ReplyStream(exchange, loop: loop, keepAlive: keepAlive, fields: fields)
    stream.open()
    for entry in log.events(of: last.stream, after: last.number) {
      stream.send(EventText.message(entry.message, id: EventID(stream: entry.stream, number: entry.number).text))
    }
    guard let reply = replies[last.stream] else { return stream.end(HTTPResponse(200)) }
    exchange.onGone = { [weak reply] in reply?.detach() }
    reply.attach(stream)
  }

  private func initialized() {
    isInitialized = true
    if standingStream?.isOpen == true { feed?.open() }
  }

  /// Sends a message that belongs to no request, or keeps it for the next standing stream.
  func tellStanding(_ message: [UInt8]) {
    lastStanding += 1
    log.append(message, stream: Self.standing, number: lastStanding)
    guard let standingStream, standingStream.isOpen else { return }
    sentStanding = lastStanding
    standingStream.send(EventText.message(message, id: EventID(stream: Self.standing, number: lastStanding).text))
  }

  private func leftStanding() {
    standingStream = nil
    lastUse = loop.now
    congested(true)
    streamChanged(false)
  }

  private func congested(_ isCongested: Bool) {
    if isCongested {
      feed?.congested()
      subscriptions?.congested()
    } else {
      feed?.drained()
      subscriptions?.drained()
    }
  }

  // MARK: Ending

  /// Waits until its calls are answered, at most until `deadline`.
  func settle(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async {
    await session?.settle(until: deadline)
  }

  /// Ends the session: calls under way end without an answer, streams end. Returns its inbox, to be stopped.
  func end() -> Inbox? {
    guard !isOver else { return nil }
    isOver = true
    session?.assumeIsolated { $0.end() }
    for reply in replies.values { reply.cancelled() }
    standingStream?.end(HTTPResponse(200))
    standingStream = nil
    session = nil
    feed = nil
    subscriptions = nil
    if let tasks { loop.spawn { await tasks.stop() } }
    tasks = nil
    ended()
    return inbox
  }
}

/// The way back of one POST of a session. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class LegacyReply: ReplyPath, @unchecked Sendable {
  let number: Int
  let trace: TraceContext?
  private weak var session: LegacySession?
  private var stream: ReplyStream?
  private var lastEvent = 0
  private var isDone = false

  init(session: LegacySession, number: Int, stream: ReplyStream, trace: TraceContext?) {
    self.session = session
    self.trace = trace
    self.number = number
    self.stream = stream
  }

  var isAttached: Bool { stream?.isOpen == true }

  func attach(_ stream: ReplyStream) {
    self.stream?.end(HTTPResponse(200))
    self.stream = stream
  }

  /// The client has gone; what comes is kept for it.
  func detach() {
    stream?.stopTimer()
    stream = nil
  }

  func answer(_ message: [UInt8], failure: Int?) {
    guard !isDone else { return }
    isDone = true
    let id = record(message)
    stream?.finish(200, message, event: EventText.message(message, id: id))
    session?.finished(self)
  }

  func tell(_ message: [UInt8]) {
    guard !isDone else { return }
    let id = record(message)
    stream?.send(EventText.message(message, id: id))
  }

  func cancelled() {
    guard !isDone else { return }
    isDone = true
    // The client cancelled, and awaits no answer; or the session ends.
    stream?.end(HTTPResponse(202))
    session?.finished(self)
  }

  private func record(_ message: [UInt8]) -> String? {
    lastEvent += 1
    return session?.record(message, stream: number, number: lastEvent)
  }
}
