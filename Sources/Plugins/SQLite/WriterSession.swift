import CSQLite
import Glibc
import ParleyRuntime

/// An open file as the writer sees it: connection, statements, turnstile.
struct WriterSession: ~Copyable {
  /// What one turn at the turnstile did.
  struct Slice {
    var results: [(call: PostCall, result: Result<Receipt, SeamError>)] = []
    /// Why the session cannot go on.
    var lost: SeamError?
    /// Rows that are new, consecutive: other processes are to be told by `announce`.
    var stored: [StoredRow] = []
  }

  let facts: Schema.Facts
  private let path: String
  let durability: Durability
  let connection: SQLiteConnection
  private var sidecar: SidecarHandle
  private let begin: SQLiteStatement
  private let commit: SQLiteStatement
  private let rollback: SQLiteStatement
  private let newest: SQLiteStatement
  var insert: MessageInsert
  /// Made when so many rows come together for the first time.
  var insertMany: MessageInsert?
  let findKey: SQLiteStatement
  let findNonce: SQLiteStatement
  private let chunkEnd: SQLiteStatement
  private let deleteOld: SQLiteStatement

  /// Rows that one statement adds where as many wait: more at once would hardly be cheaper.
  static let rowsAtOnce = 16
  /// How long one batch holds the turnstile before it lets others in.
  private static let timeSlice = Duration.milliseconds(10)
  /// How long a batch waits for writers that do not use the turnstile.
  private static let lockPatience = Duration.seconds(5)
  /// From this many pages of WAL on (12 MB), and again after each further thousand, writing waits for checkpoints.
  private static let longLog = 3000
  private var nextHold = longLog

  /// Opens the file, creates it where it is missing, and makes or upgrades its tables.
  static func open(_ options: SQLiteOptions) throws(SeamError) -> WriterSession {
    let operation = "open \(options.path)"
    try DatabaseFile.check(options.path)
    do throws(SQLiteFailure) {
      let connection = try connect(options)
      guard !connection.isReadOnly else {
        throw SQLiteFailure(extended: SQLITE_READONLY, system: 0, message: "write-protected")
      }
      let facts: Schema.Facts
      switch try Schema.prepare(connection, generation: newGeneration()) {
      case .ready(let found): facts = found
      case .newer(let version):
        throw SQLiteFailure(
          extended: SQLITE_SCHEMA, system: 0,
          message: "the file has schema version \(version), this Parley knows \(Schema.version): use a newer Parley")
      }
      for suffix in ["-wal", "-shm"] { FileCalls.makePrivate(options.path + suffix) }
      let sidecar: SidecarHandle
      do throws(SystemError) { sidecar = try SidecarHandle(database: options.path) } catch {
        throw SQLiteFailure(extended: SQLITE_CANTOPEN, system: error.code, message: error.operation)
      }
      return try WriterSession(options, connection: connection, sidecar: sidecar, facts: facts)
    } catch {
      throw error.seamError(operation)
    }
  }

  private static func connect(_ options: SQLiteOptions) throws(SQLiteFailure) -> SQLiteConnection {
    let connection = try SQLiteConnection(path: options.path, create: true)
    FileCalls.makePrivate(options.path)
    connection.waitForLocks(upTo: lockPatience)
    try enableWAL(connection)
    try connection.execute(
      """
      PRAGMA synchronous=\(options.durability == .full ? "FULL" : "NORMAL");
      PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=8388608; PRAGMA cache_size=-2048;
      """)
    connection.countWALPages()
    // Rows of ours have their time, which is what the trigger of insertions is for; asking it anyway costs a row a third
    // of its time. `prune` has the one of deletions run.
    connection.runTriggers(false)
    return connection
  }

  private init(
    _ options: SQLiteOptions, connection: consuming SQLiteConnection, sidecar: consuming SidecarHandle,
    facts: Schema.Facts
  ) throws(SQLiteFailure) {
    let begin = try connection.prepare("BEGIN IMMEDIATE")
    let commit = try connection.prepare("COMMIT")
    let rollback = try connection.prepare("ROLLBACK")
    let newest = try connection.prepare("SELECT stored_at, ts FROM messages ORDER BY id DESC LIMIT 1")
    let insert = try MessageInsert(connection, count: 1)
    let findKey = try connection.prepare(
      """
      SELECT id, content, in_reply_to, recipient, attributes, stored_at, ts FROM messages
      WHERE topic = ?1 AND author = ?2 AND key = ?3
      """)
    // The newest rows alone: what is searched for was stored seconds ago.
    let findNonce = try connection.prepare(
      """
      SELECT id, content, in_reply_to, recipient, attributes, stored_at, ts FROM messages
      WHERE id > (SELECT max(id) FROM messages) - 100000 AND topic = ?1 AND instance = ?2 AND nonce = ?3
      """)
    let chunkEnd = try connection.prepare(
      "SELECT max(id) FROM (SELECT id FROM messages WHERE id > ?1 ORDER BY id LIMIT 500)")
    let deleteOld = try connection.prepare(
      """
      DELETE FROM messages WHERE id > ?1 AND id <= ?2 AND substr(topic, 1, 1) NOT IN ('@', '~')
        AND CASE WHEN stored_at IS NULL THEN ts < ?4 ELSE stored_at < ?3 END
      """)
    path = options.path
    durability = options.durability == .full ? .synced : .written
    self.facts = facts
    self.connection = connection
    self.sidecar = sidecar
    self.begin = begin
    self.commit = commit
    self.rollback = rollback
    self.newest = newest
    self.insert = insert
    self.findKey = findKey
    self.findNonce = findNonce
    self.chunkEnd = chunkEnd
    self.deleteOld = deleteOld
  }

  /// Pages in the WAL after the last commit.
  var walPages: Int { connection.walPages }

  var openStatements: Int { connection.openStatements }

  private static func newGeneration() -> String {
    let digits = String(UInt32.random(in: .min ... .max), radix: 16)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits
  }

  /// Changing the journal mode takes an exclusive lock, for which SQLite does not call the busy handler.
  private static func enableWAL(_ connection: borrowing SQLiteConnection) throws(SQLiteFailure) {
    var attempt: UInt32 = 0
    while true {
      do throws(SQLiteFailure) {
        if let mode = try connection.text("PRAGMA journal_mode=WAL"), mode != "wal", !connection.isReadOnly {
          throw SQLiteFailure(
            extended: SQLITE_NOLFS, system: 0, message: "the file system does not carry WAL (mode \(mode))")
        }
        return
      } catch {
        attempt += 1
        guard error.isBusy, attempt < 20 else { throw error }
        usleep((5 + attempt) * 1000)
      }
    }
  }

  // MARK: Posting

  /// Takes its turn and stores calls from the front of `rest` in one transaction, as many as fit the time slice.
  ///
  /// Every call that is removed from `rest` is answered or in the slice's results.
  mutating func commit(_ rest: inout ArraySlice<PostCall>, now: Int64) -> Slice {
    var slice = Slice()
    do throws(SystemError) {
      try sidecar.reopenIfUnlinked()
      try sidecar.lock()
    } catch {
      let failure = SeamError(.unavailable, native: Int(error.code), operation: "post", cause: error.description)
      refuseAll(&rest, failure, &slice)
      slice.lost = failure
      return slice
    }
    let started = ContinuousClock.now
    if !transaction(&rest, now: now, until: started + Self.timeSlice, &slice) { slice.stored = [] }
    if let last = slice.stored.last { sidecar.publish(last.id) }
    sidecar.unlock()
    return slice
  }

  /// Wakes the readers of every process, this one included.
  func announce() { sidecar.touch() }

  /// Waits a moment for the WAL to start over when commits outrun the reader's checkpoints, as they do on a slow disk.
  mutating func holdBackIfLogIsLong() {
    let pages = connection.walPages
    if pages < Self.longLog { nextHold = Self.longLog }
    guard pages >= nextHold else { return }
    connection.waitForLocks(upTo: .milliseconds(20))
    defer { connection.waitForLocks(upTo: Self.lockPatience) }
    let end = ContinuousClock.now + .milliseconds(250)
    // While the reader's checkpoint runs, SQLite refuses another at once, whatever patience it was given.
    while (try? connection.checkpoint(.restart)) != true {
      guard ContinuousClock.now < end else {
        nextHold = pages + 1000
        return
      }
      usleep(5000)
    }
  }

  /// False when nothing was committed.
  private mutating func transaction(
    _ rest: inout ArraySlice<PostCall>, now: Int64, until end: ContinuousClock.Instant, _ slice: inout Slice
  ) -> Bool {
    guard !connection.hasMoved else {
      let failure = SeamError(
        .unavailable, operation: "post", cause: "the file \(path) was deleted or replaced while it was open")
      refuseAll(&rest, failure, &slice)
      slice.lost = failure
      return false
    }
    guard beginImmediate(&rest, &slice) else { return false }
    do throws(SQLiteFailure) {
      let storedAt = max(now, try newestStoredAt())
      let timestamp = Timestamp.text(now)
      while !rest.isEmpty {
        try storeNext(of: &rest, storedAt: storedAt, timestamp: timestamp, &slice)
        if ContinuousClock.now >= end { break }
      }
    } catch {
      abort(error, &slice, outcome: nil)
      return false
    }
    do throws(SQLiteFailure) { try commit.run() } catch {
      // Once COMMIT has begun to write, a failed write or fsync leaves open what a recovery will find.
      abort(error, &slice, outcome: error.leavesCommitOpen ? .outcomeUnknown : nil)
      return false
    }
    return true
  }

  /// Waits for the write lock while anyone still waits for the outcome. False when nothing was begun.
  private func beginImmediate(_ rest: inout ArraySlice<PostCall>, _ slice: inout Slice) -> Bool {
    let end = ContinuousClock.now + Self.lockPatience
    connection.waitForLocks(upTo: .milliseconds(20))
    defer { connection.waitForLocks(upTo: Self.lockPatience) }
    while true {
      rest = rest.drop { $0.isOver }
      if rest.isEmpty { return false }
      do throws(SQLiteFailure) {
        try begin.run()
        return true
      } catch {
        if error.isBusy, ContinuousClock.now < end { continue }
        refuseAll(&rest, error.seamError("post"), &slice)
        return false
      }
    }
  }

  private func newestStoredAt() throws(SQLiteFailure) -> Int64 {
    defer { newest.reset() }
    guard try newest.step() else { return 0 }
    return newest.integer(0) ?? newest.text(1).flatMap(Timestamp.milliseconds) ?? 0
  }

  /// Rolls back and fails every call of the transaction.
  private func abort(_ failure: SQLiteFailure, _ slice: inout Slice, outcome: SeamError.Code?) {
    if connection.isInTransaction { try? rollback.run() }
    var error = failure.seamError("post")
    if let outcome { error.code = outcome }
    for index in slice.results.indices { slice.results[index].result = .failure(error) }
    if error.code == .corrupt { slice.lost = error }
  }

  private func refuseAll(_ rest: inout ArraySlice<PostCall>, _ error: SeamError, _ slice: inout Slice) {
    for call in rest where call.take() { slice.results.append((call, .failure(error))) }
    rest = []
  }

  // MARK: Retention

  /// Deletes the old ones among the next 500 rows after `id`; returns where to go on, nil when the rest is newer.
  mutating func prune(after id: Int64, cutoff: Int64) throws -> Int64? {
    chunkEnd.bind(id, at: 1)
    let last = try chunkEnd.step() ? chunkEnd.integer(0) : nil
    chunkEnd.reset()
    guard let last else { return nil }
    try sidecar.lock()
    connection.runTriggers(true)
    defer {
      connection.runTriggers(false)
      sidecar.unlock()
    }
    try begin.run()
    do {
      deleteOld.bind(id, at: 1)
      deleteOld.bind(last, at: 2)
      deleteOld.bind(cutoff, at: 3)
      deleteOld.bind(Timestamp.text(cutoff), at: 4)
      try deleteOld.run()
      try commit.run()
    } catch {
      if connection.isInTransaction { try? rollback.run() }
      throw error
    }
    sidecar.touch()
    let newestOfChunk = try connection.integer(
      "SELECT coalesce(stored_at, 0) FROM messages WHERE id <= \(last) ORDER BY id DESC LIMIT 1")
    return newestOfChunk.map { $0 >= cutoff } == true ? nil : last
  }
}
