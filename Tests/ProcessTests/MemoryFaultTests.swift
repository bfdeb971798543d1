import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// A session whose server goes away again and again, while it posts, does not grow.
@Suite struct MemoryFaultTests {
  /// Losses of the connection before the first look, and until the second; with PARLEY_SOAK for several minutes.
  private static let warm = 8
  private static let losses = Environment.value("PARLEY_SOAK") == nil ? 16 : 240
  /// Posts that are under way at each.
  private static let posts = 50
  /// What the pages of a process may differ by from one look to the next, in bytes, with what a session remembers of each
  /// post: to know a copy of it, or what became of it when its outcome was in doubt. Both tables have a bound, which a
  /// test does not reach.
  private static let tolerance = (1 << 20) + losses * posts * 250

  @Test func redisStaysFlat() throws {
    try Workplace.use { place in
      let server = try await RedisServer.start()
      defer { server.process.kill() }
      try await Self.check(place, "redis", to: server.port) { #"url: "redis://127.0.0.1:\#($0)", timeout_ms: 800"# }
    }
  }

  @Test func natsStaysFlat() throws {
    try Workplace.use { place in
      let server = try await NATSServer.start()
      defer { server.process.kill() }
      try await Self.check(place, "nats", to: server.port) { #"servers: ["127.0.0.1:\#($0)"]"# }
    }
  }

  private static func check(
    _ place: Workplace, _ backend: String, to port: Int, _ settings: (Int) -> String
  ) async throws {
    let proxy = try await FaultProxy.start(to: port)
    try place.write(
      "faults.yaml",
      """
      backend: \(backend)
      identity: { handle: ada }
      topics: [general, ops]
      live_push: { enabled: true }
      backend_config: { \(settings(proxy.port)) }

      """)
    let client = try Client(place, config: "faults.yaml")
    try await client.initialize()
    var next = 1
    for _ in 0..<warm { try await lose(proxy, client, &next) }
    let before = try resident(client.process.id)
    for _ in 0..<losses { try await lose(proxy, client, &next) }
    let after = try resident(client.process.id)
    await proxy.close()
    #expect(after - before < tolerance, "\(backend): \(before) bytes, then \(after) after \(losses) losses")
  }

  /// Cuts all connections while posts are under way, and waits until each has been answered.
  private static func lose(_ proxy: FaultProxy, _ client: Client, _ next: inout Int) async throws {
    var open: Set<Int64> = []
    for id in next..<(next + posts) {
      client.request(id, "parley_post", ["topic": id % 2 == 0 ? "general" : "ops", "content": .string("post \(id)")])
      open.insert(Int64(id))
      if id == next + posts / 2 { await proxy.cutAll() }
    }
    next += posts
    while !open.isEmpty {
      let message = try #require(await client.next(), "\(open.count) of \(posts) posts were not answered")
      guard let id = message["id"]?.int, open.remove(id) != nil else { continue }
      #expect(message["result"]?["isError"]?.bool != true, "\(message.text)")
    }
  }

  /// What a process has in memory, in bytes.
  private static func resident(_ process: pid_t) throws -> Int {
    let line = try #require(
      TextFile.read("/proc/\(process)/status")?.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
    let number = line.drop { !$0.isNumber }.prefix { $0.isNumber }
    return try #require(Int(number)) * 1024
  }
}
