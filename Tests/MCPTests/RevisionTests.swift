import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyMCP

@Suite("Revisions") struct RevisionTests {
  private static let meta: JSONValue = [
    "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:],
  ]

  @Test(
    "initialize answers with the same version where it is known, else with the latest",
    arguments: [
      ("2024-11-05", "2024-11-05"), ("2025-03-26", "2025-03-26"), ("2025-06-18", "2025-06-18"),
      ("2025-11-25", "2025-11-25"), ("2026-07-28", "2025-11-25"), ("1999-01-01", "2025-11-25"), ("", "2025-11-25"),
    ]
  )
  func negotiation(asked: String, answered: String) throws {
    try SessionWorld.run { world in
      let hello = try await world.client.initialize(asked)
      #expect(hello["result"]?["protocolVersion"]?.string == answered)
      #expect((hello["result"]?["capabilities"]?["completions"] != nil) == (answered != "2024-11-05"))
      #expect(hello["result"]?["capabilities"]?["tools"] == [:])
      #expect(hello["result"]?["capabilities"]?["resources"]?["subscribe"] == true)
      #expect(hello["result"]?["capabilities"]?["logging"] == nil)
      #expect(hello["result"]?["resultType"] == nil)
    }
  }

  @Test("initialize without a version is invalid, and before it only ping is answered") func beforeInitialize() throws {
    try SessionWorld.run { world in
      let client = world.client
      #expect(try await client.call("initialize", id: 1, [:])["error"]?["code"] == -32602)
      try await client.ping()
      #expect(try await client.call("tools/list", id: 2)["error"]?["code"] == -32602)
      #expect(try await client.call("no/such", id: 3)["error"]?["code"] == -32601)
      try await client.initialize()
      #expect(try await client.call("tools/list", id: 4)["result"] != nil)
    }
  }

  @Test("initialize and tools/list are answered while the backend is away; calls fail with the cause, and heal")
  func backendAway() throws {
    try SessionWorld.run(.init(isUp: false)) { world in
      let client = world.client
      try await client.initialize()
      #expect(try await client.call("tools/list", id: 1)["result"]?["tools"]?.array?.count == 5)
      let failed = try await client.tool("post", id: 2, ["content": "hello"])
      #expect(failed["result"]?["isError"] == true)
      #expect(failed["result"]?["_meta"]?["parley/error"] == "unavailable")
      #expect(failed["result"]?["content"]?[0]?["text"]?.string?.contains("away") == true)
      #expect(failed["result"]?["structuredContent"] == nil)
      world.store.heal()
      var posted = false
      for attempt in 0..<50 where !posted {
        posted =
          try await client.tool("post", id: .string("again-\(attempt)"), ["content": "hello"])["result"]?["isError"]
          == nil
      }
      #expect(posted)
    }
  }

  @Test("server/discover names the revisions and capabilities") func discover() throws {
    try SessionWorld.run { world in
      let result = try #require(
        try await world.client.call("server/discover", id: "server-discover-probe-1", ["_meta": Self.meta])["result"])
      #expect(result["resultType"] == "complete")
      #expect(result["supportedVersions"]?[0] == "2026-07-28")
      #expect(result["supportedVersions"]?.array?.contains("2025-11-25") == true)
      #expect(result["capabilities"]?["tools"] == [:])
      #expect(result["ttlMs"]?.int.map { $0 >= 0 } == true)
      #expect(result["cacheScope"] == "private")
      #expect(result["_meta"]?["io.modelcontextprotocol/serverInfo"]?["name"] == "parley")
    }
  }

  @Test(
    "stateless requests get their shapes, before and after a handshake on the same connection",
    arguments: [false, true])
  func stateless(afterHandshake: Bool) throws {
    try SessionWorld.run { world in
      let client = world.client
      if afterHandshake { try await client.initialize() }
      for (id, method) in ["tools/list", "resources/list", "resources/templates/list", "prompts/list"].enumerated() {
        let result = try await client.call(method, id: .int(Int64(id)), ["_meta": Self.meta])["result"]
        #expect(result?["resultType"] == "complete" && result?["cacheScope"] == "private")
        #expect(result?["ttlMs"]?.int != nil)
        #expect(result?["_meta"]?["io.modelcontextprotocol/serverInfo"]?["version"] == "1.2.3")
      }
      let call = try await client.call(
        "tools/call", id: 10, ["name": "echo", "arguments": ["text": "x"], "_meta": Self.meta])["result"]
      #expect(call?["resultType"] == "complete" && call?["ttlMs"] == nil)
      #expect(call?["_meta"]?["parley/unread"] == [:])
      let read = try await client.call("resources/read", id: 11, ["uri": "parley://topic/ops", "_meta": Self.meta])[
        "result"]
      #expect(read?["contents"]?[0]?["text"] == "hello" && read?["ttlMs"] == 0)
      let missing = try await client.call("resources/read", id: 12, ["uri": "parley://x", "_meta": Self.meta])
      #expect(missing["error"]?["code"] == -32602)
      for method in ["ping", "resources/subscribe", "logging/setLevel"] {
        #expect(try await client.call(method, id: 13, ["_meta": Self.meta])["error"]?["code"] == -32601, "\(method)")
      }
    }
  }

  @Test("what a stateless request must carry") func requiredMeta() throws {
    try SessionWorld.run { world in
      let client = world.client
      func code(_ meta: JSONValue) async throws -> JSONValue? {
        try await client.call("tools/list", id: 1, ["_meta": meta])["error"]
      }
      #expect(try await code(["io.modelcontextprotocol/protocolVersion": "2026-07-28"])?["code"] == -32602)
      #expect(try await code(["io.modelcontextprotocol/protocolVersion": 5])?["code"] == -32602)
      let unsupported = try await code([
        "io.modelcontextprotocol/protocolVersion": "2027-01-01", "io.modelcontextprotocol/clientCapabilities": [:],
      ])
      #expect(unsupported?["code"] == -32022)
      #expect(unsupported?["data"]?["requested"] == "2027-01-01")
      #expect(unsupported?["data"]?["supported"]?[0] == "2026-07-28")
    }
  }

  @Test("with live push on, the handshake revisions alone are spoken") func channelIsLegacy() throws {
    try SessionWorld.run(.init(livePush: .init())) { world in
      let client = world.client
      #expect(try await client.call("server/discover", id: 1, ["_meta": Self.meta])["error"]?["code"] == -32601)
      #expect(try await client.call("server/discover", id: 2)["error"]?["code"] == -32601)
      let refused = try await client.call("tools/list", id: 3, ["_meta": Self.meta])
      #expect(refused["error"]?["code"] == -32022)
      #expect(refused["error"]?["data"]?["supported"]?.array?.contains("2026-07-28") == false)
      let hello = try await client.initialize()
      #expect(hello["result"]?["capabilities"]?["experimental"]?["claude/channel"] == [:])
      #expect(hello["result"]?["instructions"]?.string?.contains("<channel>") == true)
      #expect((hello["result"]?["instructions"]?.string?.utf8.count).map { $0 < 2048 } == true)
    }
  }

  @Test("batches are served on 2025-03-26 alone") func batches() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize("2025-03-26")
      client.send(
        """
        [{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}},\
        {"jsonrpc":"2.0","method":"notifications/x"},5,{"jsonrpc":"2.0","id":2,"method":"ping"},\
        {"jsonrpc":"2.0","id":3,"method":"initialize","params":{"protocolVersion":"2025-03-26"}},\
        {"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"hang"}}]
        """)
      client.notify("notifications/cancelled", ["requestId": 4])
      let answers = try #require(try await client.next { $0.array != nil }.array)
      #expect(answers.count == 4)
      #expect(answers.first { $0["id"] == 1 }?["result"]?["structuredContent"]?["echo"] == "x")
      #expect(answers.first { $0["id"] == 2 }?["result"] == [:])
      #expect(answers.first { $0["id"] == 3 }?["error"]?["code"] == -32600)
      #expect(answers.contains { $0["id"] == JSONValue.null && $0["error"]?["code"] == -32600 })
      client.send(#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#)
      client.send("[]")
      #expect(try await client.answer(to: nil)["error"]?["code"] == -32600)
      try await client.ping()
    }
  }
}
