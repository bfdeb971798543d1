import ParleyConformance
import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// Who may come in: hosts, origins, addresses, tokens, routes.
@Suite struct AccessTests {
  static let ping = RemoteWorld.modern("server/discover")
  static let fields = RemoteWorld.modernFields("server/discover")

  private static func discover(
    _ world: RemoteWorld, _ extra: [String: String] = [:]
  ) async throws -> WebResponse {
    try await world.request("POST", "/mcp", fields.merging(extra) { $1 }, ping)
  }

  @Test func hostsAreChecked() throws {
    try RemoteWorld.use({ $0.access.hosts = ["parley.example.org"] }) { world async throws in
      for host in ["localhost", "localhost:1", "127.0.0.1:9", "[::1]:8808", "192.0.2.1", "Parley.Example.org:443"] {
        #expect(try await Self.discover(world, ["Host": host]).status == 200, "\(host)")
      }
      // A name of the attacker's that resolves to this machine.
      for host in ["evil.example", "evil.example:8808", "localhost.evil.example", "127.0.0.1.evil.example"] {
        for path in ["/mcp", "/healthz", "/nothing"] {
          let response = try await world.request("GET", path, ["Host": host])
          #expect(response.status == 403 && response.text.contains("hostNotAllowed"), "\(host) \(path)")
        }
      }
    }
  }

  @Test func originsAreChecked() throws {
    try RemoteWorld.use({ $0.access.origins = ["https://console.example"] }) { world async throws in
      #expect(try await Self.discover(world, ["Origin": "http://\(world.authority)"]).status == 200)
      #expect(try await Self.discover(world, ["Origin": "https://console.example"]).status == 200)
      for origin in [
        "https://evil.example", "null", "http://localhost", "http://127.0.0.1:1", "https://console.example.evil",
        "https://console.example:8443", "file://",
      ] {
        let response = try await Self.discover(world, ["Origin": origin])
        #expect(response.status == 403 && response.text.contains("originNotAllowed"), "\(origin)")
        #expect(try await world.request("GET", "/healthz", ["Origin": origin]).status == 403)
      }
    }
  }

  @Test func aTokenIsAskedForBeforeAnythingElse() throws {
    try RemoteWorld.use({ $0.authenticator = StaticToken("correct horse battery staple") }) { world async throws in
      for (method, path, body) in [
        ("POST", "/mcp", Self.ping), ("POST", "/mcp", "{"), ("GET", "/mcp", ""), ("PUT", "/mcp", ""),
        ("DELETE", "/mcp", ""),
      ] {
        let response = try await world.request(method, path, ["Content-Type": "text/plain"], body)
        #expect(response.status == 401 && response.fields["www-authenticate"] == "Bearer", "\(method) \(body)")
      }
      for wrong in [
        "Bearer wrong", "bearer  correct horse", "Basic Y29ycmVjdA==", "Bearer", "correct horse battery staple",
      ] {
        #expect(try await Self.discover(world, ["Authorization": wrong]).status == 401, "\(wrong)")
      }
      #expect(
        try await Self.discover(world, ["Authorization": "Bearer wrong"]).fields["www-authenticate"]
          == "Bearer error=\"invalid_token\"")
      // Never in the address.
      let query = try await world.request("POST", "/mcp?access_token=x", Self.fields, Self.ping)
      #expect(query.status == 401)
      #expect(try await world.request("GET", "/healthz").status == 200)
    }
    try RemoteWorld.use({ $0.authenticator = StaticToken("0123456789abcdef") }) { world async throws in
      let response = try await Self.discover(world, ["Authorization": "bEARER 0123456789abcdef"])
      #expect(response.status == 200 && response.message?["result"] != nil)
      #expect(response.fields["cache-control"] == "no-store")
    }
  }

  @Test func addressesAreJudgedBehindTheProxy() throws {
    var rules = AccessRules()
    rules.proxies = [AddressRange("127.0.0.0/8"), AddressRange("10.0.0.0/8")].compactMap { $0 }
    rules.allowedFrom = [AddressRange("160.79.104.0/21")].compactMap { $0 }
    let known = rules
    try RemoteWorld.use({ $0.access = known }) { world async throws in
      // The client may write what it likes before what the proxies add.
      for (forwarded, status) in [
        ("160.79.105.1", 200), ("8.8.8.8, 160.79.105.1, 10.1.2.3", 200), ("160.79.105.1, 8.8.8.8", 403),
        ("8.8.8.8", 403), ("garbage", 403),
      ] {
        #expect(try await Self.discover(world, ["X-Forwarded-For": forwarded]).status == status, "\(forwarded)")
      }
      #expect(try await Self.discover(world).status == 403)
      #expect(try await world.request("GET", "/healthz").status == 200)
    }
    // Who is no proxy is not believed.
    rules.proxies = []
    let believing = rules
    try RemoteWorld.use({ $0.access = believing }) { world async throws in
      #expect(try await Self.discover(world, ["X-Forwarded-For": "160.79.105.1"]).status == 403)
    }
  }

  @Test func figuresAreForThoseWhoMaySeeThem() throws {
    try RemoteWorld.use({ $0.authenticator = StaticToken("0123456789abcdef") }) { world async throws in
      let bearer = ["Authorization": "Bearer 0123456789abcdef"]
      let refused = try await world.request("GET", "/metrics", ["Authorization": "Bearer wrong"])
      #expect(refused.status == 401 && !refused.text.contains("parley_"))
      let answer = try await world.request("GET", "/metrics", bearer)
      #expect(answer.status == 200 && answer.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
      let lines = answer.text.split(separator: "\n").map(String.init)
      #expect(lines.contains("parley_auth_failures_total{reason=\"token\"} 1"))
      #expect(lines.contains("parley_sessions 0") && lines.contains { $0.hasPrefix("parley_connections ") })
      #expect(lines.contains("# TYPE parley_post_duration_seconds histogram"))
      // Every line is a comment or a name, perhaps with a label, and a number; every name has its type.
      for line in lines where !line.hasPrefix("#") {
        let parts = line.split(separator: " ")
        let name = parts[0].prefix { $0 != "{" }
        #expect(parts.count == 2 && Double(parts[1]) != nil, "\(line)")
        let family = ["_bucket", "_sum", "_count"].first { name.hasSuffix($0) }.map { name.dropLast($0.count) } ?? name
        #expect(lines.contains { $0.hasPrefix("# TYPE \(family) ") || $0.hasPrefix("# TYPE \(name) ") }, "\(line)")
      }
      #expect(try await world.request("POST", "/metrics", bearer).status == 405)
    }
  }

  @Test func whatIsCounted() {
    let metrics = DoorMetrics()
    let receipt = Receipt(id: MessageID("1"), cursor: Cursor("c"), storedAt: nil, durability: .synced)
    metrics.posted(.success(receipt), after: .microseconds(700))
    metrics.posted(.success(receipt), after: .seconds(9))
    metrics.posted(
      .success(Receipt(id: MessageID("1"), cursor: Cursor("c"), storedAt: nil, durability: .synced, isDuplicate: true)),
      after: .milliseconds(1))
    metrics.posted(.failure(SeamError(.timedOut, operation: "post", cause: "x")), after: .seconds(1))
    metrics.pushed()
    metrics.noticedGap()
    let text = metrics.text(
      DoorMetrics.Present(health: Health(state: .live, since: 0, reconnects: 3), sessions: 1, calls: 2, connections: 4))
    for line in [
      "parley_posts_total{outcome=\"stored\"} 2", "parley_posts_total{outcome=\"duplicate\"} 1",
      "parley_posts_total{outcome=\"failed\"} 1", "parley_post_duration_seconds_bucket{le=\"0.0005\"} 0",
      "parley_post_duration_seconds_bucket{le=\"0.001\"} 2", "parley_post_duration_seconds_bucket{le=\"5.0\"} 2",
      "parley_post_duration_seconds_bucket{le=\"+Inf\"} 3", "parley_post_duration_seconds_count 3",
      "parley_post_duration_seconds_sum 9.0017", "parley_pushes_total 1", "parley_gaps_total 1", "parley_backend_up 1",
      "parley_backend_reconnects_total 3", "parley_sessions 1", "parley_calls 2", "parley_connections 4",
    ] { #expect(text.contains(line + "\n"), "\(line)") }
  }

  @Test func readinessIsTheBackends() throws {
    try RemoteWorld.use { world async throws in
      // Each look is a request of its own; the backend changes meanwhile.
      func ends(with status: Int) async throws -> Bool {
        let deadline = world.loop.now.advanced(by: .seconds(30))
        while world.loop.now < deadline {
          if try await world.request("GET", "/readyz").status == status { return true }
        }
        return false
      }
      #expect(try await ends(with: 200))
      world.store.restart(downtime: .seconds(600))
      #expect(try await ends(with: 503))
      #expect(try await world.request("GET", "/readyz").text == #"{"status":"unavailable"}"#)
      #expect(try await world.request("GET", "/healthz").status == 200)
      world.store.heal()
      #expect(try await ends(with: 200))
      #expect(try await world.request("POST", "/readyz").status == 405)
    }
  }

  @Test func routes() throws {
    try RemoteWorld.use { world async throws in
      let health = try await world.request("GET", "/healthz")
      #expect(health.status == 200 && health.text == #"{"status":"ok"}"#)
      #expect(health.fields["x-content-type-options"] == "nosniff" && health.fields["cache-control"] == "no-store")
      #expect(try await world.request("HEAD", "/healthz").status == 200)
      #expect(try await world.request("POST", "/healthz").status == 405)
      for path in [
        "/", "/mcp/", "/MCP", "//mcp", "/./mcp", "/x/../mcp", "/%6dcp", "/mcp%00", "/mcp;x", "/healthz/..",
        "/etc/passwd",
      ] {
        #expect(try await world.request("GET", path).status == 404, "\(path)")
      }
      for method in ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE"] {
        let response = try await world.request(method, "/mcp")
        #expect(response.status == 405 && response.fields["allow"] == "POST, GET, DELETE", "\(method)")
      }
      #expect(try await world.request("POST", "/mcp", ["Content-Type": "text/plain"], Self.ping).status == 415)
      #expect(try await world.request("POST", "/mcp", ["Content-Type": ""], Self.ping).status == 415)
      #expect(try await world.request("POST", "/mcp", ["Accept": "text/html"], Self.ping).status == 406)
      let plain = ["Content-Type": "application/json; charset=utf-8", "Accept": "*/*"].merging(Self.fields) { $1 }
      #expect(try await world.request("POST", "/mcp", plain, Self.ping).status == 200)
    }
  }
}
