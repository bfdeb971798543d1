import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// Two doors as two processes of one conversation, on a Redis server and on one SQLite file.
@Suite struct ReplicaTests {
  /// Where the conversation and the doors' records are.
  enum Ground: String, CaseIterable, CustomTestStringConvertible {
    case redis, sqlite
    var testDescription: String { rawValue }
  }

  /// Two doors on one ground, and what they stand on. Confined to the loop.
  private final class Site: @unchecked Sendable {
    let loop: EventLoop
    let folder: TemporaryDirectory
    let redis: RedisServer?
    let doors: [DoorServer]
    static let passphrase = "correct horse battery staple"

    init(_ ground: Ground, loop: EventLoop, isolation: isolated (any Actor)? = #isolation) async throws {
      self.loop = loop
      let folder = try TemporaryDirectory()
      self.folder = folder
      let (backend, auth): (String, String)
      switch ground {
      case .redis:
        var options = RedisServer.Options()
        options.users = [
          "talk on >talk ~parley:* resetchannels +@all",
          "doors on >doors ~parley:auth resetchannels -@all +eval +xadd +xread +xrevrange +info +select",
        ]
        let server = try await RedisServer.start(options)
        redis = server
        backend = "backend: redis\nbackend_config: { url: \"redis://talk:talk@127.0.0.1:\(server.port)\" }"
        auth =
          "store: \"redis://doors@127.0.0.1:\(server.port)/1\", store_password: doors, store_key: \(folder.path("doors.key"))"
      case .sqlite:
        redis = nil
        backend = "backend: sqlite\nbackend_config: { db_path: \(folder.path("parley.db")) }"
        auth = "store: \(folder.path("auth.store"))"
      }
      // Both say that they are reached by the first one's address, as behind a balancer.
      let ports = [try FreePort(), try FreePort()]
      let configuration = """
        topics: [general]
        live_push: { enabled: true }
        catchup: { on_start: false }
        limits: { hops: 1000 }
        auth: { public_url: "http://127.0.0.1:\(ports[0].number)", \(auth) }
        """
      let first = try DoorServer(
        loop: loop, port: ports[0], backend: backend, http: "sessions: 1000", configuration: configuration)
      let second = try DoorServer(
        loop: loop, port: ports[1], backend: backend, http: "sessions: 1000", configuration: configuration)
      doors = [first, second]
      _ = try await first.run(["owner", "set"], input: Self.passphrase + "\n")
      for door in doors { try await door.start() }
    }

    func token(_ handle: String, isolation: isolated (any Actor)? = #isolation) async throws -> String {
      try #require(try await doors[0].run(["token", "create", "--handle", handle]).first)
    }

    func client(_ mode: String, _ arguments: String..., isolation: isolated (any Actor)? = #isolation) async throws
      -> [String]
    {
      let child = try ChildProcess(
        loop: loop, path: try TestPrograms.path("python3"),
        arguments: ["-u", "-c", ReplicaTests.script, mode] + doors.map { "\($0.port.number)" } + arguments,
        environment: ["PATH": "/usr/bin:/bin"], directory: folder.path)
      child.closeInput()
      let exit = await child.waitForExit(until: loop.now.advanced(by: .seconds(120)))
      #expect(
        exit == .status(0),
        "\(child.errorLines.suffix(20).joined(separator: "\n")) \(doors.map { $0.errorLines.suffix(5) })")
      return child.outputLines
    }

    func end(isolation: isolated (any Actor)? = #isolation) async {
      for door in doors { await door.stop() }
      redis?.process.kill()
    }
  }

  private func onSite(_ ground: Ground, _ body: @escaping @Sendable (Site) async throws -> Void) async throws {
    try await onLoop { loop in
      let site = try await Site(ground, loop: loop)
      do { try await body(site) } catch {
        await site.end()
        throw error
      }
      await site.end()
    }
  }

  @Test(arguments: Ground.allCases) func messagesAndRequestsCrossThem(_ ground: Ground) async throws {
    try await onSite(ground) { site in
      let (ann, bob) = (try await site.token("ann"), try await site.token("bob"))
      #expect(
        try await site.client("talk", ann, bob) == [
          "sessions on two doors hear each other", "a session of the other door is unknown",
          "requests without a session go to either",
        ])
    }
  }

  @Test(arguments: Ground.allCases) func oneIsKilledUnderLoad(_ ground: Ground) async throws {
    try await onSite(ground) { site in
      let (writer, reader) = (try await site.token("writer"), try await site.token("reader"))
      let posted = try #require(try await site.doors[1].run(["post", "--json", "general", "begin"]).first)
      let begin = try #require(try JSONValue(parsing: posted)["cursor"]?.string)
      let victim = try #require(site.doors[0].processID)
      #expect(
        try await site.client("load", writer, "\(victim)", reader, begin) == ["nothing acknowledged is lost"])
    }
  }

  @Test(arguments: Ground.allCases) func loginsCrossThem(_ ground: Ground) async throws {
    try await onSite(ground) { site in
      let lines = try await site.client("login", Site.passphrase)
      #expect(lines.dropLast() == ["a code counts once", "refresh tokens rotate across doors"])
      let token = try #require(lines.last)
      guard let redis = site.redis else { return }
      // Somebody who may write the store gives the token more than the owner did.
      let script = """
        redis.call('SELECT', 1)
        local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
        local number = string.match(last[1], '^%d+')
        local text = string.gsub(last[2][2], 'parley:post', 'parley:admin')
        redis.call('XADD', KEYS[1], 'MAXLEN', '1', (number + 1) .. '-0', 'state', text)
        return text
        """
      let text = try await redis.command("EVAL", script, "1", "parley:auth").text
      #expect(text?.contains("parley:admin") == true && text?.contains(token) == false)
      #expect(try await site.client("refused", token) == ["refused at both"])
    }
  }

  @Test func aStoreThatIsNotFitForItIsRefused() async throws {
    try await onLoop { loop in
      var options = RedisServer.Options()
      options.users = ["doors on >doors ~parley:auth resetchannels -@all +eval +xadd +xread +xrevrange +info +select"]
      let redis = try await RedisServer.start(options)
      let folder = try TemporaryDirectory()
      let place = "127.0.0.1:\(redis.port)"
      func refusal(_ auth: String) async throws -> String? {
        let door = try DoorServer(
          loop: loop, port: try FreePort(),
          backend: "backend: redis\nbackend_config: { url: \"redis://testkit:testkit@\(place)\" }",
          http: "token: 0123456789abcdef0123456789abcdef", configuration: "topics: [general]\nauth: { \(auth) }")
        do {
          try await door.start()
          await door.stop()
          return nil
        } catch { return "\(error)" }
      }
      let key = "store_key: \(folder.path("key"))"
      let good = "store: \"redis://doors@\(place)/1\", store_password: doors, \(key)"
      #expect(try await refusal(good) == nil)
      // Without a key of its own, by the conversation's user, in the conversation's database, with a password in sight.
      for (auth, reason) in [
        ("store: \"redis://doors@\(place)/1\", store_password: doors", "auth.store_key"),
        ("store: \"redis://testkit@\(place)/1\", store_password: testkit, \(key)", "both of its own"),
        ("store: \"redis://doors@\(place)\", store_password: doors, \(key)", "both of its own"),
        ("store: \"redis://doors:doors@\(place)/1\", \(key)", "auth.store_password_file"),
      ] {
        let refused = try await refusal(auth)
        #expect(refused?.contains(reason) == true, "\(auth): \(String(describing: refused))")
      }
      try await redis.command("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
      #expect(try await refusal(good)?.contains("maxmemory-policy noeviction") == true)
      redis.process.kill()
    }
  }
}
