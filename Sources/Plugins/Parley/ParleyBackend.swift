import ParleyRuntime

/// A conversation that another Parley keeps, over its HTTP door.
///
/// Posts go in batches in their order, one request at a time; news come by a request that waits for them. When a
/// request for news fails the session is lost, and the supervisor makes the next one.
public actor ParleyBackend: PrivateTopics, KeyIssuer {
  public nonisolated let loop: EventLoop
  let options: ParleyOptions
  private(set) var door: DoorClient
  public private(set) var traits: BackendTraits

  /// Nil while there is no session.
  private var lost: (@Sendable (SeamError) -> Void)?
  /// Grows with every session, so that what an earlier one's requests bring is known to be late.
  var session = 0
  var lanes: [WatchLane] = []
  var lastSubscription: UInt64 = 0
  var queue: [QueuedPost] = []
  var isPosting = false
  let outcomes: Waiters<Result<Receipt, SeamError>>

  /// Makes a backend; nothing is opened before `connect`.
  public init(loop: EventLoop, options: ParleyOptions) {
    self.loop = loop
    self.options = options
    door = DoorClient(loop: loop, options: options)
    outcomes = Waiters(loop: loop)
    traits = BackendTraits(
      name: DoorPlace.name, location: options.url, durability: .unknown, keyWindow: .always)
  }

  // MARK: Session

  public func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    let deadline = loop.now.advanced(by: options.connectTimeout + .seconds(5))
    if door.token == nil, let key = options.ownKey { door.token = try await token(key, deadline: deadline) }
    let json = try await door.ask(.traits, DoorClient.body { _ in }, deadline: deadline)
    guard let traits = BackendTraits(relayed: json, location: options.url) else { throw DoorClient.misread("connect") }
    self.traits = traits
    session += 1
    self.lost = lost
  }

  public func disconnect() async {
    endSession()
    await door.close()
  }

  var isConnected: Bool { lost != nil }

  func check(_ operation: String, _ deadline: LoopInstant? = nil) throws(SeamError) {
    guard isConnected else {
      throw SeamError(.unavailable, operation: operation, cause: "there is no session with \(options.url)")
    }
    if let deadline, deadline <= loop.now {
      throw SeamError(.timedOut, operation: operation, cause: "the deadline had passed already")
    }
  }

  /// Reports the session as lost, once.
  func lose(_ error: SeamError) {
    guard let tell = lost else { return }
    endSession()
    tell(error)
  }

  private func endSession() {
    lost = nil
    session += 1
    for lane in lanes { lane.end() }
    lanes = []
    // What was not sent was not stored. What is under way is settled by its answer.
    let waiting = queue
    queue = []
    for post in waiting {
      outcomes.resume(
        post.ticket,
        .failure(SeamError(.unavailable, operation: "post", cause: "the session with \(options.url) has ended")))
    }
  }

  // MARK: Reading

  public func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    try check("fetch", deadline)
    let place: (name: String, cursor: String)? =
      switch request.position {
      case .latest: nil
      case .after(let cursor): ("after", try DoorPlace.theirs(cursor))
      case .before(let cursor, _): ("before", try DoorPlace.theirs(cursor))
      }
    let patience = loop.now.duration(to: deadline)
    let body = DoorClient.body { writer in
      writer.member("topic", request.topic.name)
      writer.member("limit", Int64(request.limit))
      writer.member("patienceMs", min(patience.milliseconds, 120_000))
      if let place { writer.member(place.name, place.cursor) }
      if case .before(_, let since?) = request.position { writer.member("storedSince", since) }
    }
    let json = try await door.ask(.fetch, body, deadline: deadline)
    guard let page = Page(relayed: json, DoorPlace.cursor) else { throw DoorClient.misread("fetch") }
    return page
  }

  public func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity {
    try check("resolve identity")
    let body = DoorClient.body { $0.member("handle", handle.name) }
    let json = try await door.ask(.identity, body, deadline: loop.now.advanced(by: .seconds(15)))
    guard let account = json.member("account")?.string else { return .unknown }
    return .account(account, provenance: json.member("provenance")?.string.flatMap(Provenance.init) ?? .claimed)
  }

  /// Asks the door to let them in; nothing where its backend has no closed topics.
  public func admit(_ handles: [Handle], to topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    try check("admit", deadline)
    let body = DoorClient.body { writer in
      writer.member("topic", topic.name)
      writer.key("handles")
      writer.beginArray()
      for handle in handles { writer.string(handle.name) }
      writer.endArray()
    }
    _ = try await door.ask(.admit, body, deadline: deadline)
  }
}
