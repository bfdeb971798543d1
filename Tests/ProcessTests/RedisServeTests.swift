import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// The real program on a real Redis, as a user would run it: `parley`, which becomes `parley-full` by itself.
@Suite struct RedisServeTests {
  private static func configuration(_ handle: String, url: String) -> String {
    """
    backend: redis
    identity: { handle: \(handle) }
    topics: [general]
    live_push: { enabled: true }
    backend_config: { url: "\(url)", timeout_ms: 800, block_ms: 400 }

    """
  }

  @Test func twoSessionsTalkAndSurviveTheServersDeath() throws {
    try Workplace.use { place in
      var options = RedisServer.Options()
      options.appendfsync = "always"
      let server = try await RedisServer.start(options)
      defer { server.process.kill() }
      for handle in ["ada", "bob"] {
        try place.write(
          "\(handle).yaml", Self.configuration(handle, url: "redis://127.0.0.1:\(server.port)"))
      }
      let (ada, bob) = (try Client(place, config: "ada.yaml"), try Client(place, config: "bob.yaml"))
      try await ada.initialize()
      try await bob.initialize()
      _ = await bob.call(1, "parley_fetch_recent", ["topic": "general"])
      let posted = await ada.call(2, "parley_post", ["topic": "general", "content": "ping @bob"])
      #expect(posted?["isError"]?.bool != true, "\(String(describing: posted))")
      let event = await bob.push()
      #expect(event?["content"]?.string == "ping @bob" && event?["meta"]?["sender"]?.string == "ada")
      // Killed and started anew: calls wait for it, and the follower is live again by itself.
      server.process.kill()
      ada.request(3, "parley_post", ["topic": "general", "content": "while it is away"])
      try await server.process.start()
      #expect(await ada.answer(3)?["result"]?["isError"]?.bool != true)
      #expect(await bob.push()?["content"]?.string == "while it is away")
      let page = await bob.call(4, "parley_fetch_recent", ["topic": "general"])
      #expect(page?["isError"]?.bool != true, "\(String(describing: page))")
    }
  }

  @Test func initializeIsAnsweredWithoutAServer() throws {
    try Workplace.use { place in
      try place.write("away.yaml", Self.configuration("ada", url: "redis://127.0.0.1:1"))
      let client = try Client(place, config: "away.yaml")
      try await client.initialize()
      let status = await client.call(1, "parley_status", [:])
      let text = "\(String(describing: status))"
      #expect(text.contains("Connection refused"), "\(text)")
    }
  }

  @Test func doctorNamesWhatIsWrong() throws {
    try Workplace.use { place in
      var options = RedisServer.Options()
      options.appendfsync = nil
      options.lines = ["maxmemory 100mb", "maxmemory-policy allkeys-lru"]
      options.users = ["reader on >geheim ~parley:* &* -@all +@read +@connection +info +config|get"]
      let server = try await RedisServer.start(options)
      defer { server.process.kill() }
      let address = "127.0.0.1:\(server.port)"
      let cases: [(user: String, status: Int32, texts: [String])] = [
        ("", 0, ["appendonly is off", "allkeys-lru", "[ok] rights"]),
        ("reader:geheim@", 1, ["may not post", "NOPERM", "ACL SETUSER"]),
        ("reader:falsch@", 1, ["unauthorized", "WRONGPASS"]),
      ]
      for (user, status, texts) in cases {
        try place.write("doctor.yaml", Self.configuration("ada", url: "redis://\(user)\(address)"))
        let run = try await place.run("doctor", "--config", place.folder.path("doctor.yaml"), "--patience", "2")
        let output = run.output.joined(separator: "\n")
        #expect(run.status == status, "\(user): \(output)")
        for text in texts { #expect(output.contains(text), "\(user): no '\(text)' in \(output)") }
        #expect(!output.contains("geheim") && !output.contains("falsch"), "a password was printed")
      }
    }
  }
}
