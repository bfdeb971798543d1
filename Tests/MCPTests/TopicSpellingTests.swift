import ParleyRuntime
import Testing

@testable import ParleyMCP

@Suite("A topic's name in an event leads back to the topic") struct TopicSpellingTests {
  private static let odd = [
    "a\"b", "<", ">", "&lt;", "&", "tab\there", "line\nend", "\u{202E}reversed", "zero\u{200B}width", "⟦", "⟦U+003C⟧x",
    "⟦U+⟧", "⟦U+110000⟧", "日本", "e\u{301}", "é", "😀", "plain", String(repeating: "\u{1}", count: 255),
  ]

  @Test("by every tool and prompt that takes one, for each legal name", arguments: odd)
  func back(name: String) throws {
    let tools: [any Tool] = [ParleyMCP.PostTool(), ReplyTool(), FetchRecentTool(), WaitTool()]
    let settings = SessionWorld.Settings(
      topics: Self.odd.map { Topic($0) }, livePush: .init(), tools: tools, prompts: StandardPrompts())
    try SessionWorld.run(settings) { world in
      let client = world.client
      try await client.initialize()
      _ = try await client.tool("parley_fetch_recent", id: "begin", ["topic": "plain"])
      try await world.post("question", on: name)
      let meta = try await client.notification("notifications/claude/channel")["params"]?["meta"]
      let shown = try #require(meta?["topic"]?.string)
      #expect(!shown.utf8.contains { [0x0A, 0x22, 0x3C, 0x3E].contains($0) })
      let posted = try await client.tool("parley_reply", id: 1, ["topic": .string(shown), "content": "answer"])
      #expect(posted["result"] != nil && posted["result"]?["isError"] == nil)
      let page = try await client.tool("parley_fetch_recent", id: 2, ["topic": .string(shown)])
      let messages = try #require(page["result"]?["structuredContent"]?["messages"]?.array)
      #expect(messages.compactMap { $0["content"]?.string } == ["question", "answer"])
      #expect(messages.allSatisfy { $0["topic"] == .string(name) })
      let waited = try await client.tool("parley_wait", id: 3, ["topics": [.string(shown)], "timeout_ms": 0])
      #expect(waited["result"] != nil && waited["result"]?["isError"] == nil)
      for prompt: JSONValue in ["catch_up", "hand_off"] {
        let given: JSONValue = ["name": prompt, "arguments": ["topic": .string(shown)]]
        #expect(try await client.call("prompts/get", id: 4, given)["result"] != nil)
      }
    }
  }

  @Test("and where it is another topic's name, too, the tool asks which one is meant") func ambiguous() throws {
    let topics = ["<", "⟦U+003C⟧", "plain"].map { Topic($0) }
    let settings = SessionWorld.Settings(topics: topics, livePush: .init(), tools: [ParleyMCP.PostTool()])
    try SessionWorld.run(settings) { world in
      let client = world.client
      try await client.initialize()
      let refused = try await client.tool("parley_post", id: 1, ["topic": "⟦U+003C⟧", "content": "x"])
      let text = refused["result"]?["content"]?[0]?["text"]?.string
      #expect(refused["result"]?["isError"] == true && text?.contains("⟦U+27E6⟧U+003C⟧") == true)
      for shown in ["<", "⟦U+27E6⟧U+003C⟧"] {
        let posted = try await client.tool("parley_post", id: 2, ["topic": .string(shown), "content": "x"])
        #expect(posted["result"] != nil && posted["result"]?["isError"] == nil)
      }
    }
  }
}
