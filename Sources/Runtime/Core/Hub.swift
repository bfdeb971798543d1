/// What every door (stdio, HTTP, command line) shares: identity, allowlist, limits and the supervised backend.
///
/// A call enters here with text from outside and leaves for the seam with everything checked.
public actor Hub: LoopActor {
  /// Who uses the hub, and under which rules.
  public struct Setup: Sendable {
    /// Who posts by default.
    public var author: Author
    /// The topics that are subscribed and usable.
    public var topics: [Topic]
    /// Full-match patterns of further topics that may be posted to and fetched.
    public var postPatterns: [String] = []
    /// The reserved topic of presence records.
    public var presenceTopic = Topic("parley-presence")
    /// Silent for so long, a participant whose records do not say it counts as gone.
    public var presenceLifetime: Duration = .seconds(1800)
    /// A person is behind the handle: what it says ends a row of messages that answer each other (`LoopGuard`).
    public var isPerson = false
    /// What is accepted.
    public var limits = Limits()
    /// How long a call waits for the backend before it fails with the backend's cause.
    public var patience: Duration = .seconds(10)
    /// Where states that were read from this store are left for the next run, so that it reads what is new; nil where
    /// each run reads the logs. Nothing but time is lost with the folder.
    public var stateFolder: String?

    /// Makes a setup with the defaults.
    public init(author: Author, topics: [Topic]) {
      self.author = author
      self.topics = topics
    }
  }

  public nonisolated let loop: EventLoop
  /// Who uses the hub.
  public nonisolated let setup: Setup
  /// The backend's keeper.
  public nonisolated let supervisor: Supervisor
  private let allowlist: Allowlist
  private var lastKey: UInt64 = 0
  private let keyPrefix: String
  private var gate = Gate.open
  /// Who posts: the setup's author, under another name where it was given one.
  package private(set) var author: Author
  /// Conversations that the participant is in, which it may use as its topics.
  package private(set) var conversations: Set<Topic> = []
  private let gateChanges: Waiters<Void>

  /// Whether the participant may post now.
  package enum Gate: Hashable, Sendable {
    case open
    /// Not known yet: posts wait for it, as they wait for the backend.
    case pending
    /// Posts fail with this.
    case closed(HubError)
  }

  /// Makes a hub on the supervisor's loop; throws `badArgument` when a pattern does not compile.
  public init(setup: Setup, supervisor: Supervisor) throws(HubError) {
    loop = supervisor.loop
    self.setup = setup
    self.supervisor = supervisor
    author = setup.author
    // Hubs may share an instance: their keys differ all the same.
    keyPrefix = "\(setup.author.instance)-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))-"
    gateChanges = Waiters(loop: supervisor.loop)
    allowlist = try Allowlist(
      topics: setup.topics, postPatterns: setup.postPatterns, presenceTopic: setup.presenceTopic)
  }

  /// Whether the participant may post to and fetch from a topic.
  public func permits(_ topic: Topic) -> Bool { allowlist.permits(topic) || conversations.contains(topic) }

  /// Opens or closes a conversation, for whoever knows of its members.
  package func setConversation(_ topic: Topic, isOpen: Bool) {
    if isOpen { conversations.insert(topic) } else { conversations.remove(topic) }
  }

  /// What the participant is called from now on; nil for its own handle.
  package func setName(_ name: String?) { author = name.map(setup.author.calling(itself:)) ?? setup.author }

  /// Opens or closes posting, for whoever keeps the lease on the participant's handle, or gives it a name.
  package func setGate(_ gate: Gate) {
    self.gate = gate
    if gate != .pending { gateChanges.resumeAll(()) }
  }

  /// Runs a synchronous body on the hub's loop.
  package func perform<Value: Sendable>(_ body: @Sendable () -> Value) -> Value { body() }

  /// Stores a message of the participant, checked against allowlist and limits; waits for the backend up to the
  /// setup's patience. A cancelled call is withdrawn where it was not yet on its way.
  public func post(_ request: PostRequest) async throws(HubError) -> Receipt {
    try check(request)
    return try await postUnchecked(request)
  }

  /// `post`, answered on the loop instead of suspended; it cannot be cancelled.
  public func submit(_ request: PostRequest, reply: @escaping @Sendable (Result<Receipt, HubError>) -> Void) {
    submit(request, hop: nil, reply: reply)
  }

  /// `submit` of a message with this hop; see `LoopGuard`.
  func submit(_ request: PostRequest, hop: Int?, reply: @escaping @Sendable (Result<Receipt, HubError>) -> Void) {
    do throws(HubError) {
      try check(request)
    } catch {
      return reply(.failure(error))
    }
    submitUnchecked(request, hop: hop, reply: reply)
  }

  /// `postUnchecked` without a task: `reply` is called once, on the loop, by the deadline. It cannot be cancelled.
  package func submitUnchecked(
    _ request: PostRequest, hop: Int? = nil, reply: @escaping @Sendable (Result<Receipt, HubError>) -> Void
  ) {
    guard gate == .open else {
      loop.spawn {
        do throws(HubError) {
          reply(.success(try await self.postUnchecked(request, hop: hop)))
        } catch {
          reply(.failure(error))
        }
      }
      return
    }
    let deadline = deadline(request.patience)
    let draft = draft(request, hop: hop)
    supervisor.assumeIsolated { supervisor in
      supervisor.submit(draft, deadline: deadline) { reply($0.mapError(HubError.seam)) }
    }
  }

  /// Stores an event of a coordination part: reserved topics and `parley.` attributes are allowed.
  ///
  /// `passesGate` is for the presence records by which the gate is opened.
  package func postUnchecked(
    _ request: PostRequest, hop: Int? = nil, passesGate: Bool = false
  ) async throws(HubError) -> Receipt {
    let deadline = deadline(request.patience)
    if !passesGate, gate != .open { try await awaitGate(until: deadline) }
    do throws(SeamError) {
      return try await supervisor.post(draft(request, hop: hop), deadline: deadline)
    } catch {
      throw .seam(error)
    }
  }

  private func awaitGate(until deadline: LoopInstant) async throws(HubError) {
    while true {
      switch gate {
      case .open: return
      case .closed(let error): throw error
      case .pending:
        guard case .value = await gateChanges.wait(gateChanges.ticket(), until: deadline) else {
          throw .seam(
            SeamError(
              .unavailable, operation: "post",
              cause: "it is not known yet whether it may post as \"\(setup.author.handle.name)\""))
        }
      }
    }
  }

  private func draft(_ request: PostRequest, hop: Int?) -> Draft {
    var attributes = request.attributes
    // What has a key is the same message whenever it is posted again, and each attempt has a trace of its own.
    if request.key == nil, let trace = TraceContext.current { attributes = trace.adding(to: attributes) }
    if setup.isPerson {
      attributes[LoopGuard.attribute] = "0"
    } else if let hop, hop > 1 {
      attributes[LoopGuard.attribute] = String(hop)
    }
    return Draft(
      topic: request.topic, author: request.author ?? author, content: request.content,
      key: request.key.map(DraftKey.chosen) ?? generateKey(), inReplyTo: request.inReplyTo, to: request.to,
      attributes: attributes)
  }

  private func check(_ request: PostRequest) throws(HubError) {
    try check(request.topic)
    try checkText("content", request.content, limit: setup.limits.contentBytes)
    try checkAttributes(request.attributes)
    if let to = request.to { try checkName("to", to.name, limit: setup.limits.handleBytes) }
    if let id = request.inReplyTo { try checkName("in_reply_to", id.text, limit: 1024) }
    if let key = request.key { try checkName("key", key, limit: 255) }
  }

  /// Reads a page of an allowed topic; with `wait`, waits that long (at most the limit) for the first message where
  /// the page would be empty.
  public func fetch(_ request: FetchRequest, wait: Duration? = nil) async throws(HubError) -> Page {
    try check(request.topic)
    return try await fetchUnchecked(request, wait: wait)
  }

  /// Reads a page of any topic, reserved ones too, for coordination parts.
  package func fetchUnchecked(_ request: FetchRequest, wait: Duration? = nil) async throws(HubError) -> Page {
    guard (1...setup.limits.pageMessages).contains(request.limit) else {
      throw .badArgument(name: "limit", reason: "must be 1 to \(setup.limits.pageMessages), not \(request.limit)")
    }
    do throws(SeamError) {
      let page = try await supervisor.fetch(
        request, wait: wait.map { min($0, setup.limits.wait) }, deadline: deadline(nil))
      return page.cut(toBytes: setup.limits.pageBytes, at: request.position)
    } catch {
      throw .seam(error)
    }
  }

  /// Lets participants into a topic that only its members may read, where the backend has such topics.
  package func admit(_ handles: [Handle], to topic: Topic) async throws(HubError) {
    do throws(SeamError) {
      try await supervisor.admit(handles, to: topic, deadline: deadline(nil))
    } catch {
      throw .seam(error)
    }
  }

  /// Throws unless the participant may use the topic.
  public func check(_ topic: Topic) throws(HubError) {
    try checkName("topic", topic.name, limit: setup.limits.topicBytes)
    guard permits(topic) else { throw .topicNotAllowed(topic) }
  }

  private func deadline(_ patience: Duration?) -> LoopInstant { loop.now.advanced(by: patience ?? setup.patience) }

  private func generateKey() -> DraftKey {
    lastKey += 1
    return .generated(String(keyPrefix, decimal: Int64(lastKey)))
  }

  private func checkName(_ name: String, _ text: String, limit: Int) throws(HubError) {
    guard !text.isEmpty else { throw .badArgument(name: name, reason: "must not be empty") }
    try checkText(name, text, limit: limit)
  }

  private func checkText(_ name: String, _ text: String, limit: Int) throws(HubError) {
    guard text.utf8.count <= limit else { throw .overLimit(what: name, bytes: text.utf8.count, limit: limit) }
    guard !text.hasByte(0) else { throw .badArgument(name: name, reason: "must not contain NUL") }
  }

  private func checkAttributes(_ attributes: Attributes) throws(HubError) {
    var bytes = 0
    for (name, value) in attributes {
      guard !name.isEmpty else { throw .badArgument(name: "attributes", reason: "names must not be empty") }
      guard !name.hasPrefix("parley.") else {
        throw .badArgument(name: "attributes", reason: "names that begin with 'parley.' are reserved: \(name)")
      }
      bytes += name.utf8.count + value.utf8.count
      guard !name.hasByte(0), !value.hasByte(0) else {
        throw .badArgument(name: "attributes", reason: "must not contain NUL")
      }
    }
    guard bytes <= setup.limits.attributesBytes else {
      throw .overLimit(what: "attributes", bytes: bytes, limit: setup.limits.attributesBytes)
    }
  }
}

/// A post as it comes from outside.
public struct PostRequest: Hashable, Sendable {
  /// Where to.
  public var topic: Topic
  /// The text.
  public var content: String
  /// The message it answers.
  public var inReplyTo: MessageID?
  /// The one handle it is meant for.
  public var to: Handle?
  /// The caller's key; one is generated where it is nil.
  public var key: String?
  /// Flat attributes.
  public var attributes: Attributes
  /// Who posts, where it is not the hub's own author.
  public var author: Author?
  /// How long to wait for the backend; nil for the hub's patience.
  public var patience: Duration?

  /// Makes a request.
  @inlinable
  public init(
    topic: Topic, content: String, inReplyTo: MessageID? = nil, to: Handle? = nil, key: String? = nil,
    attributes: Attributes = [:], author: Author? = nil, patience: Duration? = nil
  ) {
    self.topic = topic
    self.content = content
    self.inReplyTo = inReplyTo
    self.to = to
    self.key = key
    self.attributes = attributes
    self.author = author
    self.patience = patience
  }
}
