import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// Ways in, and what is told of those that are closed.
@Suite struct AccessTests {
  private func settings(_ values: [String: SettingValue]) -> Settings {
    var settings = Settings(defaultsOf: RedisOptions.description.schema)
    for (name, value) in values { settings[name] = value }
    return settings
  }

  private func works(_ backend: RedisBackend) async throws {
    let receipt = try await backend.post(draft("here"))
    #expect(try await backend.fetch().messages.last?.id == receipt.id)
    let recorder = DeliveryRecorder(loop: backend.loop)
    _ = try await backend.subscribe(general, after: receipt.cursor, sink: recorder.sink)
    try await backend.post(draft("pushed"))
    #expect(await recorder.wait(until: backend.loop.now.advanced(by: .seconds(10))) { !$0.messages.isEmpty })
  }

  @Test func passwordsAndUsers() async throws {
    var configuration = RedisServer.Options()
    configuration.password = "s:e/c@r%t"
    configuration.users = ["ada on >geheim ~parley:* &* +@all"]
    try await withServer(configuration) { place in
      let port = place.server.port
      try await works(try await place.connect("redis://:s:e%2Fc%40r%25t@127.0.0.1:\(port)"))
      try await works(try await place.connect("redis://default:s:e%2Fc%40r%25t@127.0.0.1:\(port)"))
      let options = try RedisOptions(
        settings([
          "url": .string("redis://127.0.0.1:\(port)"), "username": .string("ada"), "password": .string("geheim"),
        ]))
      try await works(try await place.connect(options))
      for url in ["redis://127.0.0.1:\(port)", "redis://:wrong@127.0.0.1:\(port)", "redis://ada:no@127.0.0.1:\(port)"] {
        let error = await failure { try await place.connect(url) }
        #expect(error?.code == .unauthorized, "\(url): \(String(describing: error))")
        #expect(error?.description.contains("wrong") == false)
      }
    }
  }

  @Test func databasesAreApart() async throws {
    try await withServer { place in
      let third = try await place.connect(place.url + "/3")
      try await third.post(draft("in three"))
      #expect(try await place.connect().fetch().messages.isEmpty)
      #expect(try await place.connect(place.url + "/3").fetch().messages.map(\.content) == ["in three"])
      let error = await failure { try await place.connect(place.url + "/99") }
      #expect(error?.code == .invalidRequest)
      #expect(error?.cause.contains("no such database") == true, "\(String(describing: error))")
    }
  }

  @Test func unixSockets() async throws {
    var configuration = RedisServer.Options()
    configuration.hasUnixSocket = true
    try await withServer(configuration) { place in
      let path = try #require(place.server.socketPath)
      try await works(try await place.connect("unix://\(path)"))
      #expect(await failure { try await place.connect("unix:///no/such/socket") }?.code == .unavailable)
    }
  }

  @Test func encryptedWithClientCertificates() async throws {
    let certificates = try await TestCertificates.make()
    var configuration = RedisServer.Options()
    configuration.tls = certificates
    configuration.wantsClientCertificate = true
    try await withServer(configuration) { place in
      let port = try #require(place.server.tlsPort)
      func options(_ more: [String: SettingValue]) throws -> RedisOptions {
        try RedisOptions(
          settings(["url": .string("rediss://localhost:\(port)")].merging(more) { $1 }))
      }
      let trusts: [String: SettingValue] = ["tls_ca_file": .string(certificates.authority)]
      let shows: [String: SettingValue] = [
        "tls_cert_file": .string(certificates.client.certificate), "tls_key_file": .string(certificates.client.key),
      ]
      try await works(try await place.connect(try options(trusts.merging(shows) { $1 })))
      let cases: [(String, [String: SettingValue])] = [
        ("no certificate", trusts),
        (
          "a certificate that another authority signed",
          trusts.merging([
            "tls_cert_file": .string(certificates.wrongClient.certificate),
            "tls_key_file": .string(certificates.wrongClient.key),
          ]) { $1 }
        ),
        (
          "an authority that did not sign the server's",
          shows.merging([
            "tls_ca_file": .string(certificates.wrongAuthority)
          ]) { $1 }
        ),
        ("the system's authorities", shows),
        (
          "another server name", trusts.merging(shows) { $1 }.merging(["tls_server_name": .string("other.test")]) { $1 }
        ),
      ]
      for (name, more) in cases {
        let error = await failure { try await place.connect(try options(more)) }
        #expect(error?.code == .unauthorized, "\(name): \(String(describing: error))")
      }
      let plain = await failure { try await place.connect("redis://127.0.0.1:\(port)") }
      #expect(plain?.code == .unavailable, "\(String(describing: plain))")
      let missing = await failure { try await place.connect(try options(["tls_ca_file": .string("/no/such")])) }
      #expect(missing?.code == .invalidRequest)
      let notTLS = await failure { try await place.connect("rediss://127.0.0.1:\(place.server.port)") }
      #expect(notTLS?.code == .unavailable, "\(String(describing: notTLS))")
    }
  }

  @Test func nobodyListens() async throws {
    try await withServer { place in
      place.server.process.kill()
      let error = await failure { try await place.connect() }
      #expect(error?.code == .unavailable)
      #expect(error?.cause.contains("Connection refused") == true)
      #expect(await failure { try await place.connect("redis://no-such-host.invalid") }?.code == .unavailable)
    }
  }

  @Test func whatTheUserMayNotDoIsForbidden() async throws {
    var configuration = RedisServer.Options()
    configuration.users = [
      "reader on >r ~parley:* &* -@all +@read +@connection +info", "elsewhere on >e ~other:* &* +@all",
      "poor on >p ~parley:* &* +@all -client|unblock -client|kill -client|id -info -config -select -client|setname -xlen",
    ]
    try await withServer(configuration) { place in
      let port = place.server.port
      try await place.connect().post(draft("there"))
      let reader = try await place.connect("redis://reader:r@127.0.0.1:\(port)")
      #expect(try await reader.fetch().messages.map(\.content) == ["there"])
      #expect(await failure { try await reader.post(draft("no")) }?.code == .forbidden)
      let once = draft("no", key: .chosen("k"))
      #expect(await failure { try await reader.post(once) }?.code == .forbidden)
      let elsewhere = try await place.connect("redis://elsewhere:e@127.0.0.1:\(port)")
      #expect(await failure { try await elsewhere.fetch() }?.code == .forbidden)
      #expect(
        await failure { try await elsewhere.subscribe(general, after: Cursor("0-0")) { _ in .more } }?.code
          == .forbidden)
      // Without the rights that only make things better, everything works.
      let poor = try await place.connect("redis://poor:p@127.0.0.1:\(port)")
      #expect(await poor.traits.durability == .unknown)
      try await works(poor)
      let (first, second) = (DeliveryRecorder(loop: place.loop), DeliveryRecorder(loop: place.loop))
      for (topic, recorder) in [(Topic("a"), first), (Topic("b"), second)] {
        _ = try await poor.subscribe(topic, after: Cursor("0-0"), sink: recorder.sink)
        // Another connection takes the place of the reader that cannot be woken.
        for number in 1...3 {
          try await poor.post(draft("to \(topic)", on: topic))
          #expect(await recorder.wait(until: place.soon) { $0.messages.count == number })
        }
      }
    }
  }

  @Test func theDocumentedRightsSuffice() async throws {
    var configuration = RedisServer.Options()
    configuration.users = [
      "parley on >secret ~parley:* -@all +@connection +info +time +config|get "
        + "+xadd +xrange +xrevrange +xread +xlen +xinfo|stream +xtrim +get +set +incr +incrby +exists +eval +wait"
    ]
    try await withServer(configuration) { place in
      var options = try RedisOptions(url: "redis://parley:secret@127.0.0.1:\(place.server.port)")
      options.retentionDays = 1
      options.maximumLength = 1000
      let backend = try await place.connect(options)
      try await works(backend)
      for _ in 0..<70 { try await backend.post(draft("x")) }
      #expect(!(try await backend.post(draft("once", key: .chosen("k"))).isDuplicate))
      #expect(try await backend.post(draft("once", key: .chosen("k"))).isDuplicate)
      let rights = try await RedisInspection.look(options).rights
      #expect(rights.allSatisfy { $0.refusal == nil }, "\(rights)")
    }
  }

  @Test func aFullServerSaysSo() async throws {
    var configuration = RedisServer.Options()
    configuration.lines = ["maxmemory 3mb", "maxmemory-policy noeviction"]
    try await withServer(configuration) { place in
      let backend = try await place.connect()
      let text = String(repeating: "x", count: 100_000)
      var error: SeamError?
      for _ in 0..<100 where error == nil { error = await failure { try await backend.post(draft(text)) } }
      #expect(error?.code == .storageFull, "\(String(describing: error))")
      let count = try await backend.fetch().messages.count
      #expect(count > 0)
      let once = draft(text, key: .chosen("k"))
      #expect(await failure { try await backend.post(once) }?.code == .storageFull)
    }
  }

  @Test func aReplicaIsNotPostedTo() async throws {
    try await withServer { place in
      var configuration = RedisServer.Options()
      configuration.role = .replica(of: place.server)
      let replica = try await RedisServer.start(configuration)
      let error = await failure { try await place.connect("redis://127.0.0.1:\(replica.port)") }
      #expect(error?.code == .unavailable)
      #expect(error?.cause.contains("replica") == true)
      replica.process.kill()
    }
  }

  @Test func aServerThatIsMadeAReplicaIsLeft() async throws {
    try await withServer { place in
      let losses = Losses()
      let backend = try await place.connect(lost: { losses.add($0) })
      try await backend.post(draft("before"))
      try await place.server.command("REPLICAOF", "127.0.0.1", "1")
      #expect(await failure { try await backend.post(draft("x")) }?.code == .unavailable)
      #expect(losses.errors.count == 1)
    }
  }
}

/// What a backend reported as lost.
final class Losses: @unchecked Sendable {  // confined to the loop
  private(set) var errors: [SeamError] = []
  func add(_ error: SeamError) { errors.append(error) }
}
