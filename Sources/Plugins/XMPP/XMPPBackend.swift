import ParleyRuntime
import ParleyTLS

/// A parley in the rooms of an XMPP service, one for each topic, with their archives as the log; shared with people in
/// their own chat clients, and with the TypeScript Parley.
public actor XMPPBackend: Backend {
  /// Where the actor runs.
  public nonisolated let loop: EventLoop
  nonisolated let options: XMPPOptions
  let names: TopicRooms

  struct Live {
    let session: XMPPSession
    let lost: @Sendable (SeamError) -> Void
  }

  var live: Live?
  private var isConnecting = false
  /// Counts sessions, so that word of an earlier one is not taken for this one's.
  private(set) var epoch: UInt64 = 0
  private let resource: String
  private var resumable: ResumableStream?
  private var largestStanza: Int?
  private var notes: [String] = []

  var rooms: [JID: Room] = [:]
  var queries: [String: ArchiveQuery] = [:]
  var lastQuery = 0
  /// Whether the archive calls an unknown id an error; nil before it was asked.
  var isArchiveStrict: Bool?
  var clock = ArchiveClock()
  var flights: [FlightKey: Flight] = [:]
  var doubts: [FlightKey: Doubt] = [:]
  let doubtChanges: Waiters<Void>
  var lastSubscription: UInt64 = 0
  /// Joins, and subscriptions that read the archive, under way at once: thousands after a restart of the server would
  /// fill the stream's queue, and delay everything else on it.
  let joining: Gate
  let reads: Gate
  /// Which account was last seen to go by a handle.
  var seen: [Handle: String] = [:]
  private var selfPing: LoopTimer?

  /// How long connecting may take.
  private static let patience = Duration.seconds(30)

  /// Makes a backend on `loop`; nothing is opened before `connect`.
  public init(loop: EventLoop, options: XMPPOptions) {
    self.loop = loop
    self.options = options
    names = TopicRooms(service: options.mucService)
    resource = options.resource + "-" + [UInt8](random: 6).hexadecimal
    doubtChanges = Waiters(loop: loop)
    joining = Gate(width: 32, loop: loop)
    reads = Gate(width: 32, loop: loop)
  }

  /// The content limit is what the server's largest stanza leaves, as it says or as configuration does.
  public var traits: BackendTraits {
    var notes = notes
    if options.hasDefaultPassword {
      notes.append("SECURITY: backend_config.password is the default that everybody knows")
    }
    for room in rooms.values.sorted(by: { $0.topic < $1.topic }) {
      if let trouble = room.trouble { notes.append("not in the room of '\(room.topic)': \(trouble.cause)") }
    }
    return BackendTraits(
      name: "xmpp", location: options.location, durability: .unknown, contentLimit: contentLimit,
      authenticatesSenders: true, account: live?.session.jid.bare.description ?? options.account,
      keyWindow: .atLeast(.seconds(86_400)),
      timeResolution: ArchiveClock.uncertainty,
      notes: notes)
  }

  var stanzaLimit: Int { min(largestStanza ?? options.largestStanza, options.largestStanza) }
  var contentLimit: Int { max(1024, stanzaLimit - 16_384) }

  // MARK: Session

  /// Connects, or resumes the stream that was cut (XEP-0198); see `Backend.connect`.
  public func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    let operation = "connect as \(options.account)"
    guard live == nil, !isConnecting else {
      throw SeamError(.invalidRequest, operation: operation, cause: "it is connected already")
    }
    isConnecting = true
    defer { isConnecting = false }
    epoch += 1
    let epoch = epoch
    let deadline = loop.now.advanced(by: Self.patience)
    let context = try await TLSContext.load(options.tls, loop: loop, until: deadline)
    let negotiation = Negotiation(
      options: options, loop: loop, context: context, deadline: deadline, resource: resource, resumable: resumable)
    let outcome = try await negotiation.run()
    guard epoch == self.epoch else {
      outcome.channel.close()
      throw SeamError(.unavailable, operation: operation, cause: "disconnected while connecting")
    }
    resumable = nil
    largestStanza = outcome.largestStanza
    let session = XMPPSession(outcome, options: options, loop: loop) { [weak self] error in
      self?.assumeIsolated { $0.lose(error, epoch: epoch) }
    }
    session.onStanza = { [weak self] stanza in self?.assumeIsolated { $0.take(stanza) } }
    if outcome.isResumed {
      settleDoubts(handled: outcome.management?.handled ?? 0)
    } else {
      for room in rooms.values { room.leave() }
      settleDoubts(handled: nil)
    }
    notes = outcome.management == nil ? ["the server has no stream management: a cut is found out by searching"] : []
    live = Live(session: session, lost: lost)
    session.start()
    if let ending = session.ending { throw ending }
    watchRooms()
  }

  /// Says goodbye; posts without a reflection are in doubt.
  public func disconnect() async {
    epoch += 1
    resumable = nil
    let session = live?.session
    end(SeamError(.unavailable, operation: "disconnect", cause: "disconnected"))
    session?.close()
    for room in rooms.values { room.leave() }
    settleDoubts(handled: nil)
  }

  private func lose(_ error: SeamError, epoch: UInt64) {
    guard epoch == self.epoch, let lost = live?.lost else { return }
    self.epoch += 1
    resumable = live?.session.resumable
    end(error)
    lost(error)
  }

  private func end(_ error: SeamError) {
    guard live != nil else { return }
    live = nil
    if let selfPing { loop.cancel(selfPing) }
    selfPing = nil
    queries = [:]
    for room in rooms.values {
      for feed in room.feeds { feed.state = .ended }
      room.feeds = []
      if case .joining = room.state { room.leave() }
      room.entering.resumeAll(.ended(error))
      room.joins.resumeAll(())
    }
    endFlights(error)
  }

  func connected(_ operation: String) throws(SeamError) -> XMPPSession {
    guard let live else { throw SeamError(.unavailable, operation: operation, cause: "not connected") }
    return live.session
  }

  /// The room of a topic, whether or not it exists.
  func room(of topic: Topic) -> Room {
    let jid = names.room(of: topic)
    if let known = rooms[jid] { return known }
    let room = Room(topic: topic, jid: jid, loop: loop)
    rooms[jid] = room
    return room
  }

  // MARK: Stanzas

  private func take(_ stanza: XMLElement) {
    guard let from = stanza["from"].flatMap({ JID($0) }) else { return }
    switch stanza.name {
    case "presence":
      if let room = rooms[from.bare] { takePresence(stanza, from: from, in: room) }
    case "message":
      if takeArchived(stanza, from: from) { return }
      // Everything else comes from a room: no carbons, no private messages, no invitations of strangers.
      guard let room = rooms[from.bare] else { return }
      switch stanza["type"] {
      case "groupchat": takeLive(stanza, from: from, in: room)
      case "error": takeRefusal(stanza, from: from, in: room)
      default: break
      }
    default: break
    }
  }

  // MARK: Silent rooms

  /// Asks rooms that have been silent whether we are still in them (XEP-0410).
  private func watchRooms() {
    let pause = max(.milliseconds(250), options.selfPingInterval / 4)
    let epoch = epoch
    selfPing = loop.schedule(after: pause) { [weak self] in
      self?.assumeIsolated { backend in
        guard backend.epoch == epoch, backend.live != nil else { return }
        for room in backend.rooms.values where backend.isSilent(room) {
          room.lastHeard = backend.loop.now
          backend.loop.spawn { await backend.askWhetherIn(room) }
        }
        backend.watchRooms()
      }
    }
  }

  private func isSilent(_ room: Room) -> Bool {
    guard case .joined = room.state, !room.feeds.isEmpty else { return false }
    return room.lastHeard.duration(to: loop.now) >= options.selfPingInterval
  }

  private func askWhetherIn(_ room: Room) async {
    guard let session = live?.session else { return }
    let answer: XMLElement
    do throws(SeamError) {
      answer = try await session.ask(
        "get", to: room.jid.with(resource: room.nick), XMLElement("ping", Namespace.ping), "ping the room",
        until: loop.now.advanced(by: options.timeout))
    } catch { return }
    guard live?.session === session, case .joined = room.state, answer["type"] == "error" else { return }
    switch answer.errorCondition {
    // XEP-0410, section 3.3: these say that the occupant is there, or that nothing is known.
    case "service-unavailable", "feature-not-implemented", "item-not-found", "remote-server-not-found",
      "remote-server-timeout":
      break
    default:
      room.leave()
      rejoin(room)
    }
  }

  // MARK: Reads

  /// Reads one page of the room's archive; see `Backend.fetch`.
  public func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    _ = try connected("fetch")
    guard (1...1000).contains(request.limit) else {
      throw SeamError(.invalidRequest, operation: "fetch", cause: "limit \(request.limit) is not in 1 to 1000")
    }
    guard deadline > loop.now else {
      throw SeamError(.timedOut, operation: "fetch", cause: "the deadline has passed")
    }
    return try await page(request, deadline: deadline)
  }

  /// The account that configuration ties to the handle, else the one that was last seen to go by it.
  public func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity {
    if let account = options.accounts[handle] { return .account(account.description, provenance: .verified) }
    if let account = seen[handle] { return .account(account, provenance: .claimed) }
    for room in rooms.values {
      if let jid = room.occupants[handle.name]?.jid { return .account(jid.bare.description, provenance: .claimed) }
    }
    return .unknown
  }
}
