import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyNATS

/// Who is let in, and how those who are not are told.
@Suite(.serialized) struct AccessTests {
  private func options(_ server: NATSServer, _ credentials: NATSOptions.Credentials = .none) -> NATSOptions {
    var options = NATSOptions()
    options.servers = ["127.0.0.1:\(server.port)"]
    options.credentials = credentials
    return options
  }

  private func server(_ authorization: String? = nil, lines: [String] = []) async throws -> NATSServer {
    var options = NATSServer.Options()
    options.authorization = authorization
    options.lines = lines
    return try await NATSServer.start(options)
  }

  private func works(_ options: NATSOptions) async throws {
    try await withBackends(options) { _, backends in
      let receipt = try await backends[0].post(draft("let in"))
      #expect(try await backends[0].fetch(FetchRequest(general)).messages.last?.id == receipt.id)
    }
  }

  @Test func passwords() async throws {
    let server = try await server("user: parley, password: \"s3cret\"")
    try await works(options(server, .user("parley", password: "s3cret")))
    for wrong: NATSOptions.Credentials in [.none, .user("parley", password: "wrong"), .token("s3cret")] {
      let error = try #require(try await connectFailure(options(server, wrong)))
      #expect(error.code == .unauthorized && error.operation == "connect to 127.0.0.1:\(server.port)", "\(error)")
    }
    var inURL = options(server)
    inURL.servers = ["nats://parley:s3cret@127.0.0.1:\(server.port)"]
    try await works(inURL)
  }

  @Test func locationShowsNoSecret() async throws {
    var options = NATSOptions()
    options.servers = ["nats://parley:s3cret@h.example:4222", "tls://t0ken@h2.example"]
    let loop = try EventLoop.thread(named: "traits")
    defer { loop.stop() }
    #expect(await NATSBackend(loop: loop, options: options).traits.location == "h.example:4222, h2.example:4222")
  }

  @Test func tokens() async throws {
    let server = try await server("token: \"t0ken\"")
    try await works(options(server, .token("t0ken")))
    #expect(try await connectFailure(options(server, .token("wrong")))?.code == .unauthorized)
    #expect(try await connectFailure(options(server))?.code == .unauthorized)
  }

  @Test func nkeys() async throws {
    let server = try await server("users: [ { nkey: \(TestKeys.publicKey(TestKeys.seed)) } ]")
    let folder = try TemporaryDirectory()
    func file(_ text: String) throws -> String {
      let path = folder.path("seed-\(text.utf8.count)-\(text.prefix(4))")
      try TextFile.write(text, to: path)
      return path
    }
    try await works(options(server, .nkeySeedFile(file("# mine\n" + TestKeys.seed + "\n"))))
    #expect(
      try await connectFailure(options(server, .nkeySeedFile(file(TestKeys.strangerSeed))))?.code == .unauthorized)
    for (text, words) in [("nothing", "holds no user's NKEY seed"), (TestKeys.seed.dropLast() + "A", "damaged")] {
      let error = try #require(try await connectFailure(options(server, .nkeySeedFile(file(String(text))))))
      #expect(error.code == .invalidRequest && error.cause.contains(words), "\(error)")
    }
    let missing = try #require(try await connectFailure(options(server, .nkeySeedFile(folder.path("none")))))
    #expect(missing.code == .invalidRequest && missing.cause.contains("No such file"), "\(missing)")
  }

  @Test func credentialFiles() async throws {
    let account = TestKeys.publicKey(TestKeys.accountSeed)
    let operatorKey = TestKeys.publicKey(TestKeys.operatorSeed)
    let all = [
      "subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams",
    ]
    let limits = (all + ["consumer"]).map { "\"\($0)\":-1" }.joined(separator: ",")
    let accountJWT = TestKeys.jwt(
      "account", subject: account, name: "A", by: TestKeys.operatorSeed,
      body: "\"limits\":{\(limits),\"wildcards\":true},")
    let system = TestKeys.publicKey(TestKeys.systemSeed)
    let systemJWT = TestKeys.jwt("account", subject: system, name: "SYS", by: TestKeys.operatorSeed)
    let server = try await server(lines: [
      "operator: \(TestKeys.jwt("operator", subject: operatorKey, name: "O", by: TestKeys.operatorSeed))",
      "resolver: MEMORY", "system_account: \(system)",
      "resolver_preload { \(account): \(accountJWT), \(system): \(systemJWT) }",
    ])
    func file(_ name: String, by seed: String) throws -> (TemporaryDirectory, String) {
      let folder = try TemporaryDirectory()
      let user = TestKeys.jwt(
        "user", subject: TestKeys.publicKey(TestKeys.seed), name: name, by: seed,
        body: "\"pub\":{},\"sub\":{},\"subs\":-1,\"data\":-1,\"payload\":-1,")
      try TextFile.write(
        """
        -----BEGIN NATS USER JWT-----
        \(user)
        ------END NATS USER JWT------

        -----BEGIN USER NKEY SEED-----
        \(TestKeys.seed)
        ------END USER NKEY SEED------

        """, to: folder.path("creds"))
      return (folder, folder.path("creds"))
    }
    let good = try file("u", by: TestKeys.accountSeed)
    try await works(options(server, .credentialsFile(good.1)))
    let bad = try file("u", by: TestKeys.operatorSeed)
    #expect(try await connectFailure(options(server, .credentialsFile(bad.1)))?.code == .unauthorized)
    #expect(try await connectFailure(options(server, .credentialsFile(bad.1 + "x")))?.code != nil)
  }

  @Test func tls() async throws {
    let certificates = try await TestCertificates.make()
    var secure = NATSServer.Options()
    secure.tls = certificates
    let server = try await NATSServer.start(secure)
    var options = options(server)
    options.tls.authorityFile = certificates.authority
    try await works(options)
    options.tls.serverName = "chat.test"
    try await works(options)
    options.tls.serverName = "elsewhere.test"
    let wrongName = try #require(try await connectFailure(options))
    #expect(wrongName.code == .unauthorized, "\(wrongName)")
    options.tls.serverName = nil
    options.tls.authorityFile = certificates.wrongAuthority
    let wrongAuthority = try #require(try await connectFailure(options))
    #expect(wrongAuthority.code == .unauthorized && wrongAuthority.cause.contains("certificate"), "\(wrongAuthority)")
    options.tls.authorityFile = nil
    #expect(try await connectFailure(options)?.code == .unauthorized, "an authority that the system does not know")
    options.tls.authorityFile = "/nowhere/ca.crt"
    #expect(try await connectFailure(options)?.code != nil)
  }

  @Test func certificateOfAnotherHost() async throws {
    let certificates = try await TestCertificates.make()
    var secure = NATSServer.Options()
    secure.tls = certificates
    secure.tlsPair = certificates.wrongHost
    let server = try await NATSServer.start(secure)
    var options = options(server)
    options.tls.authorityFile = certificates.authority
    let error = try #require(try await connectFailure(options))
    #expect(error.code == .unauthorized, "\(error)")
    options.servers = ["tls://127.0.0.1:\(server.port)"]
    #expect(try await connectFailure(options)?.code == .unauthorized)
    options.tls.serverName = "other.test"
    try await works(options)
  }

  @Test func clientCertificates() async throws {
    let certificates = try await TestCertificates.make()
    var secure = NATSServer.Options()
    secure.tls = certificates
    secure.wantsClientCertificate = true
    let server = try await NATSServer.start(secure)
    var options = options(server)
    options.tls.authorityFile = certificates.authority
    #expect(try await connectFailure(options) != nil)
    options.tls.certificateFile = certificates.wrongClient.certificate
    options.tls.keyFile = certificates.wrongClient.key
    #expect(try await connectFailure(options) != nil)
    options.tls.certificateFile = certificates.client.certificate
    options.tls.keyFile = certificates.client.key
    try await works(options)
  }

  @Test func tlsThatTheServerLacks() async throws {
    let server = try await server()
    var options = options(server)
    options.tls.isRequired = true
    let error = try #require(try await connectFailure(options))
    #expect(error.code == .unauthorized && error.cause.contains("does not offer"), "\(error)")
  }

  @Test func nobodyThere() async throws {
    let port = try FreePort()
    var options = NATSOptions()
    options.servers = ["127.0.0.1:\(port.number)"]
    let error = try #require(try await connectFailure(options))
    #expect(error.code == .unavailable && error.operation.contains("127.0.0.1:\(port.number)"), "\(error)")
    // The next server of the list is tried.
    let server = try await server()
    options.servers.append("127.0.0.1:\(server.port)")
    for _ in 0..<4 { try await works(options) }
  }

  @Test func withoutJetStream() async throws {
    var plain = NATSServer.Options()
    plain.hasJetStream = false
    let server = try await NATSServer.start(plain)
    let error = try #require(try await connectFailure(options(server)))
    #expect(error.code == .unsupported && error.cause.contains("JetStream is not enabled"), "\(error)")
  }

  @Test func withoutJetStreamForTheAccount() async throws {
    let server = try await server(lines: [
      "accounts { A { jetstream: enabled, users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }"
    ])
    try await works(options(server, .user("a", password: "a")))
    let error = try #require(try await connectFailure(options(server, .user("b", password: "b"))))
    #expect(error.code == .unsupported, "\(error)")
  }

  @Test func unknownDomain() async throws {
    let server = try await server()
    var options = options(server)
    options.domain = "elsewhere"
    let error = try #require(try await connectFailure(options))
    #expect(error.code == .unsupported && error.cause.contains("elsewhere"), "\(error)")
  }

  // MARK: Rights

  @Test func readOnlyUsers() async throws {
    let rights = "publish: [\"$JS.API.>\"], subscribe: [\">\"]"
    let server = try await server(
      "users: [{user: a, password: a}, {user: r, password: r, permissions: {\(rights)}}]")
    try await withBackends(options(server, .user("a", password: "a"))) { [self] _, writers in
      let receipt = try await writers[0].post(draft("mine"))
      try await withBackends(options(server, .user("r", password: "r"))) { _, readers in
        #expect(try await readers[0].fetch(FetchRequest(general)).messages.map(\.id) == [receipt.id])
        let error = try #require(await failure { try await readers[0].post(draft("not mine")) })
        #expect(error.code == .forbidden && error.cause.contains("parley.general"), "\(error)")
        // Told at once, not at the deadline, and the session goes on.
        #expect(try await readers[0].fetch(FetchRequest(general)).messages.count == 1)
      }
    }
  }

  @Test func usersWhoMayMakeNoStreams() async throws {
    let rights = "publish: {deny: [\"$JS.API.STREAM.CREATE.>\"]}"
    let server = try await server("users: [{user: u, password: u, permissions: {\(rights)}}]")
    try await withBackends(options(server, .user("u", password: "u"))) { _, backends in
      let error = try #require(await failure { try await backends[0].post(draft("first")) })
      #expect(error.code == .forbidden && error.cause.contains("STREAM.CREATE"), "\(error)")
    }
  }

  @Test func usersWhoMayMakeNoConsumers() async throws {
    let rights = "publish: {deny: [\"$JS.API.CONSUMER.>\"]}"
    let server = try await server("users: [{user: u, password: u, permissions: {\(rights)}}]")
    try await withBackends(options(server, .user("u", password: "u"))) { _, backends in
      let receipt = try await backends[0].post(draft("first"))
      let error = try #require(
        await failure { try await backends[0].subscribe(general, after: receipt.cursor) { _ in .more } })
      #expect(error.code == .forbidden && error.cause.contains("CONSUMER.CREATE"), "\(error)")
    }
  }

  @Test func accountsWithoutTheInbox() async throws {
    let server = try await server(
      "users: [{user: u, password: u, permissions: {subscribe: [\"mine.>\"], publish: [\">\"]}}]")
    var options = options(server, .user("u", password: "u"))
    let error = try #require(try await connectFailure(options))
    #expect(error.code == .forbidden && error.cause.contains("_INBOX"), "\(error)")
    options.inboxPrefix = "mine.inbox"
    try await works(options)
  }

  @Test("a topic that appears is noticed also where the account may not hear of it")
  func accountsWithoutAdvisories() async throws {
    let server = try await server(
      "users: [{user: u, password: u, permissions: {subscribe: [\"_INBOX.>\"], publish: [\">\"]}}]")
    try await withBackends(options(server, .user("u", password: "u")), count: 2) { loop, backends in
      let recorder = DeliveryLog(loop)
      let start = try await backends[0].fetch(FetchRequest(general)).next
      _ = try await backends[0].subscribe(general, after: start, sink: recorder.sink)
      try await backends[1].post(draft("new"))
      #expect(await recorder.wait(for: 1))
      #expect(await backends[0].traits.notes.contains { $0.contains("advisories") || $0.contains("ADVISORY") })
    }
  }
}
