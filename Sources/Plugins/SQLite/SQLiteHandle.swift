import CSQLite
import Glibc

/// A failed SQLite call, with everything the library says about it.
struct SQLiteFailure: Error, Hashable {
  /// The extended result code.
  let extended: CInt
  /// `errno` of the system call behind it, 0 when there was none.
  let system: CInt
  /// The library's own text.
  let message: String

  /// The primary result code.
  var code: CInt { extended & 0xff }
}

/// An open connection; closed when the value ends. One thread at a time.
@safe struct SQLiteConnection: ~Copyable {
  private let handle: OpaquePointer
  /// Written by the WAL hook after each commit of this connection.
  private let walPagesCell: UnsafeMutablePointer<CInt>

  /// Where the process used the library before, it stays as it was.
  private static let isLibraryReady = parley_sqlite_forgo_statistics() == SQLITE_OK

  /// Opens `path`, which is created when `create` says so and it is missing.
  ///
  /// A write-protected file opens too, as read-only (see `isReadOnly`).
  init(path: String, create: Bool) throws(SQLiteFailure) {
    _ = Self.isLibraryReady
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0)
    let result = unsafe sqlite3_open_v2(path, &opened, flags, nil)
    guard let opened = unsafe opened else {
      throw SQLiteFailure(extended: result, system: 0, message: "out of memory")
    }
    guard result == SQLITE_OK else {
      let failure = unsafe Self.failure(of: opened)
      unsafe sqlite3_close_v2(opened)
      throw failure
    }
    unsafe sqlite3_extended_result_codes(opened, 1)
    unsafe handle = opened
    unsafe walPagesCell = .allocate(capacity: 1)
    unsafe walPagesCell.initialize(to: 0)
  }

  deinit {
    // The _v2 form waits for statements that end later than their connection.
    unsafe sqlite3_wal_hook(handle, nil, nil)
    unsafe sqlite3_close_v2(handle)
    unsafe walPagesCell.deallocate()
  }

  /// Prepares a statement that is kept.
  func prepare(_ sql: String) throws(SQLiteFailure) -> SQLiteStatement {
    var statement: OpaquePointer?
    guard
      unsafe sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil) == SQLITE_OK,
      let statement = unsafe statement
    else { throw unsafe Self.failure(of: handle) }
    return unsafe SQLiteStatement(statement, connection: handle)
  }

  /// Runs statements that return nothing of interest.
  func execute(_ sql: String) throws(SQLiteFailure) {
    guard unsafe sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw unsafe Self.failure(of: handle) }
  }

  /// The first column of the first row, nil when there is none.
  func text(_ sql: String) throws(SQLiteFailure) -> String? {
    let statement = try prepare(sql)
    return try statement.step() ? statement.text(0) : nil
  }

  /// The first column of the first row, nil when there is none.
  func integer(_ sql: String) throws(SQLiteFailure) -> Int64? {
    let statement = try prepare(sql)
    return try statement.step() ? statement.integer(0) : nil
  }

  /// Waits this long for locks of other connections, in random steps of 0.2 to 1 ms: fair among many writers, where
  /// `sqlite3_busy_timeout` backs off to 100 ms steps and starves.
  func waitForLocks(upTo limit: Duration) {
    let steps = Int(max(limit / .microseconds(600), 0))
    unsafe sqlite3_busy_handler(handle, sleepWhileBusy, UnsafeMutableRawPointer(bitPattern: steps))
  }

  /// Whether this connection runs the tables' triggers; it does from the beginning.
  func runTriggers(_ enabled: Bool) { _ = unsafe parley_sqlite_triggers(handle, enabled ? 1 : 0) }

  /// How far a checkpoint goes.
  enum Checkpoint {
    /// Copies what it can without waiting for anyone.
    case passive
    /// Waits for writers and readers, as long as `waitForLocks` says, so that the next commit starts the WAL over.
    case restart
    /// The same, and gives the WAL's disk space back.
    case truncate
  }

  /// Moves pages from the WAL into the database; false when locks kept it from doing all it should.
  func checkpoint(_ checkpoint: Checkpoint) throws(SQLiteFailure) -> Bool {
    let mode =
      switch checkpoint {
      case .passive: SQLITE_CHECKPOINT_PASSIVE
      case .restart: SQLITE_CHECKPOINT_RESTART
      case .truncate: SQLITE_CHECKPOINT_TRUNCATE
      }
    let result = unsafe sqlite3_wal_checkpoint_v2(handle, "main", mode, nil, nil)
    guard result == SQLITE_OK || result & 0xff == SQLITE_BUSY else { throw unsafe Self.failure(of: handle) }
    return result == SQLITE_OK
  }

  /// Keeps count of the WAL's pages; to be called after `PRAGMA wal_autocheckpoint`, which takes the hook's place.
  func countWALPages() { unsafe sqlite3_wal_hook(handle, recordWALPages, walPagesCell) }

  /// Pages in the WAL after this connection's last commit.
  var walPages: Int { Int(unsafe walPagesCell.pointee) }

  /// The id of the row inserted last.
  var lastInsertedID: Int64 { unsafe sqlite3_last_insert_rowid(handle) }

  /// The file could not be opened for writing.
  var isReadOnly: Bool { unsafe sqlite3_db_readonly(handle, "main") == 1 }

  /// The path no longer names the file that is open.
  var hasMoved: Bool {
    var moved: CInt = 0
    return unsafe parley_sqlite_has_moved(handle, &moved) == SQLITE_OK && moved != 0
  }

  /// A transaction is open.
  var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

  /// Statements that have been stepped and not reset: an open one pins the WAL.
  var openStatements: Int {
    var count = 0
    var next = unsafe sqlite3_next_stmt(handle, nil)
    while let statement = unsafe next {
      if unsafe sqlite3_stmt_busy(statement) != 0 { count += 1 }
      unsafe next = unsafe sqlite3_next_stmt(handle, statement)
    }
    return count
  }

  fileprivate static func failure(of handle: OpaquePointer) -> SQLiteFailure {
    SQLiteFailure(
      extended: unsafe sqlite3_extended_errcode(handle), system: unsafe sqlite3_system_errno(handle),
      message: unsafe String(cString: sqlite3_errmsg(handle)))
  }
}

/// A prepared statement; finalized when the value ends. Whoever steps it resets it before the next suspension.
@safe struct SQLiteStatement: ~Copyable {
  private let handle: OpaquePointer
  private let connection: OpaquePointer

  fileprivate init(_ handle: OpaquePointer, connection: OpaquePointer) {
    unsafe self.handle = handle
    unsafe self.connection = connection
  }

  deinit { unsafe sqlite3_finalize(handle) }

  /// Binds a copy of `text`, or NULL; parameters count from 1.
  func bind(_ text: String?, at index: CInt) {
    guard let text else {
      unsafe sqlite3_bind_null(handle, index)
      return
    }
    // Native Swift strings are NUL-terminated, so this hands out their own storage.
    _ = unsafe text.withCString { bytes in
      unsafe sqlite3_bind_text(handle, index, bytes, CInt(text.utf8.count), parley_sqlite_transient())
    }
  }

  /// Binds a number, or NULL; parameters count from 1.
  func bind(_ number: Int64?, at index: CInt) {
    if let number { unsafe sqlite3_bind_int64(handle, index, number) } else { unsafe sqlite3_bind_null(handle, index) }
  }

  /// Goes to the next row; false at the end.
  func step() throws(SQLiteFailure) -> Bool {
    switch unsafe sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw unsafe SQLiteConnection.failure(of: connection)
    }
  }

  /// Runs a statement without rows to its end and resets it.
  func run() throws(SQLiteFailure) {
    defer { reset() }
    _ = try step()
  }

  /// Runs a statement without rows while `text` is bound without a copy.
  func run(borrowing text: String, at index: CInt) throws(SQLiteFailure) {
    let failure = unsafe text.withCString { bytes -> SQLiteFailure? in
      // No destructor: SQLite reads the bytes until the statement is reset, which happens in here.
      unsafe sqlite3_bind_text(handle, index, bytes, CInt(text.utf8.count), nil)
      let result = unsafe sqlite3_step(handle)
      let failure = result == SQLITE_DONE ? nil : unsafe SQLiteConnection.failure(of: connection)
      reset()
      unsafe sqlite3_bind_null(handle, index)
      return failure
    }
    if let failure { throw failure }
  }

  /// Ends the read that this statement holds open.
  func reset() { unsafe sqlite3_reset(handle) }

  /// A column of the current row; columns count from 0. Bytes that are not UTF-8 are repaired.
  func text(_ column: CInt) -> String? {
    guard let bytes = unsafe sqlite3_column_text(handle, column) else { return nil }
    let count = Int(unsafe sqlite3_column_bytes(handle, column))
    return unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
  }

  /// A column of the current row as a number, nil for NULL.
  func integer(_ column: CInt) -> Int64? {
    if unsafe sqlite3_column_type(handle, column) == SQLITE_NULL { return nil }
    return unsafe sqlite3_column_int64(handle, column)
  }

  /// The text of a column; `known` itself, without a copy, where it is the same: rows of one log repeat their names.
  func text(_ column: CInt, like known: String?) -> String? {
    guard let known, let bytes = unsafe sqlite3_column_text(handle, column) else { return text(column) }
    let count = Int(unsafe sqlite3_column_bytes(handle, column))
    let isSame = unsafe known.utf8.withContiguousStorageIfAvailable { knownBytes in
      guard let start = knownBytes.baseAddress, knownBytes.count == count else { return false }
      return unsafe memcmp(start, bytes, count) == 0
    }
    return isSame == true
      ? known : unsafe String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
  }

  /// The length of a column of the current row, in bytes of UTF-8.
  func byteCount(_ column: CInt) -> Int { Int(unsafe sqlite3_column_bytes(handle, column)) }
}

// Plain functions: a closure written in isolated code would get an isolation check and trap on SQLite's caller.

private func recordWALPages(
  _ context: UnsafeMutableRawPointer?, _: OpaquePointer?, _: UnsafePointer<CChar>?, _ pages: CInt
) -> CInt {
  unsafe context?.assumingMemoryBound(to: CInt.self).pointee = pages
  return SQLITE_OK
}

private func sleepWhileBusy(_ context: UnsafeMutableRawPointer?, _ calls: CInt) -> CInt {
  guard Int(calls) < Int(bitPattern: context) else { return 0 }
  usleep(.random(in: 200...1000))
  return 1
}
