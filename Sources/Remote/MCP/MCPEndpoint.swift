import ParleyCoordination
import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// `/mcp`: both eras of MCP's Streamable HTTP on one address. Confined to the loop.
///
/// A request that names a stateless revision in `params._meta` or in its header is served by itself; `initialize` opens
/// a session, which its id names from then on.
//
// @unchecked: confined to the loop's thread.
final class MCPEndpoint: GuardedRoutes, @unchecked Sendable {
  private let loop: EventLoop
  private let rooms: Rooms
  private let supervisor: Supervisor
  private let options: DoorOptions
  private let sessions: SessionTable
  private let guests: Guests
  /// What sessions that ended still have to say.
  private var farewells: [Task<Void, Never>] = []
  private var calls: [ObjectIdentifier: (call: StatelessCall, principal: Principal)] = [:]
  private let lines = PushedLines()
  private var isEnding = false
  private var revocationTimer: LoopTimer?

  init(rooms: Rooms, supervisor: Supervisor, compat: CompatOptions, options: DoorOptions) {
    loop = supervisor.loop
    self.rooms = rooms
    self.supervisor = supervisor
    self.options = options
    guests = Guests(compat, supervisor: supervisor, idleTime: options.sessionIdleTime)
    sessions = SessionTable(
      loop: supervisor.loop, limit: options.sessions, idleTime: options.sessionIdleTime,
      ended: { rooms.end($0) })
  }

  /// The longest body.
  var bodyLimit: Int { limits.lineBytes }
  private var limits: Limits { rooms.own.participant.hub.setup.limits }
  var callCount: Int { calls.count }
  var sessionCount: Int { sessions.count }

  /// What is wrong with a request before its body is read; nil where nothing is.
  func refusal(of head: RequestHead) -> HTTPResponse? {
    switch head.method {
    case .post:
      guard head.contentType == "application/json" else {
        return .refusal(HTTPRefusal(415, "unsupportedMediaType", "the body must be application/json"))
      }
      guard head.accepts("application/json") || head.accepts("text/event-stream") else {
        return .refusal(
          HTTPRefusal(406, "notAcceptable", "the client must accept application/json or text/event-stream"))
      }
      return nil
    case .get, .delete:
      // There are no sessions in the stateless era.
      guard head.fields["mcp-protocol-version"] != Revision.modern.rawValue else {
        return .refusal(HTTPRefusal(405, "methodNotAllowed", "POST"), fields: [("Allow", "POST")])
      }
      return nil
    default:
      let refusal = HTTPRefusal(405, "methodNotAllowed", "POST; GET and DELETE with a session")
      return .refusal(refusal, fields: [("Allow", "POST, GET, DELETE")])
    }
  }

  func serves(_ path: String) -> Bool { path == "/mcp" }

  func bodyLimit(of head: RequestHead) -> Int { head.method == .post ? bodyLimit : 0 }

  func handle(_ exchange: HTTPExchange, from principal: Principal) {
    guard !isEnding else {
      return exchange.answer(.refusal(HTTPRefusal(503, "unavailable", "the server ends")))
    }
    guard principal.scopes.covers(.read) else { return refuse(exchange, lacking: .read) }
    rooms.note(exchange, of: principal, isStream: exchange.head.method == .get)
    switch exchange.head.method {
    case .get: listen(exchange, principal)
    case .delete: delete(exchange, principal)
    default: post(exchange, principal)
    }
  }

  private func refuse(_ exchange: HTTPExchange, lacking scope: Scope) {
    let client = options.access.client(of: exchange.head, peer: exchange.peer)
    Audit.note("scope lacking", client, [("needed", scope.rawValue)])
    options.metrics.refused(.scope)
    exchange.answer(options.authenticator.refusal(lacking: scope))
  }

  // MARK: POST

  private func post(_ exchange: HTTPExchange, _ principal: Principal) {
    let value: JSONSlice
    do throws(JSONError) {
      value = try JSONSlice(exchange.body, depth: limits.jsonDepth, limit: bodyLimit)
    } catch {
      return fail(exchange, RPCError(error), id: nil)
    }
    if !principal.scopes.covers(.post), posts(value, principal) { return refuse(exchange, lacking: .post) }
    let head = exchange.head
    if value.kind == .array { return inSession(exchange, value, principal, hasRequest: Self.hasRequest(value)) }
    switch Incoming(value) {
    case .invalid(let error, let id): fail(exchange, error, id: id)
    case .request(let id, let method, let params):
      if method.isString("initialize"), head.fields["mcp-session-id"] == nil {
        open(exchange, value, principal)
      } else if Self.isStateless(head, method, params) {
        do throws(RPCError) {
          try StatelessHeaders.check(head, method: method, params: params)
        } catch {
          return fail(exchange, error, id: id)
        }
        serve(exchange, value, principal, listens: method.isString("subscriptions/listen"))
      } else {
        inSession(exchange, value, principal, hasRequest: true, id: id)
      }
    case .notification(let method, let params):
      // A client without a session cancels by closing its connection; there is nothing else to notify of.
      if Self.isStateless(head, method, params) { return exchange.answer(HTTPResponse(202)) }
      inSession(exchange, value, principal, hasRequest: false)
    case .response: inSession(exchange, value, principal, hasRequest: false)
    }
  }

  /// Whether a message is of the era without sessions: by what it says, else by what its header says. A header with a
  /// revision that nobody knows belongs to it too, since the answer names those that are known.
  private static func isStateless(_ head: RequestHead, _ method: JSONSlice, _ params: JSONSlice?) -> Bool {
    if StatelessMeta.version(in: params) != nil || method.isString("server/discover") { return true }
    guard head.fields["mcp-session-id"] == nil, let version = head.fields["mcp-protocol-version"] else {
      return head.fields["mcp-protocol-version"] == Revision.modern.rawValue
    }
    return Revision(rawValue: version).map(\.isModern) ?? true
  }

  private static func hasRequest(_ batch: JSONSlice) -> Bool {
    var isEmpty = true
    for element in batch.elements {
      isEmpty = false
      switch Incoming(element) {
      case .request, .invalid: return true
      case .notification, .response: continue
      }
    }
    return isEmpty
  }

  private func fail(_ exchange: HTTPExchange, _ error: RPCError, id: RequestID?) {
    var writer = JSONWriter(capacity: 256)
    writer.error(error, to: id)
    let status = StatelessCall.status(of: error.code.rawValue)
    exchange.answer(.json(status == 200 ? 400 : status, writer.bytes))
  }

  /// Whether a message calls a tool that may post.
  private func posts(_ message: JSONSlice, _ principal: Principal) -> Bool {
    guard rooms.own.setup.posts(message) else { return false }
    guard !guests.isEmpty, let (setup, _) = try? offer(to: principal) else { return true }
    return setup.posts(message)
  }

  // MARK: Without a session

  /// What requests without a session are offered, and the guest that uses other systems' tools.
  private func offer(to principal: Principal) throws(HubError) -> (SessionSetup, Guest?) {
    let room = try rooms.room(of: principal)
    guard !guests.isEmpty else { return (room.setup, nil) }
    let guest = try guests.guest(of: principal, in: room)
    return (guest.setup, guest)
  }

  private func serve(_ exchange: HTTPExchange, _ message: JSONSlice, _ principal: Principal, listens: Bool) {
    let (participant, setup, guest): (Participant, SessionSetup, Guest?)
    do throws(HubError) {
      participant = try rooms.room(of: principal).participant
      (setup, guest) = try offer(to: principal)
    } catch {
      return cannotServe(exchange)
    }
    guest?.enter()
    let stream = ReplyStream(exchange, loop: loop, keepAlive: options.keepAlive)
    let call = StatelessCall(reply: stream, trace: TraceContext(exchange.head)) { [weak self] call in
      guard let self else { return }
      guest?.leave()
      calls[ObjectIdentifier(call)] = nil
      if let subscriptions = call.listening { participant.unlisten(subscriptions) }
    }
    let subscriptions = ResourceSubscriptions(loop: loop, output: { [weak call] in call?.tell($0) })
    let session = Session(
      setup: setup, subscriptions: subscriptions, opened: {}, output: { [weak call] in call?.tell($0) })
    calls[ObjectIdentifier(call)] = (call, principal)
    if listens {
      participant.listen(subscriptions)
      watchRevocations()
    }
    exchange.onGone = { [weak call] in call?.gone() }
    exchange.onCongestion = { [weak call] in call?.congested($0) }
    call.begin(session, subscriptions, message)
  }

  // MARK: With a session

  private func open(_ exchange: HTTPExchange, _ message: JSONSlice, _ principal: Principal) {
    guard let id = sessions.newID() else {
      return exchange.answer(
        .refusal(HTTPRefusal(503, "unavailable", "too many sessions"), fields: [("Retry-After", "60")]))
    }
    do throws(HubError) {
      let session = LegacySession(id: id, principal: principal, loop: loop, keepAlive: options.keepAlive)
      try begin(session, in: rooms.room(of: principal))
      session.take(message, exchange)
      // Refused, it is none.
      guard session.revision != nil else {
        if let inbox = session.end() { rooms.end(inbox) }
        return
      }
      sessions.insert(session)
      watchRevocations()
    } catch { cannotServe(exchange) }
  }

  private func cannotServe(_ exchange: HTTPExchange) {
    exchange.answer(.refusal(HTTPRefusal(500, "failed", "no session can be opened")))
  }

  /// Each session is a participant's process of its own: what it posts is news to the others.
  private func begin(_ session: LegacySession, in room: Room) throws(HubError) {
    var own = room.participant.hub.setup
    own.author = Author(
      handle: own.author.handle, instance: UUIDv4.make(), stableInstance: own.author.stableInstance)
    let hub = try Hub(setup: own, supervisor: supervisor)
    let output: @Sendable ([UInt8]) -> Void = { [weak session] in session?.tellStanding($0) }
    let feed = ChannelFeed(heldLimit: 64 << 10, lines: lines, output: output)
    let subscriptions = ResourceSubscriptions(loop: loop, output: output)
    var inboxOptions = Inbox.Options(filter: filter(own.author))
    inboxOptions.catchesUp = options.catchUp.onStart
    inboxOptions.catchUpLimit = options.catchUp.limit
    if options.livePush != nil {
      let metrics = options.metrics
      inboxOptions.push = {
        metrics.pushed()
        feed.push($0)
      }
    }
    inboxOptions.changed = { subscriptions.changed($0) }
    let inbox = Inbox(hub: hub, options: inboxOptions)
    var sessionSetup = room.setup
    sessionSetup.isChannel = options.livePush != nil
    sessionSetup.hub = hub
    sessionSetup.coordination.tasks = Tasks(hub: hub)
    sessionSetup.inbox = inbox
    if !guests.isEmpty {
      sessionSetup = try joinGuests(session, sessionSetup, guests.guest(of: session.principal, in: room), feed)
    }
    session.begin(sessionSetup, inbox: inbox, feed: feed, subscriptions: subscriptions)
    room.participant.begin(inbox)
  }

  /// Gives a session the tool sets of other systems: some are the principal's, in one it is somebody of its own.
  private func joinGuests(
    _ session: LegacySession, _ setup: SessionSetup, _ guest: Guest, _ feed: ChannelFeed
  ) -> SessionSetup {
    let agent = guests.agent(of: setup.hub)
    var joined = setup.offering(guest.sharedTools + (agent?.tools ?? []))
    guest.enter()
    if let agent {
      joined.isChannel = true
      joined.moreInstructions = agent.instructions
      agent.connect(feed)
      if options.namesSessions, session.principal.handle == nil { agent.name(setup.hub, setup.inbox) }
      session.streamChanged = { agent.streamChanged(isOpen: $0) }
    }
    session.ended = { [weak self] in
      guest.leave()
      guard let agent, let self else { return }
      let farewell = agent.end()
      if isEnding { farewells.append(farewell) }
    }
    return joined
  }

  private func filter(_ author: Author) -> PushFilter {
    var filter = PushFilter(author: author)
    filter.mentionsOnly = options.livePush?.mentionFilter ?? false
    filter.senders = options.livePush?.from
    return filter
  }

  private func inSession(
    _ exchange: HTTPExchange, _ message: JSONSlice, _ principal: Principal, hasRequest: Bool, id: RequestID? = nil
  ) {
    guard let session = session(of: exchange, principal) else { return }
    guard hasRequest else {
      session.note(message)
      return exchange.answer(HTTPResponse(202))
    }
    // Batches were removed in 2025-06-18; one that is refused is no request that could be answered.
    if message.kind == .array, session.revision != .march2025 {
      return fail(exchange, RPCError(.invalidRequest, "Invalid request: batches are not supported"), id: nil)
    }
    session.take(message, exchange)
  }

  private func listen(_ exchange: HTTPExchange, _ principal: Principal) {
    guard exchange.head.accepts("text/event-stream") else {
      return exchange.answer(.refusal(HTTPRefusal(406, "notAcceptable", "the client must accept text/event-stream")))
    }
    guard let session = session(of: exchange, principal) else { return }
    session.listen(exchange, after: exchange.head.fields["last-event-id"].flatMap(EventID.init))
  }

  private func delete(_ exchange: HTTPExchange, _ principal: Principal) {
    guard let session = session(of: exchange, principal) else { return }
    sessions.end(session)
    exchange.answer(HTTPResponse(204))
  }

  /// The session that the request names; otherwise the request is answered: 400 without a session's id or with a
  /// revision that is not one of sessions, 404 for a session that is over.
  private func session(of exchange: HTTPExchange, _ principal: Principal) -> LegacySession? {
    let ids = exchange.head.fields.all("mcp-session-id")
    guard ids.count == 1, let id = ids.first else {
      exchange.answer(
        .refusal(
          HTTPRefusal(
            400, "sessionRequired",
            "one header Mcp-Session-Id, from the answer to initialize; or a stateless request of revision "
              + Revision.modern.rawValue)))
      return nil
    }
    if let version = exchange.head.fields["mcp-protocol-version"] {
      guard let revision = Revision(rawValue: version), !revision.isModern else {
        exchange.answer(
          .refusal(HTTPRefusal(400, "unsupportedProtocolVersion", "MCP-Protocol-Version names no revision of sessions"))
        )
        return nil
      }
    }
    guard let session = sessions.find(id, of: principal) else {
      exchange.answer(.refusal(HTTPRefusal(404, "sessionNotFound", "there is no such session, or no longer")))
      return nil
    }
    session.principal = principal
    return session
  }

  // MARK: Ending

  /// Refuses new calls, and waits until those under way are answered, at most until `deadline`.
  func settle(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async {
    isEnding = true
    for (call, _) in Array(calls.values) { await call.settle(until: deadline) }
    for session in sessions.all { await session.settle(until: deadline) }
  }

  /// Ends every call and every session; the tasks that end with their goodbyes.
  func end() -> [Task<Void, Never>] {
    if let revocationTimer { loop.cancel(revocationTimer) }
    revocationTimer = nil
    for (call, _) in Array(calls.values) { call.close() }
    sessions.endAll()
    return farewells + guests.stop()
  }

  /// Ends what was opened by tokens and consents that no longer count: streams do not outlive what let them in. Looks
  /// every few seconds while something is open.
  private func watchRevocations() {
    guard revocationTimer == nil, options.authenticator.holders() != nil else { return }
    revocationTimer = loop.schedule(after: options.revocationInterval) { [weak self] in
      guard let self else { return }
      revocationTimer = nil
      guard !isEnding, let holders = options.authenticator.holders() else { return }
      let isRevoked = { (principal: Principal) in !principal.holder.isEmpty && !holders.contains(principal.holder) }
      for (call, principal) in Array(calls.values) where isRevoked(principal) { call.close() }
      for session in sessions.all where isRevoked(session.principal) { sessions.end(session) }
      if !calls.isEmpty || sessions.count > 0 { watchRevocations() }
    }
  }
}
