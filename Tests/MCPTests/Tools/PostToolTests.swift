import ParleyMCP
import ParleyRuntime
import Testing

@Suite struct PostToolTests {
  @Test(arguments: ["parley_post", "parley_reply"])
  func aPostComesBackAsItWentIn(_ tool: String) throws {
    try ToolRoom.play { room async throws in
      let content = "line\nline \u{1F600} \u{2028} @ada"
      let posted = try await room.call(
        tool,
        [
          "topic": "odd \"topic\"", "content": .string(content), "in_reply_to": "17", "to": "ada",
          "attributes": ["kind": "note"],
        ])
      #expect(posted.names == ["backendMsgId", "cursor", "durability"])
      #expect(posted["durability"] == "written")
      let page = try await room.ada.fetch(FetchRequest(Topic("odd \"topic\"")))
      let message = try #require(page.messages.first)
      #expect(message.content == content && message.inReplyTo?.text == "17" && message.to == Handle("ada"))
      #expect(message.attributes == ["kind": "note"] && message.sender == Handle("bob"))
      #expect(posted["backendMsgId"]?.string == message.id.text && posted["cursor"]?.string == message.cursor.text)
    }
  }

  @Test func theSameKeyIsOneMessage() throws {
    try ToolRoom.play { room async throws in
      let arguments: JSONValue = ["topic": "general", "content": "once", "key": "k1"]
      let first = try await room.call("parley_post", arguments)
      let second = try await room.call("parley_post", arguments)
      #expect(second["backendMsgId"] == first["backendMsgId"] && second["duplicate"] == true)
      #expect(first["duplicate"] == nil)
      let other: JSONValue = ["topic": "general", "content": "twice", "key": "k1"]
      #expect(try await room.failure("parley_post", other) != nil)
      #expect(try await room.ada.fetch(FetchRequest(Topic("general"))).messages.count == 1)
    }
  }

  @Test(arguments: ["parley_post", "parley_reply"])
  func everyArgumentHasItsErrorText(_ tool: String) throws {
    try ToolRoom.play { room async throws in
      func failure(_ change: (inout JSONObject) -> Void) async throws -> String? {
        var arguments: JSONObject = ["topic": "general", "content": "x"]
        change(&arguments)
        return try await room.failure(tool, .object(arguments))
      }
      #expect(try await failure { $0["topic"] = nil } == "topic: is required")
      #expect(try await failure { $0["topic"] = "x" } == #"topic not allowed: "x""#)
      #expect(try await failure { $0["topic"] = "~room" } == #"topic not allowed: "~room""#)
      #expect(try await failure { $0["content"] = nil } == "content: is required")
      #expect(try await failure { $0["content"] = 1 } == "content: must be a string")
      #expect(try await failure { $0["content"] = "a\u{0}b" } == "content: must not contain NUL")
      #expect(
        try await failure { $0["content"] = .string(String(repeating: "x", count: 300_000)) }
          == "content too large: 300000 bytes, the limit is 262144")
      #expect(try await failure { $0["in_reply_to"] = [] } == "in_reply_to: must be a string")
      #expect(try await failure { $0["to"] = "" } == "to: must not be empty")
      #expect(try await failure { $0["key"] = "" } == "key: must not be empty")
      #expect(try await failure { $0["attributes"] = "x" } == "attributes: must be an object of strings")
      #expect(try await failure { $0["attributes"] = ["n": 1] } == "attributes: must be an object of strings")
      #expect(try await failure { $0["attributes"] = ["parley.x": "1"] }?.contains("reserved: parley.x") == true)
      #expect(try await failure { $0["content"] = "" } == nil)
      #expect(try await failure { $0["extra"] = true } == nil)
    }
  }

  /// What cannot be stored as it came is refused, not replaced.
  @Test func halfACharacterIsRefused() throws {
    try ToolRoom.play { room async throws in
      let arguments = try JSONSlice(#"{"topic":"general","content":"\ud800"}"#)
      #expect(arguments.hasLoneSurrogate)
      let outcome = await ParleyMCP.PostTool().call(arguments, in: room.context)
      guard case .failure(let error) = outcome else {
        Issue.record("was accepted: \(outcome)")
        return
      }
      #expect(error.description.contains("half of a surrogate pair"))
    }
  }

  @Test func aBackendThatIsAwayIsToldAfterThePatience() throws {
    try ToolRoom.play(isUp: false) { room async throws in
      let start = room.loop.now
      let text = try await room.failure("parley_post", ["topic": "general", "content": "x"])
      #expect(text?.contains("the simulated store is away") == true)
      #expect(start.duration(to: room.loop.now) == room.bob.setup.patience)
    }
  }
}
