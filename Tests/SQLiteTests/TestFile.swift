import CSQLite
import Glibc
import ParleyRuntime
import Testing

@testable import ParleySQLite

/// A folder of its own for each test, removed with all that is in it.
final class TestFolder: Sendable {
  let path: String

  init(in parent: String = "/tmp") throws {
    var template = Array("\(parent)/parley-sqlite-XXXXXX".utf8CString)
    path = try #require(mkdtemp(&template).map { String(cString: $0) })
  }

  deinit {
    guard let directory = opendir(path) else { return }
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { unlink("\(path)/\(name)") }
    }
    closedir(directory)
    rmdir(path)
  }

  var database: String { path + "/parley.db" }

  var options: SQLiteOptions { SQLiteOptions(path: database) }
}

/// Another program's connection, by plain calls of the library.
final class OtherProgram: @unchecked Sendable {  // one thread at a time
  private let handle: OpaquePointer

  init(_ path: String) throws {
    var handle: OpaquePointer?
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    self.handle = try #require(handle)
    sqlite3_busy_timeout(handle, 5000)
  }

  deinit { sqlite3_close(handle) }

  func run(_ sql: String, at location: SourceLocation = #_sourceLocation) throws {
    let result = sqlite3_exec(handle, sql, nil, nil, nil)
    try #require(
      result == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))", sourceLocation: location)
  }

  func text(_ sql: String) throws -> String? {
    var statement: OpaquePointer?
    try #require(sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK)
    defer { sqlite3_finalize(statement) }
    guard sqlite3_step(statement) == SQLITE_ROW, let text = sqlite3_column_text(statement, 0) else { return nil }
    return String(cString: text)
  }

  /// What the TypeScript Parley does when it opens a file.
  func openAsTypeScript() throws {
    try run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
    try run(
      """
      CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL,
        sender TEXT NOT NULL, content TEXT NOT NULL, ts TEXT NOT NULL, in_reply_to TEXT)
      """)
    try run("CREATE INDEX IF NOT EXISTS idx_messages_topic_id ON messages(topic, id)")
  }

  /// What it does when it posts.
  func postAsTypeScript(
    _ content: String, topic: String = "general", ts: String = "2026-07-12T18:03:11.204Z", inReplyTo: String? = nil
  ) throws {
    let reply = inReplyTo.map { "'\($0)'" } ?? "NULL"
    try run(
      "INSERT INTO messages (topic, sender, content, ts, in_reply_to) VALUES ('\(topic)', 'ts', '\(content)', '\(ts)', \(reply))"
    )
  }
}

let general = Topic("general")
let author = Author(handle: Handle("coder"), instance: "instance-1")

func draft(_ content: String, topic: Topic = general, key: DraftKey? = nil) -> Draft {
  Draft(topic: topic, author: author, content: content, key: key ?? .generated("k-\(UInt64.random(in: 0 ... .max))"))
}

/// Runs `body` on a loop with connected backends on one file, and disconnects them.
func withBackends<Success: Sendable>(
  _ options: SQLiteOptions, count: Int = 1,
  _ body: @escaping @Sendable (EventLoop, [SQLiteBackend]) async throws -> Success
) throws -> Success {
  let loop = try EventLoop(name: "test")
  let result: Result<Success, any Error> = try loop.run {
    let backends = (0..<count).map { _ in SQLiteBackend(loop: loop, options: options) }
    do {
      for backend in backends { try await backend.connect { _ in } }
      let value = try await body(loop, backends)
      for backend in backends {
        #expect(await backend.openStatements() == 0)
        await backend.disconnect()
      }
      return .success(value)
    } catch {
      for backend in backends { await backend.disconnect() }
      return .failure(error)
    }
  }
  return try result.get()
}

extension SQLiteBackend {
  func soon(_ seconds: Int = 10) -> LoopInstant { loop.now.advanced(by: .seconds(seconds)) }

  @discardableResult
  func post(_ draft: Draft) async throws(SeamError) -> Receipt { try await post(draft, deadline: soon()) }

  func fetch(_ request: FetchRequest) async throws(SeamError) -> Page { try await fetch(request, deadline: soon()) }
}

/// Collects deliveries; `next` waits for one. Confined to the test's loop.
final class Inbox: @unchecked Sendable {  // touched on one loop only
  private(set) var deliveries: [Delivery] = []
  private var taken = 0
  private var waiter: CheckedContinuation<Void, Never>?
  /// Answers deliveries; asked after each is filed.
  var demand: (Inbox) -> Demand = { _ in .more }

  func take(_ delivery: Delivery) -> Demand {
    deliveries.append(delivery)
    waiter?.resume()
    waiter = nil
    return demand(self)
  }

  func next(isolation: isolated (any Actor)? = #isolation) async -> Delivery {
    while taken == deliveries.count { await withCheckedContinuation { waiter = $0 } }
    taken += 1
    return deliveries[taken - 1]
  }

  func nextMessage(isolation: isolated (any Actor)? = #isolation) async -> Message? {
    guard case .message(let message) = await next() else { return nil }
    return message
  }

  func nextGap(isolation: isolated (any Actor)? = #isolation) async -> Gap? {
    guard case .gap(let gap) = await next() else { return nil }
    return gap
  }
}
