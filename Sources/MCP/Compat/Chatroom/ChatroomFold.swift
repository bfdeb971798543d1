import ParleyCoordination
import ParleyRuntime

/// A chatroom as its log tells it: messages with gapless numbers, topics, who is here, how far each has read.
///
/// A message's number is its place among the messages of the log that count, so all readers agree on any backend. Where
/// the beginning of the log is gone, a later `chat.state` says how many there were.
struct ChatroomFold: TopicFold {
  /// What an event brought.
  enum Outcome: Hashable, Sendable {
    /// The message, or the summary, has this number.
    case number(Int)
    /// It counts; `false` where it found what it asks for.
    case done(Bool)
    /// The reader stands here.
    case cursor(Int)
    case refused(Refusal)
  }

  /// One message of the room.
  struct Entry: Hashable, Sendable {
    var id: Int
    var topic: String?
    var from: String
    /// Nil for all.
    var to: String?
    var at: Int64
    /// Nil where it had to be let go: the log still has it.
    var content: String?
    var message: MessageID
    /// The place behind it.
    var cursor: Cursor

    func isVisible(to name: String?) -> Bool { name == nil || to == nil || to == name }
  }

  /// One topic of the room.
  struct Room: Hashable, Sendable {
    var id: String
    var title: String
    var createdAt: Int64
    var closedAt: Int64?
    var lastActivity: Int64
    var latestID = 0
  }

  /// What somebody wrote down for those who come later.
  struct Summary: Hashable, Sendable {
    var number: Int
    /// The one it is for, or "all".
    var scope: String
    var text: String
    var by: String
    var at: Int64
  }

  /// Who reads what.
  struct Reader: Hashable, Sendable {
    var name: String
    var topic: String?
  }

  /// Messages that are kept, and bytes of their texts; the oldest make room.
  static let entryLimit = 200_000
  static let textLimit = 32 << 20
  static let topicLimit = 10_000
  /// Summaries of a topic that are kept, and bytes of a text.
  static let scopeLimit = 100
  static let summaryBytes = 16_384

  private(set) var entries: [Entry] = []
  private var firstText = 0
  private var textBytes = 0
  private(set) var messageCount = 0
  private(set) var summaryCount = 0
  private(set) var rooms: [String: Room] = [:]
  private(set) var names = NameTable()
  private(set) var cursors: [Reader: Int] = [:]
  /// The latest by topic ("" for the room itself) and scope, in the order of writing.
  private(set) var summaries: [String: [Summary]] = [:]
  private(set) var lastActivity: Int64?
  /// Messages since the last `chat.state`.
  private(set) var sinceState = 0
  /// When that was stored, or the first event where there is none: what the state stands on.
  private(set) var standsSince: Int64?
  /// The newest message, also where the log has let go of it.
  private var lastMessage: MessageID?
  private(set) var lobbyLatest = 0
  /// What an older room kept in files is in the log.
  private(set) var hasImported = false

  init() {}

  static func concerns(_ message: Message) -> Bool {
    guard !message.isLate else { return false }
    return message.kind.map { $0 == "summary" || $0.hasPrefix("chat.") } ?? true
  }

  @discardableResult
  mutating func apply(_ message: Message) -> Outcome? {
    guard let event = ChatEvent(message) else { return nil }
    let now = message.storedAt
    standsSince = standsSince ?? now
    switch event {
    case .say(let topic):
      return append(message, topic: topic, from: message.sender.name, to: message.to?.name)
    case .join(let name, let role, let session, let lifetime):
      let until = now + lifetime
      guard names.take(name, session: session, account: message.account, detail: role, at: now, until: until) else {
        return .refused(.active(name))
      }
      return .done(true)
    case .leave(let name, let session):
      guard names.drop(name, session: session, account: message.account, at: now) else { return .done(false) }
      _ = append(message, topic: nil, from: "system", to: nil)
      return .done(true)
    case .open(let topic, let title):
      guard rooms[topic] == nil else { return .refused(.exists(topic)) }
      guard rooms.count < Self.topicLimit else {
        return .refused(Refusal(409, "topics_full", "the room has \(Self.topicLimit) topics, the most it may have"))
      }
      rooms[topic] = Room(id: topic, title: title, createdAt: now, lastActivity: now)
      return .done(true)
    case .close(let topic):
      guard let room = rooms[topic] else { return .refused(.unknown(topic)) }
      guard room.closedAt == nil else { return .done(false) }
      rooms[topic]?.closedAt = now
      rooms[topic]?.lastActivity = now
      return .done(true)
    case .cursor(let name, let topic, let from, let id): return move(Reader(name: name, topic: topic), from, to: id)
    case .summary(let topic): return summarise(message, topic)
    case .imported:
      hasImported = true
      return .done(true)
    case .state(let value):
      adopt(value)
      sinceState = 0
      standsSince = now
      return .done(true)
    }
  }

  /// A topic that nobody opened began in a part of the log that is gone: our tools post to no other.
  private mutating func refusal(of topic: String?, at now: Int64) -> Refusal? {
    guard let topic else { return nil }
    if let room = rooms[topic] { return room.closedAt == nil ? nil : .closed(topic) }
    guard rooms.count < Self.topicLimit else { return .unknown(topic) }
    rooms[topic] = Room(id: topic, title: topic, createdAt: now, lastActivity: now)
    return nil
  }

  private mutating func append(_ message: Message, topic: String?, from: String, to: String?) -> Outcome {
    if let refusal = refusal(of: topic, at: message.storedAt) { return .refused(refusal) }
    messageCount += 1
    sinceState += 1
    entries.append(
      Entry(
        id: messageCount, topic: topic, from: from, to: to == "all" ? nil : to, at: Self.time(of: message),
        content: message.content, message: message.id, cursor: message.cursor))
    lastMessage = message.id
    textBytes += message.content.utf8.count
    if let topic {
      rooms[topic]?.latestID = messageCount
      rooms[topic]?.lastActivity = message.storedAt
    } else {
      lobbyLatest = messageCount
    }
    lastActivity = message.storedAt
    names.note(from, session: message.instance, at: message.storedAt)
    makeRoom()
    return .number(messageCount)
  }

  /// When it was said, for people: that of what was taken over is its own.
  private static func time(of message: Message) -> Int64 {
    message.attributes[ChatEvent.timeName].flatMap { Int64($0) } ?? message.storedAt
  }

  private mutating func makeRoom() {
    while textBytes > Self.textLimit, firstText < entries.count {
      textBytes -= entries[firstText].content?.utf8.count ?? 0
      entries[firstText].content = nil
      firstText += 1
    }
    guard entries.count > Self.entryLimit else { return }
    let gone = entries.count - Self.entryLimit * 9 / 10
    for entry in entries.prefix(gone) { textBytes -= entry.content?.utf8.count ?? 0 }
    entries.removeFirst(gone)
    firstText = max(0, firstText - gone)
  }

  private mutating func move(_ reader: Reader, _ from: Int?, to id: Int) -> Outcome {
    let current = cursors[reader, default: 0]
    // Two that read at the same time: the second stands elsewhere than it thought.
    if let from, from != current { return .refused(Refusal(409, "cursor_moved", "another call read at the same time")) }
    cursors[reader] = max(current, min(id, latestID(in: reader.topic)))
    return .cursor(cursors[reader, default: 0])
  }

  private mutating func summarise(_ message: Message, _ topic: String?) -> Outcome? {
    if let refusal = refusal(of: topic, at: message.storedAt) { return .refused(refusal) }
    guard let scope = message.attributes["scope"], (1...Self.summaryBytes).contains(message.content.utf8.count) else {
      return nil
    }
    summaryCount += 1
    keep(
      Summary(
        number: summaryCount, scope: scope, text: message.content, by: message.sender.name, at: Self.time(of: message)),
      of: topic)
    if let topic { rooms[topic]?.lastActivity = message.storedAt }
    lastActivity = message.storedAt
    return .number(summaryCount)
  }

  private mutating func keep(_ summary: Summary, of topic: String?) {
    var all = summaries[topic ?? "", default: []]
    all.removeAll { $0.scope == summary.scope }
    all.append(summary)
    summaries[topic ?? ""] = all.suffix(Self.scopeLimit)
  }

  // MARK: Looking

  /// The number of the newest message of a topic; 0 where there is none.
  func latestID(in topic: String?) -> Int { topic.map { rooms[$0]?.latestID ?? 0 } ?? lobbyLatest }

  func cursor(of name: String, in topic: String?) -> Int { cursors[Reader(name: name, topic: topic), default: 0] }

  /// How many messages of a topic somebody has not read.
  func unread(_ name: String, in topic: String?) -> Int {
    let cursor = cursor(of: name, in: topic)
    return entries.reversed().prefix { $0.id > cursor }.count { $0.topic == topic && $0.isVisible(to: name) }
  }

  /// The oldest messages of a topic after a number.
  func messages(in topic: String?, after id: Int, for name: String?, limit: Int) -> [Entry] {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].id <= id { low = middle + 1 } else { high = middle }
    }
    return Array(entries[low...].lazy.filter { $0.topic == topic && $0.isVisible(to: name) }.prefix(limit))
  }

  /// The newest messages of a topic, ascending.
  func newest(in topic: String?, for name: String?, limit: Int) -> [Entry] {
    Array(
      entries.reversed().lazy.filter { $0.topic == topic && $0.isVisible(to: name) }.prefix(limit).reversed())
  }

  /// The latest summary of exactly this scope.
  func summary(in topic: String?, scope: String) -> Summary? { summaries[topic ?? ""]?.last { $0.scope == scope } }

  /// The latest summary for all, or for somebody.
  func latestSummary(in topic: String?, for name: String?) -> Summary? {
    summaries[topic ?? ""]?.last { $0.scope == "all" || $0.scope == name }
  }

  /// The place before a message, from which it can be read again; nil where that is not known.
  func place(before id: Int) -> Cursor? {
    guard let first = entries.first, id > first.id, id - first.id < entries.count else { return nil }
    return entries[id - first.id - 1].cursor
  }
}

extension ChatroomFold {
  /// What must be known where the beginning of the log is gone.
  var state: JSONValue {
    [
      "messages": .int(Int64(messageCount)), "last": .text(lastMessage?.text),
      "imported": .bool(hasImported), "summaries": .int(Int64(summaryCount)), "lobby": .int(Int64(lobbyLatest)),
      "topics": .array(
        rooms.values.sorted { $0.id < $1.id }.map { room in
          [
            "id": .string(room.id), "title": .string(room.title), "created": .int(room.createdAt),
            "closed": room.closedAt.map(JSONValue.int) ?? nil, "active": .int(room.lastActivity),
            "latest": .int(Int64(room.latestID)),
          ]
        }),
      "cursors": .array(
        cursors.sorted { ($0.key.name, $0.key.topic ?? "") < ($1.key.name, $1.key.topic ?? "") }.map { reader, id in
          ["name": .string(reader.name), "topic": .text(reader.topic), "id": .int(Int64(id))]
        }),
      "texts": .array(
        summaries.sorted { $0.key < $1.key }.flatMap { topic, all in
          all.map { summary in
            [
              "topic": topic.isEmpty ? nil : .string(topic), "scope": .string(summary.scope),
              "text": .string(summary.text), "by": .string(summary.by), "at": .int(summary.at),
              "number": .int(Int64(summary.number)),
            ]
          }
        }),
    ]
  }

  /// Takes over what somebody knew who had read more of the log. For who read all of it, nothing changes.
  private mutating func adopt(_ value: JSONValue) {
    guard let count = value["messages"]?.int.map(Int.init) else { return }
    hasImported = hasImported || value["imported"]?.bool == true
    if let last = value["last"]?.string.map({ MessageID($0) }) { renumber(upTo: last, as: count) }
    lobbyLatest = max(lobbyLatest, value["lobby"]?.int.map(Int.init) ?? 0)
    adoptRooms(value["topics"]?.array ?? [])
    for entry in value["cursors"]?.array ?? [] {
      guard let name = entry["name"]?.string, let id = entry["id"]?.int.map(Int.init) else { continue }
      let reader = Reader(name: name, topic: entry["topic"]?.string)
      cursors[reader] = max(cursors[reader, default: 0], id)
    }
    adoptSummaries(value)
  }

  /// The message `last` is the `number`th of the log: moves the numbers of those that are known by as much as is missing.
  private mutating func renumber(upTo last: MessageID, as number: Int) {
    let known = entries.last { $0.message == last }?.id ?? (entries.first.map { $0.id - 1 } ?? messageCount)
    let shift = number - known
    guard shift > 0 else { return }
    if entries.isEmpty { lastMessage = last }
    messageCount += shift
    for index in entries.indices { entries[index].id += shift }
    for id in rooms.keys where rooms[id]?.latestID != 0 { rooms[id]?.latestID += shift }
    if lobbyLatest != 0 { lobbyLatest += shift }
  }

  private mutating func adoptRooms(_ all: [JSONValue]) {
    for entry in all {
      guard let id = entry["id"]?.string, ChatEvent.isTopicID(id), let title = entry["title"]?.string,
        let created = entry["created"]?.int, let active = entry["active"]?.int,
        let latest = entry["latest"]?.int.map(Int.init)
      else { continue }
      var room = rooms[id] ?? Room(id: id, title: title, createdAt: created, lastActivity: active)
      room.title = title
      room.createdAt = min(room.createdAt, created)
      room.closedAt = room.closedAt ?? entry["closed"]?.int
      room.lastActivity = max(room.lastActivity, active)
      room.latestID = max(room.latestID, latest)
      rooms[id] = room
    }
  }

  private mutating func adoptSummaries(_ value: JSONValue) {
    let missing = max(0, (value["summaries"]?.int.map(Int.init) ?? 0) - summaryCount)
    summaryCount += missing
    for topic in summaries.keys {
      summaries[topic] = summaries[topic]?.map { summary in
        var later = summary
        later.number += missing
        return later
      }
    }
    for entry in value["texts"]?.array ?? [] {
      guard let text = entry["text"]?.string, let by = entry["by"]?.string, let at = entry["at"]?.int,
        let scope = entry["scope"]?.string, let number = entry["number"]?.int.map(Int.init)
      else { continue }
      let topic = entry["topic"]?.string
      guard summary(in: topic, scope: scope) == nil else { continue }
      keep(Summary(number: number, scope: scope, text: text, by: by, at: at), of: topic)
      summaries[topic ?? ""]?.sort { $0.number < $1.number }
    }
  }
}

extension Refusal {
  static func active(_ name: String) -> Refusal {
    Refusal(
      409, "participant_active",
      "participant '\(name)' is already active; choose a different name or remove the stale participant")
  }
  static func exists(_ topic: String) -> Refusal { Refusal(409, "topic_exists", "topic '\(topic)' already exists") }
  static func unknown(_ topic: String) -> Refusal { Refusal(404, "topic_unknown", "unknown topic_id: \(topic)") }
  static func closed(_ topic: String) -> Refusal { Refusal(409, "topic_closed", "topic '\(topic)' is closed") }
}
