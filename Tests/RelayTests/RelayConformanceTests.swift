import CSQLite
import Glibc
import ParleyConformance
import ParleyRelay
import ParleyRuntime
import ParleyTestKit
import Testing

/// The whole suite over a real `parley serve --http`, each case with a door and a file of its own.
@Suite struct RelayConformanceTests {
  private static var capabilities: Capabilities {
    var capabilities = Capabilities()
    capabilities.patience = .seconds(20)
    capabilities.quiet = .milliseconds(300)
    return capabilities
  }

  private static func store(on loop: EventLoop) async throws -> ConformanceStore {
    let door = try await DoorServer(
      loop: loop, configuration: "topics: [general]\npost_topics: [\"(?s).*\"]\nlimits: { topic_bytes: 4096 }")
    let proxy = try await FaultProxy.start(to: door.port.number)
    var store = ConformanceStore(
      makeBackend: {
        ParleyBackend(loop: loop, options: ParleyOptions(url: "http://127.0.0.1:\(proxy.port)"))
      },
      close: {
        await proxy.close()
        await door.stop(SIGKILL)
      })
    store.trim = { topic, count in
      try Database(door.folder.path("parley.db")).run(
        """
        DELETE FROM messages WHERE topic = '\(topic.name)' AND id NOT IN
          (SELECT id FROM messages WHERE topic = '\(topic.name)' ORDER BY id DESC LIMIT \(count))
        """)
    }
    store.deleteTopic = { topic in
      try Database(door.folder.path("parley.db")).run("DELETE FROM messages WHERE topic = '\(topic.name)'")
    }
    store.cut = {
      try await proxy.setWelcome(.refuse)
      await proxy.cutAll()
      await loop.sleep(for: .milliseconds(200))
      try await proxy.setWelcome(.pass)
    }
    store.restart = {
      await door.stop(SIGKILL)
      try await door.start()
    }
    return store
  }

  @Test(arguments: ConformanceSuite.cases) func holds(_ conformanceCase: ConformanceCase) async throws {
    let outcome = try await ConformanceSuite(capabilities: Self.capabilities) { try await Self.store(on: $0) }
      .run(conformanceCase)
    if case .notApplicable(let reason) = outcome { Issue.record("\(conformanceCase): \(reason)") }
  }
}

/// The file behind the door, opened by another program.
private struct Database {
  let path: String

  init(_ path: String) { self.path = path }

  func run(_ sql: String) throws {
    var handle: OpaquePointer?
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    defer { sqlite3_close(handle) }
    sqlite3_busy_timeout(handle, 5000)
    let result = sqlite3_exec(handle, sql, nil, nil, nil)
    try #require(result == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
  }
}
