import ParleyCoordination
import ParleyMCP
import ParleyRuntime
import Testing

@Suite struct ConversationToolTests {
  /// What `ada` does from elsewhere.
  private static func ada(_ room: ToolRoom) async throws -> Conversations {
    let conversations = Conversations(hub: room.ada, own: OwnTopic(hub: room.ada))
    try await conversations.start()
    return conversations
  }

  @Test func aDirectOneGoesBothWays() throws {
    try ToolRoom.play { room async throws in
      let sent = try await room.call("parley_conversation", ["action": "send", "with": "ada", "content": "hello"])
      let topic = try #require(sent["conversation"]?["conversation"]?.string)
      #expect(sent["conversation"]?["type"] == "direct" && sent["backendMsgId"]?.string != nil)
      #expect(sent["conversation"]?["members"] == ["ada", "bob"])
      let ada = try await Self.ada(room)
      let mine = try #require(try await ada.list().first)
      #expect(mine.topic.name == topic)
      _ = try await room.ada.post(PostRequest(topic: mine.topic, content: "hello yourself"))
      await room.loop.sleep(for: .seconds(1))
      let list = try await room.call("parley_conversation", ["action": "list"])
      #expect(list["conversations"]?.array?.first?["unread"]?.int == 1)
      let history = try await room.call(
        "parley_conversation", ["action": "history", "conversation": .string(topic), "limit": 1])
      #expect(history.contents == ["hello yourself"] && history["hasMore"] == true)
      let previous = try #require(history["previousCursor"])
      let older = try await room.call(
        "parley_conversation", ["action": "history", "with": "ada", "before": previous, "limit": 1])
      #expect(older.contents == ["hello"])
      // A conversation is a topic for the other tools.
      let reply = try await room.call("parley_reply", ["topic": .string(topic), "content": "fine"])
      #expect(reply["backendMsgId"]?.string != nil)
      let unread = try await room.call(
        "parley_fetch_recent", ["topic": .string(topic), "unread": true, "mark_read": true])
      #expect(unread.contents.contains("hello yourself") && unread["marked"] == true)
    }
  }

  @Test func whoeverWaitsHearsOfANewConversation() throws {
    try ToolRoom.play { room async throws in
      let waiting = room.loop.spawn {
        do { return try await room.call("parley_wait").contents } catch { return ["\(error)"] }
      }
      await room.loop.sleep(for: .seconds(1))
      let conversation = try await Self.ada(room).direct(with: Handle("bob"))
      _ = try await room.ada.post(PostRequest(topic: conversation.topic, content: "psst"))
      #expect(await waiting.value == ["psst"])
      let topics: JSONValue = ["topics": [.string(conversation.topic.name)], "timeout_ms": 0]
      #expect(try await room.call("parley_wait", topics)["timedOut"] == true)
    }
  }

  @Test func aGroupIsMadeAndLeft() throws {
    try ToolRoom.play { room async throws in
      let made = try await room.call(
        "parley_conversation", ["action": "create", "name": "release", "members": ["ada"], "key": "k"])
      let topic = try #require(made["conversation"]?["conversation"])
      #expect(made["conversation"]?["name"] == "release" && made["conversation"]?["type"] == "group")
      let again = try await room.call(
        "parley_conversation", ["action": "create", "name": "release", "members": ["ada"], "key": "k"])
      #expect(again["conversation"]?["conversation"] == topic)
      let grown = try await room.call(
        "parley_conversation", ["action": "invite", "conversation": topic, "member": "carol"])
      #expect(grown["conversation"]?["members"] == ["ada", "bob", "carol"])
      let left = try await room.call("parley_conversation", ["action": "leave", "conversation": topic])
      #expect(left["left"] == topic)
      #expect(try await room.call("parley_conversation", ["action": "list"])["conversations"] == [])
      let gone = try await room.failure("parley_reply", ["topic": topic, "content": "x"])
      #expect(gone?.hasPrefix("topic not allowed") == true)
    }
  }

  @Test func everyArgumentHasItsErrorText() throws {
    try ToolRoom.play { room async throws in
      func failure(_ arguments: JSONValue) async throws -> String? {
        try await room.failure("parley_conversation", arguments)
      }
      #expect(try await failure([:])?.hasPrefix("action: must be one of list, send") == true)
      #expect(try await failure(["action": "send", "with": "ada"]) == "content: is required")
      #expect(try await failure(["action": "send", "content": "x"]) == "conversation: is required, or with")
      #expect(
        try await failure(["action": "send", "with": "ada", "conversation": "~x", "content": "x"])
          == "with: cannot be combined with conversation")
      #expect(try await failure(["action": "leave"]) == "conversation: is required")
      #expect(
        try await failure(["action": "leave", "conversation": "~nope"])
          == "there is no conversation ~nope that you are in")
      #expect(try await failure(["action": "invite", "conversation": "~nope"]) == "member: is required")
      #expect(
        try await failure(["action": "send", "with": "all", "content": "x"]) == #"with: "all" is no participant"#)
      #expect(try await failure(["action": "send", "with": "bob", "content": "x"]) == "with: must be somebody else")
    }
  }
}
