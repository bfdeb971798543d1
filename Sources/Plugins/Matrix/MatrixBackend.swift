import ParleyHTTPClient
import ParleyRuntime

/// A parley in Matrix rooms, one for each topic, with people in their own clients beside the agents.
///
/// One /sync feeds all subscriptions; what it cannot bring whole is read page by page. Posts of a topic leave one after
/// the other. The actor does not wait for anything but the homeserver, and keeps no log of its own.
public actor MatrixBackend: Backend {
  struct Session {
    /// Our Matrix id.
    let account: String
    /// The domain of aliases that we make.
    let serverName: String
    let reader: EventReader
    let lost: @Sendable (SeamError) -> Void
  }

  /// Where the actor runs.
  public nonisolated let loop: EventLoop
  let options: MatrixOptions
  var server: Homeserver
  var session: Session?
  /// Our Matrix id, from the first login on.
  private var account: String?
  /// Counts sessions, so that what an earlier one left behind is not taken for this one's.
  var epoch: UInt64 = 0

  /// Topics whose room is known and joined.
  var rooms: [Topic: Room] = [:]
  var encrypted: Set<String> = []
  /// The rooms that this account is a member of; nil until they are asked for.
  var joined: Set<String>?

  /// Posts by topic, in order; a topic with a worker is in `working`.
  var queues: [Topic: [PostCall]] = [:]
  var working: Set<Topic> = []
  var lastPost: UInt64 = 0
  var openPosts: [UInt64: PostCall] = [:]
  /// Generated keys of posts that may or may not be stored; they live as long as the process that made them.
  var doubtful: Set<String> = []
  /// Nothing is sent before this instant: the server asked for it.
  var sendGate: LoopInstant

  var feeds: [Topic: Feed] = [:]
  var subscriptions: [SubscriptionID: Subscription] = [:]
  var lastSubscription: UInt64 = 0
  /// Where the next /sync goes on; nil before the first answer.
  var syncToken: String?
  var syncRequest: Task<Result<JSONSlice, MatrixFailure>, Never>?
  var isSyncing = false
  /// The topics that the /sync under way asks for.
  var lastSynced: Set<Topic> = []
  let synced: Waiters<Void>

  /// Tokens at which reading goes on from a cursor, by cursor text.
  var forwardTokens = BoundedTable<String, String>(limit: 1024)
  var backwardTokens = BoundedTable<String, String>(limit: 1024)
  /// Whether events whose key may recur are later copies of others, by event id.
  var copies = BoundedTable<String, Bool>(limit: 8192)
  /// Who was last seen behind a handle.
  var seenHandles = BoundedTable<String, (account: String, provenance: Provenance)>(limit: 4096)
  /// Which other account sent a message, by event id: an answer to it mentions them.
  var senders = BoundedTable<String, String>(limit: 4096)
  var notes: [String: String] = [:]
  /// Aliases that lead to a room in which nobody is, and since when that is known.
  var deserted = BoundedTable<String, LoopInstant>(limit: 1024)

  /// Makes a backend on `loop`; nothing is opened before `connect`.
  public init(loop: EventLoop, options: MatrixOptions) {
    self.loop = loop
    self.options = options
    server = Homeserver(loop: loop, options: options)
    synced = Waiters(loop: loop)
    sendGate = loop.now
  }

  /// The homeserver does not say how durable its database is; keys are looked for over the last 24 hours.
  public var traits: BackendTraits {
    BackendTraits(
      name: "matrix", location: options.homeserver, durability: .unknown, contentLimit: EventWriter.contentLimit,
      authenticatesSenders: true, account: account, keyWindow: .atLeast(.seconds(86_400)),
      notes: notes.sorted { $0.key < $1.key }.map(\.value))
  }

  // MARK: Session

  /// Proves the account to the homeserver; see `Backend.connect`. Rooms are looked up when they are needed.
  public func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    let operation = "connect to \(options.homeserver)"
    guard session == nil else {
      throw SeamError(.invalidRequest, operation: operation, cause: "it is connected already")
    }
    epoch += 1
    let epoch = epoch
    let account: String
    do throws(MatrixFailure) {
      account = try await server.authenticate(deadline: loop.now.advanced(by: options.requestTimeout)).account
    } catch {
      var failure = error.seamError(operation)
      if failure.code == .timedOut { failure.code = .unavailable }
      throw failure
    }
    guard epoch == self.epoch else {
      throw SeamError(.unavailable, operation: operation, cause: "disconnected while connecting")
    }
    self.account = account
    let domain = account.split(separator: ":", maxSplits: 1).last.map(String.init) ?? account
    session = Session(
      account: account, serverName: options.serverName ?? domain,
      reader: EventReader(account: account, options: options),
      lost: lost)
  }

  /// Ends /sync and every request. The login stays good for the next connect.
  public func disconnect() async {
    epoch += 1
    endSession()
    await server.close()
  }

  private func endSession() {
    session = nil
    rooms = [:]
    joined = nil
    notes = [:]
    subscriptions = [:]
    for feed in feeds.values { feed.end() }
    feeds = [:]
    syncToken = nil
    syncRequest?.cancel()
    syncRequest = nil
    isSyncing = false
    synced.resumeAll(())
    let error = SeamError(.unavailable, operation: "post", cause: "disconnected")
    for call in openPosts.values { call.withdraw(error) }
    queues = [:]
    working = []
  }

  /// The session ended by itself.
  func lose(_ error: SeamError) {
    guard let lost = session?.lost else { return }
    epoch += 1
    endSession()
    lost(error)
  }

  func connected(_ operation: String) throws(SeamError) -> Session {
    guard let session else { throw SeamError(.unavailable, operation: operation, cause: "not connected") }
    return session
  }

  /// A request of the session; a failure of the connection ends it.
  func call(
    _ method: HTTPRequest.Method, _ path: String, query: [(String, String)] = [], body: JSONValue? = nil,
    deadline: LoopInstant
  ) async throws(MatrixFailure) -> JSONSlice {
    guard session != nil else { throw .transport(HTTPFailure(.closed, cause: "not connected")) }
    let epoch = epoch
    let watchdog = loop.now.advanced(by: options.requestTimeout)
    do throws(MatrixFailure) {
      return try await server.call(method, path, query: query, body: body, deadline: min(deadline, watchdog))
    } catch {
      // A caller's own deadline says nothing about the server; the watchdog's does.
      guard error.endsSession, !error.isTimeout || watchdog <= deadline else { throw error }
      let failure = error.isTimeout ? error.asHang(after: options.requestTimeout) : error
      if epoch == self.epoch { lose(failure.seamError("\(method.rawValue) \(path.prefix(80))")) }
      throw failure
    }
  }

  // MARK: Identity

  /// Who is behind a handle: as configured, by its own form as a Matrix id that was seen, or as messages said (S13).
  public func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity {
    _ = try connected("resolve identity")
    return identity(of: handle)
  }

  func identity(of handle: Handle) -> ResolvedIdentity {
    if let account = options.handles[handle.name] { return .account(account, provenance: .verified) }
    guard let seen = seenHandles[handle.name] else { return .unknown }
    return .account(seen.account, provenance: seen.provenance)
  }

  /// Takes note of who sent a message.
  func remember(_ message: Message) {
    guard let account = message.account else { return }
    if account != session?.account { senders[message.id.text] = account }
    // A handle that one account holds for sure is not taken from it by another's claim.
    if let seen = seenHandles[message.sender.name], seen.provenance == .verified, message.provenance == .claimed {
      return
    }
    seenHandles[message.sender.name] = (account, message.provenance)
    // People are also known by their account.
    seenHandles[account] = (account, .verified)
  }
}

extension MatrixFailure {
  /// The server, not the caller, ran out of time: the session is over, and the call may be made again in the next.
  func asHang(after time: Duration) -> MatrixFailure {
    .transport(
      HTTPFailure(.interrupted, mayHaveArrived: mayHaveHappened, cause: "the homeserver did not answer within \(time)"))
  }

  /// The deadline passed.
  var isTimeout: Bool {
    if case .transport(let failure) = self { failure.code == .timedOut } else { false }
  }
}
