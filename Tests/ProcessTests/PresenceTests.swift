import ParleyRuntime
import ParleyTestKit
import Testing

/// Two real processes on one SQLite file see each other come, crash and go.
@Suite struct PresenceTests {
  private static func configuration(_ handle: String, _ extra: String = "") -> String {
    """
    backend: sqlite
    identity: { handle: \(handle)\(extra) }
    topics: [general, ops]
    live_push: { enabled: true }
    presence: { heartbeat_ms: 300, ttl_ms: 1500, status: reviewing }
    backend_config: { db_path: parley.db }

    """
  }

  /// Asks until the handles that are online are these; false when they never are.
  private static func sees(_ client: Client, _ handles: Set<String>) async throws -> Bool {
    for number in 0..<200 {
      let result = await client.call(100 + number, "parley_list_users", ["online_only": true])
      let users = result?["structuredContent"]?["users"]?.array ?? []
      if Set(users.compactMap { $0["handle"]?.string }) == handles { return true }
      await client.place.loop.sleep(for: .milliseconds(50))
    }
    return false
  }

  @Test func comingCrashingAndLeaving() throws {
    try Workplace.use { place in
      for handle in ["ada", "bob", "carol"] { try place.write("\(handle).yaml", Self.configuration(handle)) }
      let ada = try Client(place, config: "ada.yaml")
      try await ada.initialize()
      let bob = try Client(place, config: "bob.yaml")
      try await bob.initialize()
      let carol = try Client(place, config: "carol.yaml")
      try await carol.initialize()
      #expect(try await Self.sees(ada, ["ada", "bob", "carol"]))
      let listed = await place.runJSONLines("users", "--config", "ada.yaml", "--json", "--filter", "b*")
      #expect(listed.first?["handle"]?.string == "bob" && listed.first?["online"]?.bool == true)
      #expect(listed.first?["status"]?.string == "reviewing" && listed.first?["listens"]?.string == "all")
      // A clean end is seen at once, whatever the time to live.
      bob.process.closeInput()
      _ = await bob.process.waitForExit(until: place.soon)
      let users = await ada.call(50, "parley_list_users", [:])?["structuredContent"]?["users"]?.array
      #expect(users?.first { $0["handle"]?.string == "bob" }?["online"]?.bool == false)
      carol.process.kill(9)
      _ = await carol.process.waitForExit(until: place.soon)
      #expect(try await Self.sees(ada, ["ada"]))
    }
  }

  @Test func anExclusiveHandle() throws {
    try Workplace.use { place in
      try place.write("one.yaml", Self.configuration("ada", ", exclusive: true"))
      let first = try Client(place, config: "one.yaml")
      try await first.initialize()
      let stored = await first.call(1, "parley_post", ["topic": "general", "content": "mine"])
      #expect(stored?["isError"] == nil)
      let second = try Client(place, config: "one.yaml")
      try await second.initialize()
      let refused = await second.call(1, "parley_post", ["topic": "general", "content": "mine too"])
      #expect(refused?["_meta"]?["parley/error"]?.string == "handleInUse")
      first.process.kill(9)
      _ = await first.process.waitForExit(until: place.soon)
      for number in 2..<200 {
        let result = await second.call(number, "parley_post", ["topic": "general", "content": "again"])
        if result?["isError"] == nil { return }
        await place.loop.sleep(for: .milliseconds(50))
      }
      Issue.record("the handle was never freed")
    }
  }
}
