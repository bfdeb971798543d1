import ParleyRuntime
import Testing

@testable import ParleyMCP

@Suite("Calls, resources, prompts") struct CallTests {
  private static let meta: JSONValue = [
    "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:],
  ]

  @Test("a failing tool is a result with isError and no structured content") func failure() throws {
    try SessionWorld.run { world in
      try await world.client.initialize()
      let result = try await world.client.tool("echo", id: 1, [:])["result"]
      #expect(result?["isError"] == true)
      #expect(result?["content"]?[0]?["text"] == "text: must be a string")
      #expect(result?["_meta"]?["parley/error"] == "invalidRequest")
      #expect(result?["structuredContent"] == nil)
      let refused = try await world.client.tool("post", id: 2, ["topic": "secret", "content": "x"])["result"]
      #expect(refused?["content"]?[0]?["text"] == "topic not allowed: \"secret\"")
    }
  }

  @Test("progress increases, has the token as given, and stops with the call", arguments: ["2024-11-05", "2025-11-25"])
  func progress(version: String) throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize(version)
      let answer = try await client.call("tools/call", id: 1, ["name": "steps", "_meta": ["progressToken": 0]])
      #expect(answer["result"]?["structuredContent"]?["done"] == "yes")
      // The late report comes a millisecond after the end; a hanging call's cancellation is well behind it.
      await world.loop.sleep(for: .milliseconds(5))
      try await client.ping()
      let steps = client.received.filter { $0["method"] == "notifications/progress" }
      #expect(steps.compactMap { $0["params"]?["progress"]?.double } == [1, 3, 4.5])
      #expect(steps.allSatisfy { $0["params"]?["progressToken"] == 0 && $0["params"]?["total"] == 10 })
      #expect(steps.allSatisfy { ($0["params"]?["message"] != nil) == (version != "2024-11-05") })
      _ = try await client.tool("steps", id: 2)
      #expect(client.received.count { $0["method"] == "notifications/progress" } == 3)
    }
  }

  @Test("a progress token is a string or an integer; null is none") func progressTokens() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      let wrong: [JSONValue] = [try JSONValue(parsing: "1.5"), true, [:], ["x"]]
      for (index, token) in wrong.enumerated() {
        let meta: JSONValue = ["progressToken": token]
        let answer = try await client.call("tools/call", id: .int(Int64(index)), ["name": "steps", "_meta": meta])
        #expect(answer["error"]?["code"] == -32602, "\(token)")
      }
      let answer = try await client.call("tools/call", id: 9, ["name": "steps", "_meta": ["progressToken": .null]])
      #expect(answer["result"]?["structuredContent"]?["done"] == "yes")
      #expect(!client.received.contains { $0["method"] == "notifications/progress" })
    }
  }

  @Test("unread counts ride along, and say where they are capped") func unread() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      _ = try await client.tool("echo", id: 0, ["text": "x"])
      for number in 1...3 { try await world.post("news \(number)") }
      try await world.post("for ops", on: "ops")
      try await world.post("not for me", to: "carol")
      let result = try await client.tool("echo", id: 1, ["text": "x"])["result"]
      #expect(result?["structuredContent"]?["unread"] == ["general": 3, "ops": 1])
      #expect(result?["_meta"]?["parley/unread"] == ["general": 3, "ops": 1])
      #expect(result?["structuredContent"]?["unreadCapped"] == nil)
      let failed = try await client.tool("echo", id: 2)["result"]
      #expect(failed?["_meta"]?["parley/unread"] == ["general": 3, "ops": 1])
    }
  }

  @Test("what came before the start is told in the first result") func unreadAtStart() throws {
    let settings = SessionWorld.Settings(prepare: { world in
      let running = world.loop.spawn { await world.supervisor.run() }
      for number in 1...4 { _ = try? await world.post("earlier \(number)") }
      running.cancel()
      await running.value
    })
    try SessionWorld.run(settings) { world in
      try await world.client.initialize()
      let result = try await world.client.tool("echo", id: 1, ["text": "x"])["result"]
      #expect(result?["structuredContent"]?["unread"] == ["general": 4])
    }
  }

  @Test("pages: every resource once, bad cursors refused") func pagination() throws {
    let topics = (0..<250).map { Topic("topic-\($0)") }
    try SessionWorld.run(.init(topics: topics)) { world in
      let client = world.client
      try await client.initialize()
      var names: [String] = []
      var cursor: JSONValue?
      repeat {
        var params: JSONObject = [:]
        params["cursor"] = cursor
        let result = try await client.call("resources/list", id: "list", .object(params))["result"]
        names += result?["resources"]?.array?.compactMap { $0["name"]?.string } ?? []
        cursor = result?["nextCursor"]
      } while cursor != nil
      #expect(names == topics.map(\.name))
      for bad: JSONValue in ["", "from-1", "from-0100", "from-300", "from--100", 100, [:]] {
        #expect(
          try await client.call("resources/list", id: 1, ["cursor": bad])["error"]?["code"] == -32602, "\(bad.text)")
      }
    }
  }

  @Test("completion of topic names, at most 100") func completion() throws {
    let topics = (0..<150).map { Topic("topic-\($0)") } + [Topic("other")]
    try SessionWorld.run(.init(topics: topics)) { world in
      let client = world.client
      try await client.initialize()
      func complete(_ typed: String, _ name: String = "topic") async throws -> JSONValue? {
        try await client.call(
          "completion/complete", id: 1,
          [
            "ref": ["type": "ref/prompt", "name": "catch_up"],
            "argument": ["name": .string(name), "value": .string(typed)],
          ])[
            "result"]?["completion"]
      }
      #expect(try await complete("o")?["values"] == ["other"])
      let many = try await complete("topic-")
      #expect(many?["values"]?.array?.count == 100 && many?["total"] == 150 && many?["hasMore"] == true)
      #expect(try await complete("topic", "colour")?["values"] == [])
      #expect(try await client.call("completion/complete", id: 2, ["ref": ["type": "x"]])["error"]?["code"] == -32602)
    }
  }

  @Test("prompts and resources: the providers' answers and the errors of each revision") func providers() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      #expect(try await client.call("prompts/list", id: 1)["result"]?["prompts"]?[0]?["name"] == "catch_up")
      #expect(
        try await client.call("prompts/get", id: 2, ["name": "catch_up"])["result"]?["messages"]?[0]?["role"] == "user")
      #expect(try await client.call("prompts/get", id: 3, ["name": "x"])["error"]?["code"] == -32602)
      #expect(try await client.call("prompts/get", id: 3, [:])["error"]?["code"] == -32602)
      #expect(
        try await client.call("resources/templates/list", id: 4)["result"]?["resourceTemplates"]?.array?.count == 1)
      #expect(
        try await client.call("resources/read", id: 5, ["uri": "parley://topic/ops"])["result"]?["contents"] != nil)
      let missing = try await client.call("resources/read", id: 6, ["uri": "parley://topic/none"])
      #expect(missing["error"]?["code"] == -32002)
      #expect(missing["error"]?["data"]?["uri"] == "parley://topic/none")
      #expect(
        try await client.call("resources/subscribe", id: 7, ["uri": "parley://topic/none"])["error"]?["code"] == -32002)
    }
  }

  @Test("resources/subscribe tells changes until unsubscribe") func subscribing() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      _ = try await client.tool("echo", id: 0, ["text": "ready"])
      let general: JSONValue = ["uri": "parley://topic/general"]
      #expect(try await client.call("resources/subscribe", id: 1, general)["result"] == [:])
      try await world.post("elsewhere", on: "ops")
      try await world.post("news")
      #expect(try await client.notification("notifications/resources/updated")["params"] == general)
      #expect(try await client.call("resources/unsubscribe", id: 2, general)["result"] == [:])
      try await world.post("more news")
      _ = try await client.tool("echo", id: 3, ["text": "after"])
      #expect(client.received.count { $0["method"] == "notifications/resources/updated" } == 1)
    }
  }

  @Test("subscriptions/listen acknowledges, tells, and ends by cancellation and at the end") func listening() throws {
    try SessionWorld.run { world in
      let client = world.client
      _ = try await client.call("tools/call", id: 0, ["name": "echo", "arguments": ["text": "x"], "_meta": Self.meta])
      for id: JSONValue in ["listen:0", 7] {
        client.request(
          "subscriptions/listen", id: id,
          [
            "_meta": Self.meta,
            "notifications": [
              "toolsListChanged": true, "resourceSubscriptions": ["parley://topic/general", "parley://topic/none"],
            ],
          ])
        let acknowledged = try await client.notification("notifications/subscriptions/acknowledged")
        #expect(acknowledged["params"]?["notifications"] == ["resourceSubscriptions": ["parley://topic/general"]])
        #expect(acknowledged["params"]?["_meta"]?["io.modelcontextprotocol/subscriptionId"] == id)
      }
      try await world.post("news")
      var told: Set<JSONValue> = []
      for _ in 0..<2 {
        let update = try await client.notification("notifications/resources/updated")
        #expect(update["params"]?["uri"] == "parley://topic/general")
        told.insert(update["params"]?["_meta"]?["io.modelcontextprotocol/subscriptionId"] ?? nil)
      }
      #expect(told == ["listen:0", 7])
      client.notify("notifications/cancelled", ["requestId": "listen:0"])
      try await world.post("more news")
      let update = try await client.notification("notifications/resources/updated")
      #expect(update["params"]?["_meta"]?["io.modelcontextprotocol/subscriptionId"] == 7)
      client.closeInput()
      #expect(try await client.notification("notifications/cancelled")["params"]?["requestId"] == 7)
      let end = try await client.answer(to: 7)
      #expect(end["result"]?["resultType"] == "complete")
      #expect(end["result"]?["_meta"]?["io.modelcontextprotocol/subscriptionId"] == 7)
      try await client.end()
      #expect(!client.received.contains { $0["id"] == "listen:0" })
    }
  }
}
