import CSQLite
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// A Prosody of one test behind a proxy, and what a test does to it from outside.
struct TestStore: Sendable {
  let server: ProsodyServer
  let proxy: FaultProxy

  init(_ options: ProsodyServer.Options = .init()) async throws {
    server = try await ProsodyServer.start(options)
    proxy = try await FaultProxy.start(to: server.port)
  }

  /// The settings of an account's backend.
  func settings(_ name: String = "parley", direct: Bool = false, proxied: Bool = true) -> Settings {
    var settings = Settings(defaultsOf: XMPPOptions.description.schema)
    let port = direct ? server.tlsPort : proxied ? proxy.port : server.port
    settings["service"] = .string("\(direct ? "xmpps" : "xmpp")://127.0.0.1:\(port)")
    settings["domain"] = .string(ProsodyServer.domain)
    settings["muc_service"] = .string(ProsodyServer.rooms)
    settings["username"] = .string(name)
    settings["password"] = .string("pw-\(name)")
    settings["tls_ca_file"] = .string(server.authority)
    return settings
  }

  func options(_ name: String = "parley") throws -> XMPPOptions { try XMPPOptions(settings(name)) }

  /// Removes the oldest entries of a topic's archive but for the newest so many, as expiry does.
  func trim(_ topic: Topic, keeping count: Int) throws {
    let room = TopicRooms(service: ProsodyServer.rooms).room(of: topic)
    try execute(
      """
      DELETE FROM prosodyarchive WHERE host = '\(room.domain)' AND user = '\(room.local)' AND sort_id NOT IN (
        SELECT sort_id FROM prosodyarchive WHERE host = '\(room.domain)' AND user = '\(room.local)'
        ORDER BY sort_id DESC LIMIT \(count))
      """)
  }

  /// Stores the only message of a topic again, so often, each time with another text: as fast as a file can be written.
  func multiply(_ topic: Topic, text: String, by count: Int, _ content: (Int) -> String) throws {
    let room = TopicRooms(service: ProsodyServer.rooms).room(of: topic)
    let copies = (1...count).map { number in
      """
      INSERT INTO prosodyarchive (host, user, store, key, "when", "with", type, value)
      SELECT host, user, store, key || '-\(number)', "when", "with", type, replace(value, '\(text)', '\(content(number))')
      FROM prosodyarchive WHERE host = '\(room.domain)' AND user = '\(room.local)' ORDER BY sort_id LIMIT 1;
      """
    }
    try execute(copies.joined(separator: "\n"))
  }

  /// Runs statements in one transaction while the server stands still: Prosody does not wait for another's lock, and
  /// reflects what it then cannot store.
  private func execute(_ statements: String) throws {
    var database: OpaquePointer?
    try #require(sqlite3_open_v2(server.archivePath, &database, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK)
    defer { sqlite3_close(database) }
    func run(_ text: String, patience: Int32) -> Int32 {
      sqlite3_busy_timeout(database, patience)
      return sqlite3_exec(database, text, nil, nil, nil)
    }
    while true {
      try #require(run("BEGIN IMMEDIATE", patience: 5000) == SQLITE_OK)
      server.process.pause()
      defer { server.process.resume() }
      let result = run("\(statements); COMMIT", patience: 0)
      guard result == SQLITE_BUSY else { return try #require(result == SQLITE_OK) }
      // It stands in the middle of reading.
      try #require(run("ROLLBACK", patience: 0) == SQLITE_OK)
    }
  }

  func end() async {
    await proxy.close()
    server.process.kill()
  }
}

/// Waits until a supervisor's health is so; whether it came to that.
func wait(
  for supervisor: Supervisor, until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation,
  _ condition: (Health) -> Bool
) async -> Bool {
  let changed = Waiters<Void>(loop: supervisor.loop)
  await supervisor.observeHealth { _ in changed.resumeAll(()) }
  while true {
    let ticket = changed.ticket()
    guard !condition(await supervisor.health) else {
      changed.forget(ticket)
      return true
    }
    guard case .value = await changed.wait(ticket, until: deadline) else { return false }
  }
}
