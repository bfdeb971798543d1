import ParleyCoordination
import ParleyMCP
import ParleyRuntime

/// What a monitor shows, gathered from the states that the session's parts fold, and kept current by what arrives.
///
/// It asks the store only at its start, for a topic that is looked at first, and for who is here when the presence topic
/// or the end of somebody's time says that it changed.
package actor MonitorFeed: LoopActor {
  /// Those who are offline are listed for an hour, in milliseconds.
  private static let offline: Int64 = 3_600_000
  /// Of the tasks that are over, so many.
  private static let ended = 5

  package nonisolated let loop: EventLoop
  let hub: Hub
  /// Whose read marks count: the participant's, or another's.
  private let viewer: Hub
  private let options: MonitorOptions
  let coordination: Coordination
  let marks: ReadMarks
  let chatroom: Chatroom?
  private(set) var inbox: Inbox?
  private var histories: [Topic: [Message]] = [:]
  private var conversations: [Conversation] = []
  private let roster: MonitorRoster
  var postTime: Duration?
  private var change: @Sendable () -> Void = {}
  private var looking: LoopTimer?
  private var follows: [FollowID] = []
  private var isStopped = false

  /// A feed for the hub's participant; nothing is read until `start`.
  package init(hub: Hub, options: MonitorOptions, chatroom: Chatroom? = nil) throws(HubError) {
    loop = hub.loop
    self.hub = hub
    self.options = options
    self.chatroom = chatroom
    coordination = Coordination(hub: hub)
    if let participant = options.participant, participant != hub.setup.author.handle {
      var setup = hub.setup
      setup.author = Author(handle: participant, instance: UUIDv4.make())
      // Only read with: nothing is ever posted by it.
      viewer = try Hub(setup: setup, supervisor: hub.supervisor)
      marks = ReadMarks(hub: viewer)
    } else {
      viewer = hub
      marks = coordination.marks
    }
    var query = RosterQuery()
    query.since = Self.offline
    roster = MonitorRoster(hub: hub, query: query)
  }

  private var isOwnView: Bool { viewer === hub }

  // MARK: Life

  /// Reads what there is and follows it; calls `change` on the loop after whatever changes the picture. Waits for the
  /// backend up to the hub's patience, then throws its failure; may be called again.
  package func start(_ change: @escaping @Sendable () -> Void) async throws(HubError) {
    self.change = change
    try await loadMarks()
    if inbox == nil { await follow() }
    for topic in hub.setup.topics { try await readHistory(of: topic) }
    if isOwnView { await followConversations() }
    await refreshRoster()
    if let chatroom { try await chatroom.watch(change) }
    await coordination.tasks.observe(change)
    change()
  }

  /// Another's marks may be where this account cannot read: then nothing is known to be read.
  private func loadMarks() async throws(HubError) {
    do throws(HubError) {
      try await marks.load()
      await marks.start()
    } catch {
      guard !isOwnView, case .seam(let failure) = error, !failure.code.isTransient else { throw error }
    }
  }

  private func follow() async {
    var options = Inbox.Options(filter: PushFilter(author: viewer.setup.author))
    options.arrived = { [weak self] message in self?.assumeIsolated { $0.take(message) } }
    let inbox = Inbox(hub: viewer, options: options)
    self.inbox = inbox
    await inbox.start(marks: await marks.marks)
    await marks.observe { [weak self] topic, cursor in
      guard let self else { return }
      self.loop.spawn { await self.markMoved(topic, to: cursor) }
    }
  }

  private func followConversations() async {
    guard let inbox else { return }
    do throws(HubError) {
      try await coordination.conversations.start()
      await coordination.conversations.attach(inbox, marks: marks)
      await coordination.conversations.observe { [weak self] _, _ in
        guard let self else { return }
        self.loop.spawn { await self.readConversations() }
      }
      await readConversations()
    } catch {
      Log.write(.info, "conversations are not shown", [("cause", error.description)])
    }
  }

  private func readConversations() async {
    do throws(HubError) {
      conversations = try await coordination.conversations.list()
      for conversation in conversations { try await readHistory(of: conversation.topic) }
    } catch {
      Log.write(.info, "conversations could not be read", [("cause", error.description)])
    }
    change()
  }

  /// Ends following.
  package func stop() async {
    isStopped = true
    if let looking { loop.cancel(looking) }
    looking = nil
    await roster.stop()
    await inbox?.stop()
    await chatroom?.stop()
    await coordination.stop()
    await marks.stop()
  }

  // MARK: What arrives

  private func readHistory(of topic: Topic) async throws(HubError) {
    guard histories[topic, default: []].count < options.limit else { return }
    let limit = min(options.limit, hub.setup.limits.pageMessages)
    let page = try await hub.fetch(FetchRequest(topic, .latest, limit: limit))
    let known = Set(page.messages.map(\.id))
    // What came while the page was on its way is newer than all of it.
    let later = histories[topic, default: []].filter { !known.contains($0.id) }
    histories[topic] = Array((page.messages + later).suffix(options.limit))
  }

  private func take(_ message: Message) {
    histories[message.topic, default: []].append(message)
    let surplus = histories[message.topic, default: []].count - options.limit
    if surplus > 0 { histories[message.topic]?.removeFirst(surplus) }
    if !roster.knows(message.sender) { refreshRosterSoon() }
    change()
  }

  private func markMoved(_ topic: Topic, to cursor: Cursor) async {
    await inbox?.markMoved(topic, to: cursor)
    change()
  }

  // MARK: Who is here

  private func refreshRosterSoon() {
    guard !isStopped else { return }
    roster.refreshLater(atMostEvery: options.interval) { [weak self] in
      guard let self else { return }
      self.loop.spawn { await self.refreshRoster() }
    }
  }

  private func refreshRoster() async {
    await roster.refresh { [weak self] in self?.assumeIsolated { $0.refreshRosterSoon() } }
    change()
  }

  // MARK: The picture

  /// Everything there is to show, with the messages and tasks of one place, or of all.
  package func snapshot(of place: MonitorPlace?, withSummary: Bool = false) async -> MonitorSnapshot {
    var snapshot = MonitorSnapshot(me: hub.setup.author.handle)
    snapshot.participant = options.participant
    let traits = await hub.supervisor.traits
    (snapshot.backend, snapshot.location) = (traits.name, traits.location)
    snapshot.health = await hub.supervisor.health
    (snapshot.readTime, snapshot.postTime) = (roster.readTime, postTime)
    snapshot.participants = roster.participants
    snapshot.places = await places()
    await addTasks(of: place, to: &snapshot)
    switch place {
    case .topic(let topic):
      snapshot.messages = histories[topic, default: []]
      if withSummary { snapshot.summary = await summary(of: topic) }
    case .room(let id):
      let name = options.participant.map(\.name)
      snapshot.messages = await chatroom?.messages(in: id, for: name, limit: options.limit) ?? []
    case nil:
      // By the store's time, for people: topics have no common order. Within a topic the log's order stays, also where
      // the store's times go back.
      let all = histories.sorted { $0.key < $1.key }.flatMap { (_, messages) -> [(time: Int64, message: Message)] in
        var latest = Int64.min
        return messages.map { message in
          latest = max(latest, message.storedAt)
          return (time: latest, message: message)
        }
      }.enumerated()
      snapshot.messages = all.sorted {
        ($0.element.time, $0.offset) < ($1.element.time, $1.offset)
      }.suffix(options.limit).map(\.element.message)
    }
    return snapshot
  }

  private func places() async -> [PlaceLine] {
    let unread = await inbox?.unread ?? [:]
    var lines = hub.setup.topics.map { line($0, name: $0.name, unread) }
    for conversation in conversations {
      let members = conversation.state.members.keys.sorted().filter { $0 != hub.setup.author.handle }.map(\.name)
      let name = conversation.state.name ?? members.joined(separator: ", ")
      lines.append(line(conversation.topic, name: "~ \(name)", unread))
    }
    for room in await chatroom?.rooms(for: viewer.setup.author.handle.name) ?? [] {
      var line = PlaceLine(.room(room.id), name: "\(chatroom?.options.topic.name ?? "")/\(room.id)")
      (line.isClosed, line.unread, line.lastActivity) = (room.isClosed, Unread(count: room.unread), room.lastActivity)
      lines.append(line)
    }
    return lines
  }

  private func line(_ topic: Topic, name: String, _ unread: [Topic: Unread]) -> PlaceLine {
    var line = PlaceLine(.topic(topic), name: name)
    line.unread = unread[topic] ?? Unread(count: 0)
    let last = histories[topic]?.last { !$0.isQuiet }
    (line.lastActivity, line.lastSender) = (last?.storedAt, last?.sender)
    return line
  }

  private func addTasks(of place: MonitorPlace?, to snapshot: inout MonitorSnapshot) async {
    let topics: [Topic] =
      switch place {
      case .topic(let topic): [topic]
      case .room: []
      case nil: hub.setup.topics
      }
    var over: [TaskRecord] = []
    for topic in topics where histories[topic] != nil {
      do throws(HubError) {
        let board = try await coordination.tasks.board(of: topic, ended: Self.ended, catchesUp: false)
        snapshot.tasks += board.live
        over += board.ended
        snapshot.tasksNow = max(snapshot.tasksNow, board.now)
      } catch {
        Log.write(.info, "tasks could not be read", [("topic", topic.name), ("cause", error.description)])
      }
    }
    lookAgain(at: snapshot.tasks, now: snapshot.tasksNow)
    snapshot.tasks += over.sorted { ($0.ending?.at ?? 0) > ($1.ending?.at ?? 0) }.prefix(Self.ended)
  }

  /// A lease or a task's time runs out without a word in the log.
  private func lookAgain(at tasks: [TaskRecord], now: Int64) {
    if let looking { loop.cancel(looking) }
    looking = nil
    guard !isStopped, let next = tasks.map({ $0.heldClaim(at: now)?.until ?? $0.expiresAt }).min() else { return }
    looking = loop.schedule(after: .milliseconds(max(next - now, 1) + 1)) { [weak self] in
      self?.assumeIsolated { $0.change() }
    }
  }

  private func summary(of topic: Topic) async -> Summary? {
    do throws(HubError) {
      return try await coordination.summaries.latest(on: topic).latest(for: viewer.setup.author.handle)
    } catch {
      Log.write(.info, "summaries could not be read", [("topic", topic.name), ("cause", error.description)])
      return nil
    }
  }

  /// The newest message of a topic that is known here.
  func newest(of topic: Topic) -> Message? { histories[topic]?.last }

  /// Whether the marks that are shown are the participant's own.
  var showsOwnMarks: Bool { isOwnView }
}
