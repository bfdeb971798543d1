import ParleyRuntime

/// An open file as the reader sees it: connection and statements. Every read is one snapshot.
struct ReaderSession: ~Copyable {
  /// A fetch whose cursor has been judged.
  struct Request: Sendable {
    enum Position: Sendable {
      case latest
      case after(LogPlace, Cursor)
      case before(LogPlace, Cursor, storedSince: Int64?)
    }

    let topic: Topic
    let position: Position
    let limit: Int
  }

  /// Messages, and the number of each one's row.
  struct Rows {
    private(set) var messages: [Message] = []
    private(set) var ids: [Int64] = []

    mutating func append(_ message: consuming Message, id: Int64) {
      messages.append(message)
      ids.append(id)
    }
  }

  /// The next part of one topic.
  struct CatchUp {
    var gap: Gap?
    var rows = Rows()
    /// Everything up to here has been read.
    var position: Int64
    /// The topic's highest deleted id.
    var deleted: Int64
    var hasMore = false
  }

  /// The next part of the whole log.
  struct Stretch {
    var rows = Rows()
    /// Everything up to here has been read.
    var position: Int64
    var hasMore = false
    /// The highest deleted id of each topic that lost a message in this stretch.
    var deleted: [ExactText: Int64] = [:]
  }

  private let facts: Schema.Facts
  private let connection: SQLiteConnection
  private let begin: SQLiteStatement
  private let end: SQLiteStatement
  private let state: SQLiteStatement
  private let following: SQLiteStatement
  private let preceding: SQLiteStatement
  private let all: SQLiteStatement
  private let deletions: SQLiteStatement
  private let version: SQLiteStatement

  /// A page ends here even when more messages were asked for.
  private static let pageBytes = 1 << 20
  /// At most this many rows in one stretch.
  private static let stretchRows: Int64 = 512

  init(path: String, facts: Schema.Facts) throws(SQLiteFailure) {
    let connection = try SQLiteConnection(path: path, create: false)
    connection.waitForLocks(upTo: .seconds(1))
    try connection.execute("PRAGMA query_only=1; PRAGMA cache_size=-2048; PRAGMA journal_size_limit=8388608")
    let begin = try connection.prepare("BEGIN")
    let end = try connection.prepare("COMMIT")
    let state = try connection.prepare(
      """
      SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'messages'), (SELECT id FROM parley_deleted WHERE topic = ?1)
      """)
    let columns = "id, topic, sender, content, ts, in_reply_to, stored_at, instance, recipient, attributes"
    let following = try connection.prepare(
      "SELECT \(columns) FROM messages WHERE topic = ?1 AND id > ?2 ORDER BY id LIMIT ?3")
    let preceding = try connection.prepare(
      "SELECT \(columns) FROM messages WHERE topic = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3")
    let all = try connection.prepare("SELECT \(columns) FROM messages WHERE id > ?1 ORDER BY id LIMIT ?2")
    let deletions = try connection.prepare("SELECT topic, id FROM parley_deleted WHERE id > ?1 AND id <= ?2")
    let version = try connection.prepare("PRAGMA data_version")
    self.facts = facts
    self.connection = connection
    self.begin = begin
    self.end = end
    self.state = state
    self.following = following
    self.preceding = preceding
    self.all = all
    self.deletions = deletions
    self.version = version
  }

  var openStatements: Int { connection.openStatements }

  var hasMoved: Bool { connection.hasMoved }

  /// Changes whenever another connection has committed.
  func dataVersion() throws(SQLiteFailure) -> Int64 {
    defer { version.reset() }
    return try version.step() ? version.integer(0) ?? 0 : 0
  }

  /// Moves WAL pages into the database, waiting at most this long for others; false when they were in the way.
  func checkpoint(_ checkpoint: SQLiteConnection.Checkpoint, within patience: Duration) throws(SQLiteFailure) -> Bool {
    connection.waitForLocks(upTo: patience)
    defer { connection.waitForLocks(upTo: .seconds(1)) }
    return try connection.checkpoint(checkpoint)
  }

  // MARK: Reading

  /// Reads one page.
  func page(_ request: Request) throws(SQLiteFailure) -> Page {
    switch request.position {
    case .latest:
      return try backwards(request.topic, from: nil, since: nil, limit: request.limit)
    case .before(let place, let cursor, let since):
      return try backwards(request.topic, from: (place, cursor), since: since, limit: request.limit)
    case .after(let place, let cursor):
      let read = try catchUp(request.topic, from: place, cursor: cursor, told: 0, limit: request.limit)
      var stood = read.position
      if case .after(let id) = place { stood = id }
      return Page(
        messages: read.rows.messages, next: read.rows.messages.last?.cursor ?? read.gap?.to ?? self.cursor(stood),
        hasMore: read.hasMore, gap: read.gap)
    }
  }

  /// Reads what follows a place of one topic, with the gap before it unless the reader was told of it (`told` is the
  /// highest deleted id it knows).
  func catchUp(
    _ topic: Topic, from place: LogPlace, cursor: Cursor, told: Int64, limit: Int
  ) throws(SQLiteFailure) -> CatchUp {
    try begin.run()
    defer { try? end.run() }
    let (last, deleted) = try state(of: topic)
    var start: Int64 = 0
    var loss: (reason: String, isCertain: Bool)?
    switch place {
    case .elsewhere:
      loss = ("the cursor is from another file: this one was replaced", false)
    case .after(let id) where id > last:
      loss = ("the cursor is ahead of the log: the file went back to an earlier state", false)
    case .after(let id):
      start = id
      if deleted > max(id, told) {
        loss = ("messages after the cursor were deleted", true)
      } else if id < facts.trackedFrom {
        loss = ("messages may have been deleted before deletions were recorded", false)
      }
    }
    var read = CatchUp(position: last, deleted: deleted)
    following.bind(topic.name, at: 1)
    following.bind(start, at: 2)
    following.bind(Int64(limit) + 1, at: 3)
    defer { following.reset() }
    var bytes = 0
    while try following.step() {
      bytes += following.byteCount(3)
      if read.rows.ids.count == limit || (bytes > Self.pageBytes && !read.rows.ids.isEmpty) {
        read.hasMore = true
        break
      }
      let id = following.integer(0) ?? 0
      read.rows.append(message(following, id: id, after: read.rows.messages), id: id)
    }
    if read.hasMore, let newest = read.rows.ids.last { read.position = newest }
    read.gap = loss.map { loss in
      Gap(
        topic: topic, from: cursor, to: self.cursor(read.rows.ids.first.map { $0 - 1 } ?? last), reason: loss.reason,
        isCertain: loss.isCertain)
    }
    return read
  }

  private func backwards(
    _ topic: Topic, from: (place: LogPlace, cursor: Cursor)?, since: Int64?, limit: Int
  ) throws(SQLiteFailure) -> Page {
    try begin.run()
    defer { try? end.run() }
    let (last, _) = try state(of: topic)
    var end = Int64.max
    var gap: Gap?
    if let from {
      if case .after(let id) = from.place, id <= last {
        end = id
      } else {
        gap = Gap(
          topic: topic, from: from.cursor, to: cursor(last),
          reason: "the cursor names no place of this file: it was replaced, or went back to an earlier state",
          isCertain: false)
      }
    }
    preceding.bind(topic.name, at: 1)
    preceding.bind(end, at: 2)
    preceding.bind(Int64(limit) + 1, at: 3)
    defer { preceding.reset() }
    var messages: [Message] = []
    var bytes = 0
    var hasOlder = false
    while try preceding.step() {
      bytes += preceding.byteCount(3)
      if messages.count == limit || (bytes > Self.pageBytes && !messages.isEmpty) {
        hasOlder = true
        break
      }
      let message = message(preceding, id: preceding.integer(0) ?? 0, after: messages)
      if let since, message.storedAt < since { break }
      messages.append(message)
    }
    messages.reverse()
    let stood = end == .max ? last : end
    return Page(
      messages: messages, next: messages.last?.cursor ?? cursor(stood),
      previous: hasOlder ? messages.first?.cursor : nil, hasMore: hasOlder && from != nil, gap: gap)
  }

  /// Reads what follows a place of the whole log, of the topics that are wanted.
  ///
  /// Ids are given without holes, so a hole is a deletion: only then the table of deletions is asked. Without one up to
  /// `committed`, the last row that is known to be stored, a single statement tells it all.
  func stretch(
    after start: Int64, committed: Int64?, isWanted: (ExactText) -> Bool
  ) throws(SQLiteFailure) -> Stretch {
    if let committed {
      let (read, hasHole) = try rows(after: start, isWanted: isWanted)
      if !hasHole, read.position >= committed { return read }
    }
    try begin.run()
    defer { try? end.run() }
    var (read, hasHole) = try rows(after: start, isWanted: isWanted)
    if !read.hasMore {
      let (last, _) = try state(of: Topic(""))
      hasHole = hasHole || last > read.position
      // A log that went back to an earlier state is read on from where it is now.
      read.position = last
    }
    if hasHole {
      deletions.bind(start, at: 1)
      deletions.bind(read.position, at: 2)
      defer { deletions.reset() }
      while try deletions.step() {
        if let topic = deletions.text(0), let id = deletions.integer(1) { read.deleted[ExactText(topic)] = id }
      }
    }
    return read
  }

  private func rows(
    after start: Int64, isWanted: (ExactText) -> Bool
  ) throws(SQLiteFailure) -> (read: Stretch, hasHole: Bool) {
    var read = Stretch(position: start)
    all.bind(start, at: 1)
    all.bind(Self.stretchRows, at: 2)
    defer { all.reset() }
    var count: Int64 = 0
    var bytes = 0
    var hasHole = false
    while try all.step() {
      let id = all.integer(0) ?? 0
      hasHole = hasHole || id != read.position + 1
      read.position = id
      count += 1
      if isWanted(ExactText(all.text(1))) {
        bytes += all.byteCount(3)
        read.rows.append(message(all, id: id, after: read.rows.messages), id: id)
      }
      if bytes > Self.pageBytes { break }
    }
    read.hasMore = count == Self.stretchRows || bytes > Self.pageBytes
    return (read, hasHole)
  }

  /// The cursor for the place after a row.
  func cursor(_ id: Int64) -> Cursor { facts.names(of: id).cursor }

  /// The highest id ever given, and the topic's highest deleted one, 0 for none.
  private func state(of topic: Topic) throws(SQLiteFailure) -> (last: Int64, deleted: Int64) {
    state.bind(topic.name, at: 1)
    defer { state.reset() }
    guard try state.step() else { return (0, 0) }
    return (state.integer(0) ?? 0, state.integer(1) ?? 0)
  }

  /// The row that the statement stands on; `previous` lends the texts that both have.
  private func message(
    _ statement: borrowing SQLiteStatement, id: Int64, after previous: [Message]
  ) -> Message {
    let last = previous.indices.last
    let (text, cursor) = facts.names(of: id)
    let timestamp = statement.text(4, like: last.map { previous[$0].timestamp }) ?? ""
    return Message(
      topic: Topic(statement.text(1, like: last.map { previous[$0].topic.name }) ?? ""),
      sender: Handle(statement.text(2, like: last.map { previous[$0].sender.name }) ?? ""),
      instance: statement.text(7, like: last.flatMap { previous[$0].instance }),
      content: statement.text(3) ?? "", timestamp: timestamp,
      storedAt: statement.integer(6) ?? Timestamp.milliseconds(timestamp) ?? 0, id: text,
      cursor: cursor, inReplyTo: statement.text(5).map(MessageID.init), to: statement.text(8).map(Handle.init),
      attributes: statement.text(9).map { Attributes(json: $0) } ?? [:])
  }
}
