import CSQLite
import ParleyRuntime

/// The tables in the file: the TypeScript Parley's one table and index, and what we add where it does not look.
enum Schema {
  /// Written to `parley_meta`; a file with a higher one is refused.
  static let version: Int64 = 1

  /// What the meta table says about a file.
  struct Facts: Sendable {
    /// Names this log: cursors of another generation are from another file.
    let generation: String
    /// Deletions of ids up to here were not recorded: loss before it cannot be ruled out.
    let trackedFrom: Int64
    private let cursorPrefix: String

    init(generation: String, trackedFrom: Int64) {
      self.generation = generation
      self.trackedFrom = trackedFrom
      cursorPrefix = Cursor(backend: "sqlite", generation: generation, native: "").text
    }

    /// The id of the message in a row, and the cursor for the place after it.
    func names(of row: Int64) -> (id: MessageID, cursor: Cursor) {
      (MessageID(String(decimal: row)), Cursor(String(cursorPrefix, decimal: row)))
    }
  }

  /// What a file turned out to be.
  enum Finding {
    case ready(Facts)
    /// A later Parley made it.
    case newer(Int64)
  }

  /// Makes or upgrades the tables; a file that is up to date is only read.
  static func prepare(
    _ connection: borrowing SQLiteConnection, generation: @autoclosure () -> String
  ) throws(SQLiteFailure) -> Finding {
    if let finding = try find(connection) { return finding }
    try connection.execute("BEGIN IMMEDIATE")
    do throws(SQLiteFailure) {
      // Another process may have done it while this one waited for the lock.
      if try find(connection) == nil { try create(connection, generation: generation()) }
      try connection.execute("COMMIT")
    } catch {
      if connection.isInTransaction { try? connection.execute("ROLLBACK") }
      throw error
    }
    guard let finding = try find(connection) else { throw damaged }
    return finding
  }

  private static var damaged: SQLiteFailure {
    SQLiteFailure(extended: SQLITE_CORRUPT, system: 0, message: "the table parley_meta lacks rows")
  }

  private static func find(_ connection: borrowing SQLiteConnection) throws(SQLiteFailure) -> Finding? {
    guard try connection.integer("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'parley_meta'") == 1,
      let found = try connection.integer("SELECT CAST(value AS INTEGER) FROM parley_meta WHERE name = 'schema_version'")
    else { return nil }
    guard found <= version else { return .newer(found) }
    guard let generation = try connection.text("SELECT value FROM parley_meta WHERE name = 'generation'"),
      let trackedFrom = try connection.integer(
        "SELECT CAST(value AS INTEGER) FROM parley_meta WHERE name = 'tracked_from'")
    else { throw damaged }
    return .ready(Facts(generation: generation, trackedFrom: trackedFrom))
  }

  private static func create(_ connection: borrowing SQLiteConnection, generation: String) throws(SQLiteFailure) {
    try connection.execute(
      """
      CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        topic TEXT NOT NULL,
        sender TEXT NOT NULL,
        content TEXT NOT NULL,
        ts TEXT NOT NULL,
        in_reply_to TEXT
      );
      CREATE INDEX IF NOT EXISTS idx_messages_topic_id ON messages(topic, id);
      """)
    for (column, type) in [
      ("stored_at", "INTEGER"), ("key", "TEXT"), ("author", "TEXT"), ("instance", "TEXT"), ("recipient", "TEXT"),
      ("attributes", "TEXT"), ("kind", "TEXT"), ("nonce", "TEXT"),
    ] {
      let present = try connection.integer("SELECT 1 FROM pragma_table_info('messages') WHERE name = '\(column)'")
      if present == nil { try connection.execute("ALTER TABLE messages ADD COLUMN \(column) \(type)") }
    }
    // Deletions before the trigger stood are unknown: the TypeScript program prunes from the oldest on.
    let trackedFrom =
      try connection.integer(
        "SELECT coalesce((SELECT min(id) - 1 FROM messages), (SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0)"
      ) ?? 0
    // Only keys that a caller chose are in `key` and its index. A generated one is in `nonce`, without an index: it can
    // repeat only after an outcome that this process knows to be unknown, and an index costs each commit a page.
    // The triggers run in the process that writes, whichever program it is: plain SQL only.
    // A deletion leaves the highest deleted id of its topic; a row that came without `stored_at` gets the clock's, or
    // its predecessor's where that is later, so that it grows with the log.
    try connection.execute(
      """
      CREATE UNIQUE INDEX IF NOT EXISTS parley_messages_key ON messages(key, author, topic) WHERE key IS NOT NULL;
      CREATE INDEX IF NOT EXISTS parley_messages_kind ON messages(topic, kind, id) WHERE kind IS NOT NULL;
      CREATE TABLE IF NOT EXISTS parley_deleted (topic TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TRIGGER IF NOT EXISTS parley_messages_deleted AFTER DELETE ON messages BEGIN
        INSERT INTO parley_deleted (topic, id) VALUES (OLD.topic, OLD.id)
          ON CONFLICT (topic) DO UPDATE SET id = max(id, excluded.id);
      END;
      CREATE TRIGGER IF NOT EXISTS parley_messages_stored AFTER INSERT ON messages WHEN NEW.stored_at IS NULL BEGIN
        UPDATE messages SET stored_at = max(
          CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER),
          coalesce((SELECT stored_at FROM messages WHERE id < NEW.id ORDER BY id DESC LIMIT 1), 0))
        WHERE id = NEW.id;
      END;
      CREATE TABLE IF NOT EXISTS parley_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
      INSERT OR IGNORE INTO parley_meta (name, value) VALUES
        ('generation', '\(generation)'), ('tracked_from', '\(trackedFrom)'), ('schema_version', '\(version)');
      """)
  }
}
