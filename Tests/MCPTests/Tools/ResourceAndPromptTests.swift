import ParleyMCP
import ParleyRuntime
import Testing

@Suite struct ResourceAndPromptTests {
  private let resources = TopicResources()
  private let prompts = StandardPrompts()

  @Test func everyTopicIsListedAndItsAddressLeadsBack() throws {
    try ToolRoom.play { room async throws in
      let entries = try resources.resources(for: room.bob.setup).map { try JSONValue(parsing: $0) }
      #expect(
        entries.compactMap { $0["uri"]?.string } == [
          "parley://topic/general", "parley://topic/build", "parley://topic/odd%20%22topic%22",
        ])
      for (entry, topic) in zip(entries, room.bob.setup.topics) {
        #expect(resources.topic(of: try #require(entry["uri"]?.string), for: room.bob.setup) == topic)
        #expect(entry["name"]?.string == topic.name && entry["mimeType"] == "application/json")
      }
      let templates = try resources.templates(for: room.bob.setup).map { try JSONValue(parsing: $0) }
      #expect(templates.map { $0["uriTemplate"] } == ["parley://topic/{name}"])
    }
  }

  @Test(
    arguments: [
      ("parley://topic/a%2Fb%20%C3%A9", "a/b é"), ("parley://topic/a/b", "a/b"), ("parley://topic/%41", "A"),
      ("parley://topic/", nil), ("parley://topic/%4", nil), ("parley://topic/%zz", nil), ("parley://topic/%ff", nil),
      ("parley://topic/a?x", nil), ("parley://topic/a#x", nil), ("parley://other/a", nil), ("file:///etc/passwd", nil),
    ] as [(String, String?)])
  func addresses(_ uri: String, _ name: String?) {
    var setup = Hub.Setup(author: Author(handle: Handle("h"), instance: "i"), topics: [])
    if let name { setup.topics = [Topic(name)] }
    #expect(resources.topic(of: uri, for: setup) == name.map { Topic($0) })
  }

  @Test func readingGivesTheNewestMessagesAndNotesNothing() throws {
    try ToolRoom.play { room async throws in
      for number in 0..<60 { try await room.post("\(number)") }
      await room.loop.sleep(for: .seconds(1))
      guard case .contents(let bytes) = await resources.read("parley://topic/general", in: room.context) else {
        Issue.record("not read")
        return
      }
      let contents = try JSONValue(parsing: bytes)
      #expect(contents[0]?["uri"] == "parley://topic/general" && contents.array?.count == 1)
      let page = try JSONValue(parsing: try #require(contents[0]?["text"]?.string))
      #expect(page.contents == (10..<60).map(String.init))
      #expect(try await room.call("parley_wait", ["timeout_ms": 0]).contents.count == 60)
    }
  }

  @Test func whatIsUnknownOrForbiddenIsRefused() throws {
    try ToolRoom.play { room async throws in
      guard case .notFound = await resources.read("parley://nothing", in: room.context) else {
        Issue.record("found")
        return
      }
      guard
        case .failure(.topicNotAllowed(Topic("secret"))) = await resources.read(
          "parley://topic/secret", in: room.context)
      else {
        Issue.record("allowed")
        return
      }
      guard case .failure(.topicNotAllowed) = await resources.read("parley://topic/%40bob", in: room.context) else {
        Issue.record("allowed")
        return
      }
    }
  }

  // MARK: Prompts

  private func text(_ name: String, _ arguments: JSONValue, _ room: ToolRoom) async throws -> String? {
    switch await prompts.get(name, try JSONSlice(arguments.text), in: room.context) {
    case .success(let members):
      let result = try JSONValue(parsing: [UInt8(ascii: "{")] + members + [UInt8(ascii: "}")])
      #expect(result.names == ["description", "messages"] && result["messages"]?[0]?["role"] == "user")
      return result["messages"]?[0]?["content"]?["text"]?.string
    case .badArguments(let reason): return "bad: " + reason
    case .notFound: return nil
    case .failure(let error): return "failed: \(error)"
    }
  }

  @Test func promptsNameTopicsAndHandles() throws {
    try ToolRoom.play { room async throws in
      let names = try prompts.prompts(for: room.bob.setup).map { try JSONValue(parsing: $0)["name"]?.string }
      #expect(names == ["catch_up", "hand_off"])
      let all = try #require(try await text("catch_up", [:], room))
      #expect(all.contains(#""general", "build", "odd \"topic\"""#))
      let one = try #require(try await text("catch_up", ["topic": "build"], room))
      #expect(one.contains(#"the topic "build""#) && !one.contains("general"))
      let off = try #require(try await text("hand_off", ["topic": "build", "to": "eve"], room))
      #expect(off.contains(#"to: "eve""#))
      #expect(try await text("hand_off", ["topic": "build"], room)?.contains("to:") == false)
    }
  }

  @Test func wrongArgumentsAreToldToTheClient() throws {
    try ToolRoom.play { room async throws in
      #expect(try await text("hand_off", [:], room) == "bad: topic: is required")
      #expect(try await text("catch_up", ["topic": "x"], room) == #"bad: topic not allowed: "x""#)
      #expect(try await text("catch_up", ["topic": 1], room) == "bad: topic: must be a string")
      #expect(try await text("other", [:], room) == nil)
    }
  }
}
