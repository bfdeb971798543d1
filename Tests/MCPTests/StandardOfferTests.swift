import ParleyRuntime
import Testing

@testable import ParleyMCP

@Suite("The standard offer") struct StandardOfferTests {
  @Test("a pushed message is answered, and other sessions can read the answer") func loopBack() throws {
    let offer = StdioServer.Offer.standard()
    let settings = SessionWorld.Settings(
      livePush: .init(), tools: offer.tools, resources: offer.resources, prompts: offer.prompts)
    try SessionWorld.run(settings) { world in
      let client = world.client
      try await client.initialize()
      #expect(try await client.call("tools/list", id: 0)["result"]?["tools"]?.array?.count == 10)
      _ = try await client.tool("parley_status", id: 1)
      let question = try await world.post("are you there?")
      let meta = try await client.notification("notifications/claude/channel")["params"]?["meta"]
      #expect(meta?["msg_id"]?.string == question.id.text)
      let reply: JSONValue = [
        "topic": meta?["topic"] ?? nil, "content": "yes, @bob", "in_reply_to": meta?["msg_id"] ?? nil,
      ]
      let answer = try await client.tool("parley_reply", id: 2, reply)
      #expect(answer["result"]?["isError"] == nil, "\(answer.text)")
      let page = try await world.supervisor.fetch(
        FetchRequest(Topic("general")), deadline: world.loop.now.advanced(by: .seconds(5)))
      #expect(page.messages.map(\.content) == ["are you there?", "yes, @bob"])
      #expect(page.messages.last?.inReplyTo == question.id)
    }
  }

  @Test("only the named tools, where any are named") func named() {
    #expect(StdioServer.Offer.standard(["parley_post"]).tools.map(\.name) == ["parley_post"])
    #expect(
      StdioServer.Offer.standard(["wait", "conversations"]).tools.map(\.name) == ["parley_wait", "parley_conversation"])
  }

  @Test("a set adds its tools to the default ones") func sets() {
    let names = StdioServer.Offer.standard(["conversations"]).tools.map(\.name)
    #expect(names == StandardTools.all.map(\.name) + ["parley_conversation"])
  }
}
