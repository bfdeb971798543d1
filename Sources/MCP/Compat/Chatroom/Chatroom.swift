import ParleyCoordination
import ParleyRuntime

/// A room where agents talk under names of their own, as the chatroom system's tools have it: one log, whatever the
/// backend.
package actor Chatroom: LoopActor {
  /// How the set works.
  package struct Options: Hashable, Sendable {
    /// The room's log.
    package var topic = Topic("chatroom")
    /// How often a name is taken anew, and how long it is held without that.
    package var heartbeat: Duration = .seconds(600)
    package var lifetime: Duration = .seconds(1800)
    /// What an older room kept in files, to be taken over once.
    package var archive: ChatroomArchive?

    package init() {}
  }

  /// So many messages after the last one what outlives the log's beginning is said again, and before it grows old.
  private static let stateMessages = 500

  package nonisolated let loop: EventLoop
  private let hub: Hub
  package nonisolated let options: Options
  let rules: NameRules
  let log: FoldedLog<ChatroomFold>
  /// The names of this session, with their roles, and those that it may speak under without holding them.
  private var joined: [String: String] = [:]
  private var vouched: Set<String> = []
  private var importing: Task<Result<Void, Refusal>, Never>?

  private var session: String { hub.setup.author.instance }
  private var deadline: LoopInstant { loop.now.advanced(by: hub.setup.patience) }

  init(hub: Hub, names: NameRules, options: Options) {
    loop = hub.loop
    self.hub = hub
    self.options = options
    rules = names
    log = FoldedLog(hub: hub, topic: options.topic, window: .max) { ChatroomFold() }
  }

  // MARK: Life

  /// Goes on holding the session's names, and what the room must remember, until the task is cancelled.
  func run() async {
    while await loop.sleep(for: options.heartbeat) {
      for name in joined.keys.sorted() {
        // It may have been left, or joined with another role, meanwhile.
        guard let role = joined[name] else { continue }
        do throws(Refusal) {
          _ = try await say(join(name, role), as: name)
        } catch {
          Log.write(.info, "a name in the chatroom was not kept", [("name", name), ("cause", error.reason)])
        }
      }
      await keepState()
    }
  }

  /// Leaves under every name, and ends following.
  package func stop() async {
    for name in joined.keys.sorted() {
      do throws(HubError) {
        let (content, attributes) = ChatEvent.leave(name: name, session: session).message
        _ = try await hub.postUnchecked(
          PostRequest(topic: options.topic, content: content, attributes: attributes, patience: .milliseconds(200)))
      } catch {
        Log.write(.info, "a name in the chatroom was not dropped", [("name", name), ("cause", error.description)])
      }
    }
    joined = [:]
    await log.stop()
  }

  // MARK: The log

  /// The room as it is now.
  func current() async throws(Refusal) -> (fold: ChatroomFold, now: Int64) {
    try await refusing { () throws(HubError) in
      try await log.load()
      try await log.catchUp(until: deadline)
    }
    if let archive = options.archive, !archive.isEmpty, await !log.state.hasImported {
      let task = importing ?? loop.spawn { await self.takeOver(archive) }
      importing = task
      try await task.value.get()
    }
    return await (log.state, log.now)
  }

  /// Stores what an older room kept, in its order. Processes that do it at the same time store each message once.
  private func takeOver(_ archive: ChatroomArchive) async -> Result<Void, Refusal> {
    defer { importing = nil }
    do throws(HubError) {
      var last: Receipt?
      for event in archive.events() {
        last = try await hub.postUnchecked(
          PostRequest(
            topic: options.topic, content: event.text.content, to: event.to.map { Handle($0) },
            key: "chatroom-import:\(SHA256.hexadecimal(event.key, digits: 32))", attributes: event.text.attributes,
            author: Author(
              handle: Handle(event.from), instance: session, stableInstance: "chatroom-import", isSelfNamed: true)))
      }
      if let last { _ = await log.outcome(of: last.id, until: deadline) }
      return .success(())
    } catch {
      return .failure(Refusal(error))
    }
  }

  /// Stores an event and waits for what it brings at its place in the log.
  @discardableResult
  func say(
    _ event: ChatEvent, as name: String? = nil, to: String? = nil, text: EventText? = nil
  ) async throws(Refusal) -> ChatroomFold.Outcome {
    let (content, attributes) = text ?? event.message
    let request = PostRequest(
      topic: options.topic, content: content, to: to.map { Handle($0) }, attributes: attributes,
      author: name.map { hub.setup.author.calling(itself: $0) })
    try await refusing { () throws(HubError) in try await log.load() }
    let receipt = try await refusing { () throws(HubError) in try await hub.postUnchecked(request) }
    await log.note(receipt)
    switch await log.outcome(of: receipt.id, until: deadline) {
    case .refused(let refusal): throw refusal
    case nil:
      throw Refusal(
        504, "outcomeUnknown", "message \(receipt.id) is stored, but what it brought could not be read in time")
    case .some(let outcome): return outcome
    }
  }

  func number(_ outcome: ChatroomFold.Outcome) -> JSONValue {
    if case .number(let number) = outcome { .int(Int64(number)) } else { nil }
  }

  /// Says again what must outlive the log's beginning, where it stands on what is old or long. What led here is stored
  /// in any case.
  private func keepState() async {
    let (fold, now) = await (log.state, log.now)
    guard let since = fold.standsSince else { return }
    let traits = await hub.supervisor.traits
    guard fold.sinceState >= Self.stateMessages || now - since >= Checkpoints.age(on: traits).milliseconds else {
      return
    }
    let limit = min(hub.setup.limits.contentBytes, traits.contentLimit ?? .max)
    do throws(Refusal) {
      // Where others spoke between the look and its place in the log, it is said again, so that nothing lies between.
      for _ in 0..<3 {
        let fold = await log.state
        guard let text = Self.text(of: fold.state, within: limit) else {
          return Log.write(.warning, "the state of the chatroom is too large to be stored", [])
        }
        try await say(.state(nil), text: text)
        if await log.state.messageCount == fold.messageCount { return }
      }
    } catch {
      Log.write(.warning, "the state of the chatroom was not stored", [("cause", error.reason)])
    }
  }

  /// Without what was written down where only that makes it too large: numbers and places come first.
  private static func text(of state: JSONValue, within limit: Int) -> EventText? {
    var short = state.object ?? [:]
    short["texts"] = []
    return [state, .object(short)].lazy.map { ChatEvent.state($0).message }.first { $0.content.utf8.count <= limit }
  }

  // MARK: Names

  private func join(_ name: String, _ role: String) -> ChatEvent {
    .join(name: name, role: role, session: session, lifetime: options.lifetime.milliseconds)
  }

  /// Goes by a name from now on, until the session ends or drops it.
  func join(name: String, role: String) async throws(Refusal) -> JSONValue {
    try rules.checkClaim(name)
    guard VisibleText.visible(role, keepsLines: false) == role, role.utf8.count <= 256 else {
      throw Refusal(422, "invalid_argument", "role must be at most 256 bytes without control characters")
    }
    let (fold, now) = try await current()
    let holder = fold.names.holder(of: name, at: now)
    if let holder, holder.session != session { throw Refusal.active(name) }
    if holder == nil { try await rules.checkNobodyElse(name) }
    let before = joined[name]
    joined[name] = role
    do throws(Refusal) {
      try await say(join(name, role), as: name)
    } catch {
      joined[name] = before
      throw error
    }
    return await participants(log.state, at: log.now)
  }

  /// Drops a name of this session. A name that another process holds stays that one's.
  func leave(name: String) async throws(Refusal) -> JSONValue {
    let (fold, now) = try await current()
    guard let holder = fold.names.holder(of: name, at: now) else {
      joined[name] = nil
      return ["left": false]
    }
    guard holder.session == session else {
      throw Refusal(
        403, "participant_active", "participant '\(name)' is active in another process, which alone can remove it")
    }
    joined[name] = nil
    let outcome = try await say(.leave(name: name, session: session))
    return ["left": .bool(outcome == .done(true))]
  }

  /// Throws unless the session may speak under a name: one that it holds, its own, or one that is nobody's.
  func check(speaker name: String, _ fold: ChatroomFold, at now: Int64) async throws(Refusal) {
    if let holder = fold.names.holder(of: name, at: now) {
      guard holder.session == session else { throw Refusal.active(name) }
      return
    }
    try rules.checkClaim(name)
    guard !vouched.contains(name) else { return }
    try await rules.checkNobodyElse(name)
    if vouched.count < 1_000 { vouched.insert(name) }
  }

  func participants() async throws(Refusal) -> JSONValue {
    let (fold, now) = try await current()
    return participants(fold, at: now)
  }

  func participants(_ fold: ChatroomFold, at now: Int64) -> JSONValue {
    .array(
      fold.names.held(at: now).sorted { $0.name < $1.name }.map { entry in
        [
          "name": .string(entry.name), "role": .string(entry.detail),
          "joined_at": .string(ChatRecord.time(entry.joinedAt)),
          "last_seen": .string(ChatRecord.time(entry.lastSeen)),
        ]
      })
  }

  // MARK: Topics

  func openTopic(_ id: String, title: String) async throws(Refusal) -> JSONValue {
    let (fold, _) = try await current()
    guard fold.rooms[id] == nil else { throw Refusal.exists(id) }
    try await say(.open(topic: id, title: title))
    guard let room = await log.state.rooms[id] else { throw Refusal.unknown(id) }
    return ChatRecord.topic(room)
  }

  func closeTopic(_ id: String) async throws(Refusal) -> JSONValue {
    let (fold, _) = try await current()
    guard let room = fold.rooms[id] else { throw Refusal.unknown(id) }
    guard room.closedAt == nil else { return ["closed": false] }
    return ["closed": .bool(try await say(.close(topic: id)) == .done(true))]
  }

  func topics(name: String?, status: String) async throws(Refusal) -> JSONValue {
    let (fold, _) = try await current()
    let rooms = fold.rooms.values
      .filter { status == "all" || ($0.closedAt == nil) == (status == "open") }
      .sorted { ($0.lastActivity, $0.id) > ($1.lastActivity, $1.id) }
    return .array(
      rooms.map { room in
        var record = ChatRecord.topic(room).object ?? [:]
        record["latest_message_id"] = .int(Int64(room.latestID))
        if let name {
          record["cursor"] = .int(Int64(fold.cursor(of: name, in: room.id)))
          record["unread_count"] = .int(Int64(fold.unread(name, in: room.id)))
          record["latest_summary"] = ChatRecord.summary(fold.latestSummary(in: room.id, for: name), room.id)
        }
        return .object(record)
      })
  }

  func status() async throws(Refusal) -> JSONValue {
    let (fold, now) = try await current()
    return [
      "participant_count": .int(Int64(fold.names.held(at: now).count)), "topic_count": .int(Int64(fold.rooms.count)),
      "open_topic_count": .int(Int64(fold.rooms.values.count { $0.closedAt == nil })),
      "message_count": .int(Int64(fold.messageCount)), "summary_count": .int(Int64(fold.summaryCount)),
      "last_activity_ts": .text(fold.lastActivity.map(ChatRecord.time)),
    ]
  }

  // MARK: Messages

  /// Throws unless somebody may write to a topic.
  func check(_ topic: String?, _ fold: ChatroomFold, forWriting: Bool = false) throws(Refusal) {
    guard let topic else { return }
    guard let room = fold.rooms[topic] else { throw Refusal.unknown(topic) }
    guard !forWriting || room.closedAt == nil else { throw Refusal.closed(topic) }
  }

  func send(name: String, topic: String?, content: String, to: String) async throws(Refusal) -> JSONValue {
    let limit = hub.setup.limits.contentBytes
    guard content.utf8.count <= limit else {
      throw Refusal(422, "content_too_large", "content has \(content.utf8.count) bytes, the limit is \(limit)")
    }
    if to != "all" { try rules.checkForm(to, "to") }
    let (fold, now) = try await current()
    try check(topic, fold, forWriting: true)
    try await check(speaker: name, fold, at: now)
    let event = ChatEvent.say(topic: topic)
    let outcome = try await say(
      event, as: name, to: to == "all" ? nil : to, text: (content, event.message.attributes))
    await keepState()
    return ["id": number(outcome)]
  }

  func messages(topic: String?, after id: Int, limit: Int, for name: String?) async throws(Refusal) -> JSONValue {
    let (fold, _) = try await current()
    try check(topic, fold)
    return .array(try await records(fold.messages(in: topic, after: id, for: name, limit: limit), fold))
  }

  /// Messages as results carry them; a text that had to be let go is read again.
  func records(_ entries: [ChatroomFold.Entry], _ fold: ChatroomFold) async throws(Refusal) -> [JSONValue] {
    var records: [JSONValue] = []
    for var entry in entries {
      if entry.content == nil, let place = fold.place(before: entry.id) {
        let request = FetchRequest(options.topic, .after(place), limit: 1)
        let page = try await refusing { () throws(HubError) in try await hub.fetchUnchecked(request) }
        entry.content = page.messages.first { $0.id == entry.message }?.content
      }
      records.append(ChatRecord.message(entry))
    }
    return records
  }
}
