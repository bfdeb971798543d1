import ParleyRuntime
import Testing

@testable import ParleyMCP

@Suite("Handshake and revisions") struct HandshakeTests {
  @Test("initialize, tools/list, tools/call and ping over real pipes") func firstSteps() throws {
    try SessionWorld.run { world in
      let client = world.client
      let hello = try await client.initialize()
      #expect(hello["result"]?["protocolVersion"] == "2025-11-25")
      #expect(hello["result"]?["serverInfo"]?["name"] == "parley")
      #expect(hello["result"]?["serverInfo"]?["version"] == "1.2.3")
      #expect(hello["result"]?["capabilities"]?["experimental"] == nil)
      #expect((hello["result"]?["instructions"]?.string?.utf8.count).map { $0 < 2048 } == true)
      let list = try await client.call("tools/list", id: 0)
      #expect(list["id"] == 0)
      #expect(list["result"]?["tools"]?.array?.compactMap { $0["name"]?.string } == ["echo", "post", "hang", "steps", "fetch"])
      let echo = try await client.tool("echo", id: 1, ["text": "hé\u{2028}llo\r\n"])
      #expect(echo["result"]?["structuredContent"]?["echo"] == "hé\u{2028}llo\r\n")
      #expect(echo["result"]?["structuredContent"]?["unread"] == [:])
      #expect(echo["result"]?["_meta"]?["parley/unread"] == [:])
      let text = try #require(echo["result"]?["content"]?[0]?["text"]?.string)
      #expect(try JSONValue(parsing: text) == echo["result"]?["structuredContent"])
      try await client.ping()
    }
  }
}
