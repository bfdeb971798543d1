import ParleyRuntime

/// One bound session: requests with their answers, counted stanzas, and a watch over a server that falls silent;
/// confined to its loop.
//
// @unchecked: confined to the loop's thread.
final class XMPPSession: @unchecked Sendable {
  let loop: EventLoop
  let options: XMPPOptions
  let jid: JID
  let isResumed: Bool
  let mechanism: Mechanism
  /// The largest stanza that the server takes, where it says so.
  let largestStanza: Int?
  private let channel: StreamChannel
  private(set) var management: StreamManagement?

  private struct Request {
    let ticket: UInt64
    let from: JID?
  }

  private var requests: [String: Request] = [:]
  private let answers: Waiters<Result<XMLElement, SeamError>>
  private var lastRequest = 0
  private let prefix: String

  /// Answers that the server owes beside those to requests.
  private var owed = 0
  private var isAcknowledgementDue = false
  private var owesSince: LoopInstant?
  private var watchdog: LoopTimer?
  private var keepAlive: LoopTimer?
  /// The server asked for an acknowledgement, which leaves when this is due.
  private var acknowledgement: LoopTimer?

  /// An acknowledgement may wait so long (XEP-0198, section 4, lets it be withheld for a time). Prosody asks for one
  /// after each stanza, unless it waits for one, which costs it as much time as most of the message itself.
  private static let acknowledgesWithin = Duration.milliseconds(100)
  /// It waits no longer once there are so many: servers keep a bounded number (Prosody: 500).
  private static let acknowledgedAtOnce: UInt32 = 100

  /// Messages and presences, in the server's order.
  var onStanza: ((XMLElement) -> Void)?
  private let lost: (SeamError) -> Void
  private(set) var ending: SeamError?

  init(_ outcome: Negotiation.Outcome, options: XMPPOptions, loop: EventLoop, lost: @escaping (SeamError) -> Void) {
    self.loop = loop
    self.options = options
    self.lost = lost
    channel = outcome.channel
    jid = outcome.jid
    isResumed = outcome.isResumed
    mechanism = outcome.mechanism
    largestStanza = outcome.largestStanza
    management = outcome.management
    answers = Waiters(loop: loop)
    prefix = String(loop.random(), radix: 36)
  }

  /// Begins to hand over what comes.
  func start() {
    channel.goLive(
      onEvent: { [weak self] in self?.take($0) }, onEnd: { [weak self] in self?.end($0, tells: true) })
    stayAlive()
  }

  var isOpen: Bool { ending == nil }

  /// What may be resumed once this session was cut.
  var resumable: ResumableStream? {
    management.map { ResumableStream(management: $0, jid: jid, endedAt: loop.now) }
  }

  // MARK: Out

  /// Sends a stanza; its number where stanzas are counted. Throws `unavailable` where the session has ended or the
  /// server takes no more.
  @discardableResult
  func send(_ stanza: XMLElement) throws(SeamError) -> UInt32 { try send(bytes: stanza.bytes) }

  @discardableResult
  func send(bytes: [UInt8]) throws(SeamError) -> UInt32 {
    if let ending { throw ending }
    guard channel.send(bytes: bytes) else {
      throw SeamError(.unavailable, operation: "send", cause: "the server takes nothing: too much is queued already")
    }
    return management?.count() ?? 0
  }

  var hasRoom: Bool { channel.hasRoom }

  func room(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async -> Bool {
    await channel.room(until: deadline)
  }

  /// Sends an `iq` and waits for its answer, which counts only from whom was asked. Throws for an error answer.
  func request(
    _ type: String, to address: JID?, _ child: XMLElement, _ operation: String, until deadline: LoopInstant,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> XMLElement {
    let answer = try await ask(type, to: address, child, operation, until: deadline)
    guard answer["type"] == "result" else { throw SeamError(stanza: answer, operation: operation) }
    return answer
  }

  /// The same, with an error answer as a value.
  func ask(
    _ type: String, to address: JID?, _ child: XMLElement, _ operation: String, until deadline: LoopInstant,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> XMLElement {
    lastRequest += 1
    let id = "\(prefix)-\(lastRequest)"
    let stanza = XMLElement(
      "iq", Namespace.client, ["type": type, "id": id, "to": address?.description], children: [child])
    try send(stanza)
    let ticket = answers.ticket()
    requests[id] = Request(ticket: ticket, from: address)
    owe()
    switch await answers.wait(ticket, until: deadline) {
    case .value(let result): return try result.get()
    case .timedOut:
      requests[id] = nil
      throw SeamError(.timedOut, operation: operation, cause: "the server did not answer before the deadline")
    case .cancelled:
      requests[id] = nil
      throw SeamError(.cancelled, operation: operation, cause: "the caller cancelled")
    }
  }

  // MARK: In

  private func take(_ event: StreamEvent) {
    owesSince = nil
    defer { if isOwing { owe() } }
    switch event {
    case .opened: fail(SeamError(.unavailable, operation: "read the stream", cause: "the server opened it twice"))
    case .closed: fail(SeamError(.unavailable, operation: "read the stream", cause: "the server closed the stream"))
    case .stanza(let element):
      switch element.namespace {
      case Namespace.client:
        management?.received &+= 1
        if acknowledgement != nil, management?.isUnacknowledged(Self.acknowledgedAtOnce) == true { acknowledge() }
        if element.name == "iq" { takeRequest(element) } else { onStanza?(element) }
      case Namespace.management: takeManagement(element)
      case Namespace.streams where element.name == "error":
        fail(SeamError(stream: element, operation: "read the stream"))
      default: break
      }
    }
  }

  private func takeManagement(_ element: XMLElement) {
    switch element.name {
    case "r": acknowledgeSoon()
    case "a":
      isAcknowledgementDue = false
      guard let count = element["h"].flatMap({ UInt32($0) }), management?.acknowledge(count) ?? true else {
        return fail(SeamError(.unavailable, operation: "read the stream", cause: "the server counts wrongly"))
      }
    default: break
    }
  }

  /// The server asks what has come; one answer does for all that it asks until then.
  private func acknowledgeSoon() {
    guard acknowledgement == nil else { return }
    acknowledgement = loop.schedule(after: Self.acknowledgesWithin) { [weak self] in self?.acknowledge() }
  }

  private func acknowledge() {
    guard let acknowledgement, let count = management?.acknowledgeReceived() else { return }
    loop.cancel(acknowledgement)
    self.acknowledgement = nil
    channel.send(XMLElement("a", Namespace.management, ["h": String(count)]))
  }

  private func takeRequest(_ element: XMLElement) {
    let id = element["id"] ?? ""
    switch element["type"] {
    case "result", "error":
      guard let request = requests[id], answers(element, request.from) else { return }
      requests[id] = nil
      answers.resume(request.ticket, .success(element))
    case "get", "set":
      // Nobody else gets to know what is here (RFC 6120, section 8.2.3, wants an answer).
      let isPing = element["type"] == "get" && element.child("ping", Namespace.ping) != nil
      let isServer = answers(element, nil)
      var reply = XMLElement(
        "iq", Namespace.client, ["type": isPing && isServer ? "result" : "error", "id": id, "to": element["from"]])
      if reply["type"] == "error" {
        let condition = XMLElement("service-unavailable", Namespace.stanzaErrors)
        reply.children = [XMLElement("error", Namespace.client, ["type": "cancel"], children: [condition])]
      }
      _ = try? send(reply)
    default: break
    }
  }

  /// An answer counts only from the address that was asked; from the server itself it may come without one, or from our
  /// own account (RFC 6120, section 8.1.2.1).
  private func answers(_ element: XMLElement, _ asked: JID?) -> Bool {
    guard let from = element["from"].flatMap({ JID($0) }) else { return asked == nil }
    if let asked { return from == asked }
    return from == jid || from == jid.bare || from == JID(local: "", domain: options.domain)
  }

  // MARK: Watching

  private var isOwing: Bool { owed > 0 || !requests.isEmpty || isAcknowledgementDue }

  /// The server owes something that no request stands for: a reflection.
  func expect() {
    owed += 1
    owe()
  }

  /// It came, or is not waited for any more.
  func met() { owed -= 1 }

  private func owe() {
    guard owesSince == nil, isOpen else { return }
    owesSince = loop.now
    if watchdog == nil { watch() }
  }

  /// Looked at when it is due, not moved with every answer.
  private func watch() {
    watchdog = nil
    guard let since = owesSince, isOpen else { return }
    let due = since.advanced(by: options.timeout)
    guard due > loop.now else {
      return fail(
        SeamError(
          .unavailable, operation: "wait for the server",
          cause: "it hangs: nothing came within \(options.timeout.milliseconds) ms"))
    }
    watchdog = loop.schedule(after: loop.now.duration(to: due)) { [weak self] in self?.watch() }
  }

  /// Asks a server that has been silent for a sign of life.
  private func stayAlive() {
    let due = channel.lastReceived.advanced(by: options.pingInterval)
    if due <= loop.now {
      if management != nil {
        isAcknowledgementDue = channel.send(XMLElement("r", Namespace.management))
      } else {
        loop.spawn { [weak self] in await self?.pingServer() }
      }
      owe()
    }
    let pause = max(
      .milliseconds(50), loop.now.duration(to: due > loop.now ? due : loop.now.advanced(by: options.pingInterval)))
    keepAlive = loop.schedule(after: pause) { [weak self] in
      guard let self, isOpen else { return }
      stayAlive()
    }
  }

  private func pingServer() async {
    _ = try? await ask(
      "get", to: JID(local: "", domain: options.domain), XMLElement("ping", Namespace.ping), "ping",
      until: loop.now.advanced(by: options.timeout))
  }

  // MARK: Ending

  /// Says goodbye: the server forgets the session, and nothing of it can be resumed.
  func close() {
    guard isOpen else { return }
    // What is not acknowledged the server would send back to whom it came from.
    acknowledge()
    channel.send(text: "</stream:stream>")
    management?.resumption = nil
    channel.close()
    end(SeamError(.unavailable, operation: "use the session", cause: "disconnected"), tells: false)
  }

  private func fail(_ error: SeamError) {
    channel.close()
    end(error, tells: true)
  }

  private func end(_ error: SeamError, tells: Bool) {
    guard isOpen else { return }
    ending = SeamError(
      error.code.isTransient ? .unavailable : error.code, native: error.native, operation: error.operation,
      cause: error.cause)
    if let watchdog { loop.cancel(watchdog) }
    if let keepAlive { loop.cancel(keepAlive) }
    if let acknowledgement { loop.cancel(acknowledgement) }
    (watchdog, keepAlive, acknowledgement) = (nil, nil, nil)
    onStanza = nil
    let waiting = requests.values
    requests = [:]
    for request in waiting { answers.resume(request.ticket, .failure(error)) }
    if tells { lost(error) }
  }
}
