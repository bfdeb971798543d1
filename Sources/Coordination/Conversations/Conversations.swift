import ParleyRuntime

/// A conversation that the participant is in.
public struct Conversation: Hashable, Sendable {
  /// Where it is held.
  public var topic: Topic
  /// Who is in it, and what it is called.
  public var state: ConversationState

  /// The other one of two; nil in a group.
  public func other(than handle: Handle) -> Handle? {
    state.isDirect ? state.members.keys.first { $0 != handle } : nil
  }
}

/// The conversations of a participant: topics of their own, which only their members are told of.
///
/// What keeps others out is the backend, where it can; elsewhere membership is checked as a courtesy.
public actor Conversations: LoopActor {
  /// Conversations that are followed at the same time, those begun last first.
  static let followed = 500

  public nonisolated let loop: EventLoop
  private let hub: Hub
  private let own: OwnTopic
  private let pageLimit: Int
  private var logs: [Topic: FoldedLog<ConversationFold>] = [:]
  /// Those that the participant is known to be in.
  private var joined: Set<Topic> = []
  private var observers: [@Sendable (Topic, _ isIn: Bool) -> Void] = []
  /// Sessions that follow what the participant is in.
  private var sessions: [ObjectIdentifier: (inbox: Inbox, marks: ReadMarks)] = [:]
  private var isRefreshing = false
  private var mustRefresh = false
  private let refreshed: Waiters<Void>
  private var isStopped = false

  private var me: Handle { hub.setup.author.handle }
  private var deadline: LoopInstant { loop.now.advanced(by: hub.setup.patience) }

  /// The conversations of the hub's participant; nothing is read until it is needed.
  public init(hub: Hub, own: OwnTopic) { self.init(hub: hub, own: own, pageLimit: 1000) }

  init(hub: Hub, own: OwnTopic, pageLimit: Int) {
    loop = hub.loop
    self.hub = hub
    self.own = own
    self.pageLimit = pageLimit
    refreshed = Waiters(loop: hub.loop)
  }

  // MARK: Following

  /// Finds the conversations that the participant is in and goes on finding those that it is brought into. The hub
  /// permits their topics from then on, and `observe` tells of each. May be called again after a failure.
  public func start() async throws(HubError) {
    try await own.load()
    await own.observe { [weak self] in self?.assumeIsolated { $0.refreshSoon() } }
    await refresh()
  }

  /// Calls `observer` on the loop whenever the participant comes into a conversation, or is out of it; at once for
  /// those that it is in.
  public func observe(_ observer: @escaping @Sendable (Topic, _ isIn: Bool) -> Void) {
    observers.append(observer)
    for topic in joined.sorted() { observer(topic, true) }
  }

  /// Lets a session follow the conversations that the participant is in, from their marks, and those that it comes
  /// into later, whole.
  public func attach(_ inbox: Inbox, marks: ReadMarks) async {
    guard !isStopped else { return }
    sessions[ObjectIdentifier(inbox)] = (inbox, marks)
    for topic in joined.sorted() { await inbox.add(topic, mark: await marks.marks[topic]) }
  }

  /// Ends that for a session.
  public func detach(_ inbox: Inbox) { sessions[ObjectIdentifier(inbox)] = nil }

  /// Ends following.
  public func stop() async {
    isStopped = true
    sessions = [:]
    let all = logs.values
    logs = [:]
    for log in all { await log.stop() }
  }

  private func refreshSoon() {
    mustRefresh = true
    guard !isRefreshing, !isStopped else { return }
    loop.spawn { await self.refresh() }
  }

  /// Reads what it was brought into and is not read yet, until nothing new is there.
  private func refresh() async {
    guard !isRefreshing else {
      mustRefresh = true
      _ = await refreshed.wait(refreshed.ticket(), until: deadline)
      return
    }
    isRefreshing = true
    defer {
      isRefreshing = false
      refreshed.resumeAll(())
    }
    repeat {
      mustRefresh = false
      let invitations = await own.state.conversations.values.sorted { ($1.at, $0.topic) < ($0.at, $1.topic) }
      for topic in joined where !invitations.contains(where: { $0.topic == topic }) { settle(topic, nil) }
      for invitation in invitations.prefix(Self.followed) where !isStopped {
        do throws(HubError) {
          // Settled again also where it was read before: the two logs come in any order.
          let log = try await log(of: invitation.topic)
          settle(invitation.topic, await log.state.state)
        } catch {
          Log.write(
            .info, "a conversation could not be read",
            [("topic", invitation.topic.name), ("cause", error.description)])
        }
      }
    } while mustRefresh && !isStopped
  }

  /// The log of a conversation, read when it is first asked for.
  private func log(of topic: Topic) async throws(HubError) -> FoldedLog<ConversationFold> {
    if let known = logs[topic] {
      try await known.load()
      return known
    }
    let log = FoldedLog(hub: hub, topic: topic, window: .max, pageLimit: pageLimit) { ConversationFold(topic: topic) }
    logs[topic] = log
    await log.observe { [weak self, weak log] in
      self?.assumeIsolated { conversations in
        guard let log else { return }
        conversations.settle(topic, log.assumeIsolated { $0.state.state })
      }
    }
    do throws(HubError) {
      try await log.load()
    } catch {
      logs[topic] = nil
      await log.stop()
      throw error
    }
    return log
  }

  /// Takes note of whether the participant is in a conversation.
  private func settle(_ topic: Topic, _ state: ConversationState?) {
    let isIn = state?.members[me] != nil
    guard isIn != joined.contains(topic) else { return }
    if isIn { joined.insert(topic) } else { joined.remove(topic) }
    hub.assumeIsolated { $0.setConversation(topic, isOpen: isIn) }
    for observer in observers { observer(topic, isIn) }
    for (inbox, marks) in sessions.values {
      loop.spawn {
        if isIn {
          await inbox.add(topic, mark: await marks.marks[topic], catchesUp: true)
        } else {
          await inbox.remove(topic)
        }
      }
    }
  }

  // MARK: Looking

  /// The conversations that the participant is in, those begun last first.
  public func list() async throws(HubError) -> [Conversation] {
    try await own.catchUp(until: deadline)
    await refresh()
    var found: [Conversation] = []
    for topic in joined {
      if let state = await logs[topic]?.state.state { found.append(Conversation(topic: topic, state: state)) }
    }
    return found.sorted { ($1.state.createdAt, $0.topic) < ($0.state.createdAt, $1.topic) }
  }

  /// The conversation of a topic; throws `conversationUnknown` where the participant is in none.
  public func conversation(_ topic: Topic) async throws(HubError) -> Conversation {
    let (_, state) = try await membership(in: topic)
    return Conversation(topic: topic, state: state)
  }

  /// A page of what was said, ascending; the newest where `before` is nil. `previous` pages back.
  public func history(
    of topic: Topic, before: Cursor? = nil, limit: Int = 100
  ) async throws(HubError) -> Page {
    _ = try await membership(in: topic)
    let position: Position = before.map { .before($0) } ?? .latest
    return try await hub.fetchUnchecked(
      FetchRequest(topic, position, limit: min(limit, hub.setup.limits.pageMessages)))
  }

  private func membership(
    in topic: Topic
  ) async throws(HubError) -> (FoldedLog<ConversationFold>, ConversationState) {
    guard ConversationTopic.isConversation(topic) else { throw HubError(ConversationRefusal.unknown(topic)) }
    let log = try await log(of: topic)
    if await log.state.state?.members[me] == nil { try await log.catchUp(until: deadline) }
    guard let state = await log.state.state, state.members[me] != nil else {
      throw HubError(ConversationRefusal.unknown(topic))
    }
    return (log, state)
  }

  // MARK: Beginning, bringing in, leaving

  /// The conversation with one other participant, which begins when it is first asked for.
  public func direct(with handle: Handle) async throws(HubError) -> Conversation {
    try await direct(with: handle, accounts: [:])
  }

  /// The same; `accounts` has the backend's names of participants that it may not know by their handles.
  package func direct(with handle: Handle, accounts: [Handle: String]) async throws(HubError) -> Conversation {
    try check(handle, "with")
    guard handle != me else { throw .badArgument(name: "with", reason: "must be somebody else") }
    try await own.load()
    let topic = ConversationTopic.direct(me, handle)
    let log = try await log(of: topic)
    // Noted last, so that a beginning that broke off is made good.
    if await own.state.conversations[topic] == nil {
      if await log.state.state == nil {
        try await admit([handle], accounts, to: topic)
        _ = try await say(.create(name: nil, with: handle), key: "create", in: log)
      }
      try await invite(handle, to: topic, name: nil, entry: MessageID("0"))
      try await own.noteBegun(topic, name: nil)
    }
    return try await conversation(topic)
  }

  /// Begins a group. The same key is one group.
  public func create(
    name: String?, members: [Handle], key: String? = nil
  ) async throws(HubError) -> Conversation {
    try await create(name: name, members: members, key: key, accounts: [:])
  }

  /// The same; `accounts` as for `direct`.
  package func create(
    name: String?, members: [Handle], key: String? = nil, accounts: [Handle: String]
  ) async throws(HubError) -> Conversation {
    if let name, !TaskEvent.isTitle(name) {
      throw .badArgument(
        name: "name",
        reason: "must be one line of 1 to \(ConversationEvent.nameBytes) bytes without control characters")
    }
    if let key, key.isEmpty || key.utf8.count > 200 || key.utf8.contains(0) {
      throw .badArgument(name: "key", reason: "must be 1 to 200 bytes without NUL")
    }
    let others = try Self.distinct(members, except: me, limit: ConversationFold.memberLimit - 1)
    for handle in others { try check(handle, "members") }
    let topic =
      key.map { ConversationTopic.group(key: $0, scope: hub.setup.author.keyScope) }
      ?? ConversationTopic.group(random: (loop.random(), loop.random()))
    try await admit(others, accounts, to: topic)
    let log = try await log(of: topic)
    if await log.state.state == nil {
      _ = try await say(.create(name: name, with: nil), key: "create", in: log)
    }
    for handle in others { try await bring(handle, into: log) }
    try await own.noteBegun(topic, name: name)
    return try await conversation(topic)
  }

  private func admit(_ handles: [Handle], _ accounts: [Handle: String], to topic: Topic) async throws(HubError) {
    // Whoever spoke where this process has not read yet is found first; the backend says whom it does not know then.
    for handle in handles where accounts[handle] == nil { _ = await hub.account(of: handle, until: deadline) }
    try await hub.admit(handles.map { handle in accounts[handle].map { Handle($0) } ?? handle }, to: topic)
  }

  private static func distinct(_ handles: [Handle], except me: Handle, limit: Int) throws(HubError) -> [Handle] {
    var seen: Set<Handle> = [me]
    let others = handles.filter { seen.insert($0).inserted }
    guard others.count <= limit else { throw .badArgument(name: "members", reason: "must not be more than \(limit)") }
    return others
  }

  /// Brings somebody into a group; nothing where it is in already.
  public func invite(_ handle: Handle, to topic: Topic) async throws(HubError) -> Conversation {
    try check(handle, "member")
    let (log, state) = try await membership(in: topic)
    guard !state.isDirect else { throw HubError(ConversationRefusal.direct) }
    try await admit([handle], [:], to: topic)
    try await bring(handle, into: log)
    return try await conversation(topic)
  }

  /// Leaves a group; true where nobody is in it any more.
  @discardableResult
  public func leave(_ topic: Topic) async throws(HubError) -> Bool {
    let (log, state) = try await membership(in: topic)
    guard !state.isDirect else { throw HubError(ConversationRefusal.direct) }
    _ = try await say(.leave, key: nil, in: log)
    try await own.noteLeft(topic)
    return await log.state.state?.members.isEmpty == true
  }

  private func bring(_ handle: Handle, into log: FoldedLog<ConversationFold>) async throws(HubError) {
    if await log.state.state?.members[handle] == nil {
      _ = try await say(.invite(handle), key: nil, in: log)
    }
    let state = await log.state.state
    // Gone again by now, it was told of a beginning that others ended.
    guard let entry = state?.members[handle]?.message else { return }
    try await invite(handle, to: log.topic, name: state?.name, entry: entry)
  }

  /// Tells somebody, in its own topic; once for each time that it comes in, by the message that brought it in.
  private func invite(_ handle: Handle, to topic: Topic, name: String?, entry: MessageID) async throws(HubError) {
    let (content, attributes) = OwnEvent.invitation(topic, name: name).message(by: me)
    _ = try await hub.postUnchecked(
      PostRequest(
        topic: handle.ownTopic, content: content, to: handle, key: "invitation:\(topic.name):\(entry)",
        attributes: attributes))
  }

  /// Posts an event and waits for what it brings; what has come about already is no failure.
  private func say(
    _ event: ConversationEvent, key: String?, in log: FoldedLog<ConversationFold>
  ) async throws(HubError) -> Receipt {
    let (content, attributes) = event.message(by: me)
    let receipt = try await hub.postUnchecked(
      PostRequest(
        topic: log.topic, content: content, key: key.map { "conversation:" + $0 }, attributes: attributes))
    await log.note(receipt)
    switch await log.outcome(of: receipt.id, until: deadline) {
    case .accepted, .refused(.exists), .refused(.isMember): return receipt
    case .refused(let refusal): throw HubError(refusal)
    case nil:
      throw .seam(
        SeamError(
          .outcomeUnknown, operation: "conversation",
          cause: "message \(receipt.id) is stored, but what it brought could not be read in time"))
    }
  }

  private func check(_ handle: Handle, _ argument: String) throws(HubError) {
    try ParticipantName.check(handle, argument, limit: hub.setup.limits.handleBytes)
  }
}

extension HubError {
  /// A refusal as callers see it.
  init(_ refusal: ConversationRefusal) { self = .refused(code: refusal.code, reason: refusal.reason) }
}
