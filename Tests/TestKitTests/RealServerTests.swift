import ParleyRuntime
import ParleyTestKit
import Testing

/// The launchers of the servers that backends are tested against.
struct RealServerTests {
  @Test func redisKeepsItsDataOverAKill() async throws {
    var options = RedisServer.Options()
    options.appendfsync = "always"
    options.password = "secret"
    options.hasUnixSocket = true
    options.tls = try await TestCertificates.make()
    let server = try await RedisServer.start(options)
    try await server.command("SET", "key", "value")
    server.process.kill()
    try await server.process.start()
    #expect(try await server.command("GET", "key") == .text("value"))
    let stranger = try BlockingClient(port: server.port)
    try stranger.send("GET key\r\n")
    #expect(try stranger.line().hasPrefix("-NOAUTH"))
    #expect(server.socketPath != nil && server.tlsPort != nil)
  }

  @Test func threeRedisNodesAreACluster() async throws {
    let nodes = try await RedisServer.cluster(of: 3)
    // "a" is in slot 15495: the third node's.
    #expect(try await nodes[2].command("SET", "a", "1") == .text("OK"))
    let failure = await #expect(throws: ServerFailure.self) { try await nodes[0].command("GET", "a") }
    #expect(failure?.description.contains("MOVED 15495 127.0.0.1:\(nodes[2].port)") == true)
  }

  @Test func aSentinelPromotesTheReplica() async throws {
    let master = try await RedisServer.start()
    var options = RedisServer.Options()
    options.role = .replica(of: master)
    let replica = try await RedisServer.start(options)
    try await replica.wait(for: "master_link_status:up", in: "INFO", "replication")
    options.role = .sentinel(name: "parley", master: master, quorum: 1)
    let sentinel = try await RedisServer.start(options)
    try await sentinel.wait(for: "slaves=1", in: "INFO", "sentinel")
    master.process.kill()
    try await replica.wait(for: "role:master", in: "INFO", "replication")
    try await sentinel.wait(for: "address=127.0.0.1:\(replica.port)", in: "INFO", "sentinel")
  }

  @Test func natsIsHealthyAndTellsOfItself() async throws {
    var options = NATSServer.Options()
    options.authorization = "user: parley, password: secret"
    options.maxPayload = 4096
    options.syncInterval = "always"
    options.tls = try await TestCertificates.make()
    let server = try await NATSServer.start(options)
    let page = try await server.monitor("/varz")
    #expect(page["max_payload"]?.int == 4096 && page["auth_required"]?.bool == true)
    #expect(try await server.monitor("/jsz")["config"]?["store_dir"]?.string?.contains("jetstream") == true)
    server.process.kill()
    try await server.process.start()
    #expect(try await server.monitor("/connz")["num_connections"]?.int == 0)
  }

  @Test func certificatesAreMadeOnce() async throws {
    let certificates = try await TestCertificates.make()
    #expect(try await TestCertificates.make().authority == certificates.authority)
    for pair in [certificates.server, certificates.wrongHost, certificates.client, certificates.wrongClient] {
      #expect(TextFile.read(pair.certificate)?.contains("BEGIN CERTIFICATE") == true)
      #expect(TextFile.read(pair.key)?.contains("PRIVATE KEY") == true)
    }
  }
}
