import ParleyMCP
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// Revision 2026-07-28 over HTTP.
@Suite struct StatelessTests {
  @Test func discovers() throws {
    try RemoteWorld.use { world async throws in
      let response = try await world.request(
        "POST", "/mcp", RemoteWorld.modernFields("server/discover"), RemoteWorld.modern("server/discover", id: "d"))
      let result = try #require(response.message?["result"])
      #expect(response.status == 200 && !response.isStream && response.message?["id"] == "d")
      #expect(result["resultType"] == "complete" && result["cacheScope"] == "private")
      #expect((result["ttlMs"]?.int ?? -1) >= 0 && result["instructions"]?.string != nil)
      let supported = result["supportedVersions"]?.array?.compactMap(\.string) ?? []
      #expect(supported.contains("2026-07-28") && supported.contains("2025-11-25"))
      #expect(result["capabilities"]?["experimental"] == nil)
      #expect(result["_meta"]?["io.modelcontextprotocol/serverInfo"]?["name"] == "parley")
      #expect(response.fields["mcp-session-id"] == nil)
    }
  }

  @Test func servesTheSameAsStdio() throws {
    try RemoteWorld.use { world async throws in
      let list = try await world.request(
        "POST", "/mcp", RemoteWorld.modernFields("tools/list"), RemoteWorld.modern("tools/list", id: 0))
      let names = list.message?["result"]?["tools"]?.array?.compactMap { $0["name"]?.string }
      #expect(names == StandardTools.all.map(\.name))
      #expect(list.message?["id"] == 0)
      let posted = try await world.tool("parley_post", ["topic": "general", "content": "hello"])
      #expect(posted?["isError"] == nil && posted?["resultType"] == "complete", "\(String(describing: posted))")
      let fetched = try await world.tool("parley_fetch_recent", ["topic": "general"])
      #expect(fetched?["structuredContent"]?["messages"]?.array?.first?["content"] == "hello")
      let refused = try await world.tool("parley_post", ["topic": "nowhere", "content": "x"])
      #expect(refused?["isError"] == true)
      for (method, key) in [("resources/list", "resources"), ("prompts/list", "prompts")] {
        let response = try await world.request(
          "POST", "/mcp", RemoteWorld.modernFields(method), RemoteWorld.modern(method))
        #expect(response.message?["result"]?[key]?.array?.isEmpty == false)
        #expect(response.message?["result"]?["ttlMs"] != nil)
      }
      let uri = "parley://topic/general"
      let read = try await world.request(
        "POST", "/mcp", RemoteWorld.modernFields("resources/read", name: uri),
        RemoteWorld.modern("resources/read", ["uri": .string(uri)]))
      #expect(read.message?["result"]?["contents"]?.array?.isEmpty == false)
      let missing = try await world.request(
        "POST", "/mcp", RemoteWorld.modernFields("resources/read", name: "parley://topic/x"),
        RemoteWorld.modern("resources/read", ["uri": "parley://topic/x"]))
      #expect(missing.status == 200 && missing.failure == -32602)
    }
  }

  /// Header and body must agree: -32020 with 400.
  @Test func headersAreChecked() throws {
    try RemoteWorld.use { world async throws in
      func failure(
        _ fields: [String: String], _ method: String, _ params: JSONObject
      ) async throws -> (Int, Int64?) {
        let response = try await world.request("POST", "/mcp", fields, RemoteWorld.modern(method, params))
        return (response.status, response.failure)
      }
      let good = RemoteWorld.modernFields("tools/call", name: "parley_status")
      let call: JSONObject = ["name": "parley_status", "arguments": [:]]
      #expect(try await failure(good, "tools/call", call) == (200, nil))
      for (name, value) in [
        ("MCP-Protocol-Version", ""), ("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Method", ""),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Method", "Tools/Call"), ("Mcp-Name", ""), ("Mcp-Name", "parley_post"), ("Mcp-Name", "PARLEY_STATUS"),
        ("Mcp-Name", "=?base64?????=?="),
      ] {
        var fields = good
        fields[name] = value
        #expect(try await failure(fields, "tools/call", call) == (400, -32020), "\(name): \(value)")
      }
      var encoded = good
      encoded["Mcp-Name"] = "=?base64?cGFybGV5X3N0YXR1cw==?="
      #expect(try await failure(encoded, "tools/call", call) == (200, nil))
      encoded = good.merging(["MCP-PROTOCOL-VERSION": "2026-07-28", "mcp-method": " tools/call "]) { $1 }
      encoded["MCP-Protocol-Version"] = nil
      encoded["Mcp-Method"] = nil
      #expect(try await failure(encoded, "tools/call", call) == (200, nil))
    }
  }

  @Test func whatEveryRequestMustSay() throws {
    try RemoteWorld.use { world async throws in
      func failure(_ meta: JSONValue?, version: String = "2026-07-28") async throws -> (Int, Int64?, JSONValue?) {
        var params: JSONObject = [:]
        params["_meta"] = meta ?? [:]
        let fields = ["MCP-Protocol-Version": version, "Mcp-Method": "tools/list"]
        let response = try await world.request("POST", "/mcp", fields, RemoteWorld.modern("tools/list", params))
        return (response.status, response.failure, response.message?["error"]?["data"])
      }
      let version = "io.modelcontextprotocol/protocolVersion"
      let capabilities = "io.modelcontextprotocol/clientCapabilities"
      let none = try await failure(nil)
      #expect(none.0 == 400 && none.1 == -32602)
      let bare = try await failure([version: "2026-07-28"])
      #expect(bare.0 == 400 && bare.1 == -32602)
      let future = try await failure([version: "2027-01-01", capabilities: [:]], version: "2027-01-01")
      #expect(future.0 == 400 && future.1 == -32022 && future.2?["requested"] == "2027-01-01")
      #expect(future.2?["supported"]?.array?.contains("2026-07-28") == true)
    }
  }

  @Test func unknownMethodsAre404() throws {
    try RemoteWorld.use { world async throws in
      for method in ["nothing/here", "ping", "resources/subscribe", "logging/setLevel"] {
        let response = try await world.request(
          "POST", "/mcp", RemoteWorld.modernFields(method), RemoteWorld.modern(method))
        #expect(response.status == 404 && response.failure == -32601, "\(method)")
      }
      let unknown = try await world.request(
        "POST", "/mcp", RemoteWorld.modernFields("tools/call", name: "x"),
        RemoteWorld.modern("tools/call", ["name": "x"]))
      #expect(unknown.status == 200 && unknown.failure == -32602)
    }
  }

  @Test func malformedBodies() throws {
    try RemoteWorld.use { world async throws in
      for (body, code) in [
        ("{", -32700), ("", -32700), ("\u{FEFF}x", -32700), ("\"x\"", -32600), ("{}", -32600), ("[]", nil),
        (#"{"jsonrpc":"2.0","id":null,"method":"server/discover"}"#, -32600),
        (#"{"jsonrpc":"2.0","id":1.5,"method":"server/discover"}"#, -32600),
        (String(repeating: "[", count: 10_000), -32600),
      ] as [(String, Int64?)] {
        let response = try await world.request("POST", "/mcp", RemoteWorld.modernFields("server/discover"), body)
        #expect(response.status == 400 && response.failure == code, "\(body.prefix(60)): \(response)")
      }
      // Sessions and resumption do not exist in this era.
      let fields = ["MCP-Protocol-Version": "2026-07-28"]
      #expect(try await world.request("GET", "/mcp", fields).status == 405)
      #expect(try await world.request("DELETE", "/mcp", fields).status == 405)
      let ignored = RemoteWorld.modernFields("server/discover").merging(
        ["Mcp-Session-Id": "nonsense", "Last-Event-ID": "1-1"]) { $1 }
      #expect(try await world.request("POST", "/mcp", ignored, RemoteWorld.modern("server/discover")).status == 200)
      let noted = try await world.request(
        "POST", "/mcp", ["MCP-Protocol-Version": "2026-07-28"],
        #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#)
      #expect(noted.status == 202 && noted.body.isEmpty)
    }
  }

  /// A waiting call shows at once that it is under way, tells progress, and brings its answer on the same stream.
  @Test func waitingCallsStream() throws {
    try RemoteWorld.use { world async throws in
      _ = try await world.tool("parley_wait", ["timeout_ms": 0])
      var call: JSONObject = ["name": "parley_wait", "arguments": ["timeout_ms": 20_000]]
      call["_meta"] = [
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:],
        "progressToken": "p",
      ]
      let begin = world.loop.now
      let client = try await world.begin(
        "POST", "/mcp", RemoteWorld.modernFields("tools/call", name: "parley_wait"),
        RemoteWorld.modern("tools/call", id: 7, call))
      let head = try await client.head()
      #expect(head.status == 200 && head.isStream && head.fields["x-accel-buffering"] == "no")
      let progress = try await client.event { $0["method"] == "notifications/progress" }
      #expect(progress["params"]?["progressToken"] == "p" && begin.duration(to: world.loop.now) < .seconds(10))
      try await world.post("for you")
      let answer = try await client.event { $0["id"] == 7 }
      #expect(answer["result"]?["structuredContent"]?["messages"]?.array?.first?["content"] == "for you")
      #expect(try await client.response().isStream)
      // The connection goes on.
      client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
      try await client.wait { client.hasEnded }
    }
  }

  @Test func aWaitingCallWithoutAnEventStreamIsAnsweredAsJSON() throws {
    try RemoteWorld.use { world async throws in
      _ = try await world.tool("parley_wait", ["timeout_ms": 0])
      let fields = RemoteWorld.modernFields("tools/call", name: "parley_wait").merging(["Accept": "application/json"]) {
        $1
      }
      let response = try await world.request(
        "POST", "/mcp", fields,
        RemoteWorld.modern("tools/call", ["name": "parley_wait", "arguments": ["timeout_ms": 300]]))
      #expect(!response.isStream && response.message?["result"]?["structuredContent"]?["timedOut"] == true)
    }
  }

  @Test func aClientThatGoesCancels() throws {
    try RemoteWorld.use { world async throws in
      _ = try await world.tool("parley_wait", ["timeout_ms": 0])
      let client = try await world.begin(
        "POST", "/mcp", RemoteWorld.modernFields("tools/call", name: "parley_wait"),
        RemoteWorld.modern("tools/call", ["name": "parley_wait", "arguments": ["timeout_ms": 60_000]]))
      _ = try await client.head()
      #expect(await world.server.callCount == 1)
      client.stream.close()
      for _ in 0..<200 where await world.server.callCount > 0 { await world.loop.sleep(for: .milliseconds(5)) }
      #expect(await world.server.callCount == 0)
      // What would have been told to it is still there for the next.
      try await world.post("kept")
      let news = try await world.tool("parley_wait", ["timeout_ms": 5_000])
      #expect(news?["structuredContent"]?["messages"]?.array?.first?["content"] == "kept")
    }
  }

  @Test func subscriptionsAreAcknowledgedAndToldAndEnded() throws {
    try RemoteWorld.use { world async throws in
      _ = try await world.tool("parley_wait", ["timeout_ms": 0])
      func listen(_ id: JSONValue, _ wishes: JSONValue) async throws -> WebClient {
        try await world.begin(
          "POST", "/mcp", RemoteWorld.modernFields("subscriptions/listen"),
          RemoteWorld.modern("subscriptions/listen", id: id, ["notifications": wishes]))
      }
      let uri: JSONValue = "parley://topic/general"
      let key = "io.modelcontextprotocol/subscriptionId"
      let client = try await listen(
        "listen:0", ["resourceSubscriptions": [uri, "parley://topic/secret"], "toolsListChanged": true])
      let other = try await listen(5, ["resourceSubscriptions": [uri]])
      let first = try #require(try await client.events(1).first?.message)
      #expect(first["method"] == "notifications/subscriptions/acknowledged")
      #expect(first["params"]?["notifications"]?["resourceSubscriptions"] == [uri])
      #expect(first["params"]?["_meta"]?[key] == "listen:0")
      _ = try await other.events(1)
      // Also what another stateless client posts through the same door.
      _ = try await world.tool("parley_post", ["topic": "general", "content": "x"])
      let update = try await client.event { $0["method"] == "notifications/resources/updated" }
      #expect(update["params"]?["uri"] == uri && update["params"]?["_meta"]?[key] == "listen:0")
      let second = try await other.event { $0["method"] == "notifications/resources/updated" }
      #expect(second["params"]?["_meta"]?[key] == 5)
      // The server ends: listeners are told, and get their answer.
      await world.server.end()
      let cancelled = try await client.event { $0["method"] == "notifications/cancelled" }
      #expect(cancelled["params"]?["requestId"] == "listen:0")
      let answer = try await client.event { $0["id"] == "listen:0" }
      #expect(answer["result"]?["resultType"] == "complete" && answer["result"]?["_meta"]?[key] == "listen:0")
      try await client.wait { client.hasEnded }
    }
  }

  @Test func streamsAreKeptAlive() throws {
    try RemoteWorld.use({ $0.keepAlive = .milliseconds(30) }) { world async throws in
      let client = try await world.begin(
        "POST", "/mcp", RemoteWorld.modernFields("subscriptions/listen"),
        RemoteWorld.modern("subscriptions/listen", ["notifications": [:]]))
      try await client.wait { client.bodyText.contains(": \n\n: \n\n: \n\n") }
    }
  }
}
