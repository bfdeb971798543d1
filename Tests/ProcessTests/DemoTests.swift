import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// `parley demo` over real servers, as a user would point it at theirs.
@Suite struct DemoTests {
  private static func isWhatItSays(_ place: Workplace, _ backend: String, _ url: String, _ label: String) async throws {
    let demo = try await place.run("demo", "--json", "--backend", backend, "--url", url)
    #expect(demo.status == 0, "\(demo.errors)")
    let events = try demo.output.map { try JSONValue(parsing: $0)["event"]?.string }
    #expect(events == ["started", "started", "pushed", "pushed"], "\(demo.errors)")
    let told = try await place.run("demo", "--backend", backend, "--url", url)
    #expect(told.status == 0 && told.output.contains { $0.contains("stored (\(label))") }, "\(told.output)")
  }

  @Test func overRedis() throws {
    try Workplace.use { place in
      var options = RedisServer.Options()
      options.appendfsync = "always"
      let server = try await RedisServer.start(options)
      defer { server.process.kill() }
      try await Self.isWhatItSays(place, "redis", "redis://127.0.0.1:\(server.port)", "synced")
      // Two demos, two topics of their own, and nothing else that could be in anyone's way.
      let keys = try await server.command("KEYS", "*").list?.compactMap(\.text) ?? []
      #expect(keys.filter { $0.hasPrefix("parley:demo-") }.count == 2, "\(keys)")
      #expect(keys.allSatisfy { $0.hasPrefix("parley:demo-") || $0.hasPrefix("parley:~") }, "\(keys)")
    }
  }

  @Test func overNATS() throws {
    try Workplace.use { place in
      let server = try await NATSServer.start()
      defer { server.process.kill() }
      try await Self.isWhatItSays(place, "nats", "nats://127.0.0.1:\(server.port)", "written")
    }
  }

  @Test func saysWhatIsWrong() throws {
    try Workplace.use { place in
      var options = RedisServer.Options()
      options.users = ["ada on >geheim ~parley:* &* +@all"]
      let server = try await RedisServer.start(options)
      defer { server.process.kill() }
      let cases: [(arguments: [String], status: Int32, text: String)] = [
        (["--backend", "redis", "--url", "redis://127.0.0.1:1"], 5, "Connection refused"),
        (["--backend", "nats", "--url", "nats://127.0.0.1:1"], 5, "127.0.0.1:1"),
        (["--backend", "redis", "--url", "redis://ada:falsch@127.0.0.1:\(server.port)"], 6, "WRONGPASS"),
        (["--backend", "redis", "--url", "nonsense"], 2, "no scheme"),
        (["--backend", "smoke"], 2, "no backend named 'smoke'"),
        (["--backend", "sqlite"], 2, "no server"),
        (["--url", "redis://127.0.0.1"], 2, "--backend"),
      ]
      for (arguments, status, text) in cases {
        let process = try place.start(["demo"] + arguments, environment: ["TMPDIR": place.folder.path])
        process.closeInput()
        let exit = await process.waitForExit(until: place.soon)
        let errors = process.errorLines.joined(separator: "\n")
        #expect(exit == .status(status) && errors.contains(text), "\(arguments): \(String(describing: exit)) \(errors)")
        #expect(!errors.contains("falsch") && process.outputLines.isEmpty)
      }
    }
  }
}
