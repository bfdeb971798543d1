import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// What a receipt says of its durability is what the server says.
@Suite struct DurabilityTests {
  @Test(
    arguments: [
      ("always", Durability.synced), ("no", .written), ("everysec", .unknown), (nil, .unknown),
    ] as [(String?, Durability)])
  func followsTheServersSettings(appendfsync: String?, expected: Durability) async throws {
    var configuration = RedisServer.Options()
    configuration.appendfsync = appendfsync
    try await withServer(configuration) { place in
      let backend = try await place.connect()
      #expect(await backend.traits.durability == expected)
      #expect(try await backend.post(draft("x")).durability == expected)
      #expect(try await backend.post(draft("y", key: .chosen("k"))).durability == expected)
      #expect(await backend.traits.notes.isEmpty == (appendfsync == "always" || appendfsync == "no"))
    }
  }

  @Test func postsWaitForReplicas() async throws {
    try await withServer { place in
      var configuration = RedisServer.Options()
      configuration.role = .replica(of: place.server)
      let replica = try await RedisServer.start(configuration)
      defer { replica.process.kill() }
      try await place.server.wait(for: "state=online", in: "INFO", "replication")
      let backend = try await place.connect {
        $0.replicas = 1
        $0.replicaTimeout = .seconds(2)
      }
      #expect(try await backend.post(draft("new stream")).durability == .replicated(2))
      #expect(try await backend.post(draft("plain")).durability == .replicated(2))
      #expect(try await backend.post(draft("chosen", key: .chosen("k"))).durability == .replicated(2))
      replica.process.pause()
      let post = draft("not replicated")
      let error = await failure { try await backend.post(post) }
      #expect(error?.code == .outcomeUnknown)
      #expect(error?.cause.contains("0 of 1 replicas") == true)
      replica.process.resume()
      // The retry sends no second copy, it waits for the first.
      let again = try await backend.post(post)
      #expect(again.durability == .replicated(2))
      #expect(
        try await backend.fetch().messages.map(\.content) == ["new stream", "plain", "chosen", "not replicated"])
    }
  }

  @Test func anEvictingServerIsNoted() async throws {
    var configuration = RedisServer.Options()
    configuration.appendfsync = "always"
    configuration.lines = ["maxmemory 100mb", "maxmemory-policy allkeys-lru"]
    try await withServer(configuration) { place in
      let notes = try await place.connect().traits.notes
      #expect(notes.count == 1 && notes[0].contains("allkeys-lru"))
    }
  }

  @Test func theInspectionFindsRightsAndSettings() async throws {
    var configuration = RedisServer.Options()
    configuration.appendfsync = "always"
    configuration.users = ["reader on >r ~parley:* &* -@all +@read +@connection +info +config|get +client -client|kill"]
    try await withServer(configuration) { place in
      let all = try await RedisInspection.look(try RedisOptions(url: place.url))
      #expect(all.rights.allSatisfy { $0.refusal == nil } && all.blocks && all.durability == .synced)
      #expect(all.version?.isEmpty == false && all.evictionPolicy == "noeviction")
      let reader = try await RedisInspection.look(
        try RedisOptions(url: "redis://reader:r@127.0.0.1:\(place.server.port)"))
      let refused = reader.rights.compactMap { right in right.refusal.map { _ in right.rule } }
      #expect(refused == ["+xadd", "+eval +exists +incr +set", "+client|kill +client|id"], "\(reader.rights)")
      #expect(try await place.server.command("DBSIZE").integer == 0)
    }
  }
}
