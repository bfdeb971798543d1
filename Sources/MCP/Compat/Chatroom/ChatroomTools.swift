import ParleyRuntime

/// The tools of that system by their names. Without `topic_id` they are about the room itself, as its older form.
enum ChatroomTools {
  static func all(_ room: Chatroom) -> [any Tool] {
    [
      join(room), leave(room), openTopic(room), closeTopic(room), listTopics(room), sendMessage(room),
      readMessages(room), listParticipants(room), getStatus(room), getCursor(room), setCursor(room), readUnread(room),
      writeSummary(room), readLatestSummary(room), getHandoff(room),
    ]
  }

  private static let name = Schema.string("Your name in the room")
  private static let topic = Schema.string("Id of a topic; left out: the room itself")
  private static let scope = Schema.string("A name, or \"all\" (the default)")
  private static let hundred = Schema.integer(atLeast: 1, "1 to 100, default 50")
  private static let looking = ToolDefinition.Effects(readsOnly: true, isIdempotent: true)

  private static func tool(
    _ name: String, _ description: String, effects: ToolDefinition.Effects = .init(), _ input: JSONObject = [:],
    required: [String] = [], _ run: @escaping @Sendable (CompatArguments) async throws(Refusal) -> JSONValue
  ) -> CompatTool {
    CompatTool(
      name, description, effects: effects, input: input, required: required,
      wording: { "Error executing tool \($0): \($1.reason)" }
    ) { (arguments, _) async throws(Refusal) in Self.answer(try await run(arguments)) }
  }

  /// An object is one block, a list a block for each element, nothing no block.
  private static func answer(_ value: JSONValue) -> ToolContent {
    switch value {
    case .object: ToolContent(blocks: [value.indented], structured: Array(value.text.utf8))
    case .array(let elements):
      ToolContent(
        blocks: elements.map(\.indented), structured: Array(JSONValue.object(["result": value]).text.utf8))
    default: ToolContent(blocks: [], structured: Array(#"{"result":null}"#.utf8))
    }
  }

  // MARK: Who and where

  private static func join(_ room: Chatroom) -> CompatTool {
    tool(
      "join", "Go by a name in the room; returns who is here. The name is yours until you leave or this session ends.",
      ["name": name, "role": Schema.string("What you do there, default \"general\"")], required: ["name"]
    ) { (arguments) async throws(Refusal) in
      try await room.join(
        name: try arguments.filled("name"), role: (try arguments.text("role") ?? "general").trimmed)
    }
  }

  private static func leave(_ room: Chatroom) -> CompatTool {
    tool("leave", "Drop a name that you go by.", ["name": name], required: ["name"]) {
      (arguments) async throws(Refusal) in try await room.leave(name: try arguments.filled("name"))
    }
  }

  private static func openTopic(_ room: Chatroom) -> CompatTool {
    tool(
      "open_topic", "Begin a topic of the room.",
      ["topic_id": Schema.string("a-z, 0-9, '.', '_', '-', at most 64"), "title": Schema.string],
      required: ["topic_id", "title"]
    ) { (arguments) async throws(Refusal) in
      let id = try arguments.filled("topic_id")
      guard ChatEvent.isTopicID(id) else {
        throw Refusal(
          422, "invalid_argument",
          "topic_id must begin with a-z or 0-9, followed by at most 63 of a-z, 0-9, '.', '_', '-'")
      }
      let title = try arguments.filled("title")
      guard title.utf8.count <= 256, VisibleText.visible(title, keepsLines: false) == title else {
        throw Refusal(422, "invalid_argument", "title must be one line of at most 256 bytes without control characters")
      }
      return try await room.openTopic(id, title: title)
    }
  }

  private static func closeTopic(_ room: Chatroom) -> CompatTool {
    tool(
      "close_topic", "End a topic for good; it can still be read.", ["topic_id": Schema.string], required: ["topic_id"]
    ) {
      (arguments) async throws(Refusal) in try await room.closeTopic(try arguments.filled("topic_id"))
    }
  }

  private static func listTopics(_ room: Chatroom) -> CompatTool {
    tool(
      "list_topics", "The topics, those with the latest activity first; with a name, what it has not read there.",
      effects: looking,
      ["name": name, "status": ["type": "string", "enum": ["open", "closed", "all"], "description": "Default open"]]
    ) { (arguments) async throws(Refusal) in
      let status = (try arguments.text("status") ?? "open").trimmed
      guard ["open", "closed", "all"].contains(status) else {
        throw Refusal(422, "invalid_argument", "status must be one of: open, closed, all")
      }
      return try await room.topics(name: try arguments.optional("name"), status: status)
    }
  }

  private static func listParticipants(_ room: Chatroom) -> CompatTool {
    tool("list_participants", "Who is in the room.", effects: looking) {
      (_) async throws(Refusal) in try await room.participants()
    }
  }

  private static func getStatus(_ room: Chatroom) -> CompatTool {
    tool("get_status", "How many participants, topics, messages and summaries there are.", effects: looking) {
      (_) async throws(Refusal) in try await room.status()
    }
  }

  // MARK: Messages

  private static func sendMessage(_ room: Chatroom) -> CompatTool {
    tool(
      "send_message", "Say something to all, or to one; everyone can read it.",
      [
        "name": name, "topic_id": topic, "content": Schema.string,
        "to": Schema.string("A name, or \"all\" (the default)"),
      ],
      required: ["name", "content"]
    ) { (arguments) async throws(Refusal) in
      try await room.send(
        name: try arguments.filled("name"), topic: try arguments.topicID(),
        content: try arguments.filled("content"), to: try arguments.filled("to", default: "all"))
    }
  }

  private static func readMessages(_ room: Chatroom) -> CompatTool {
    tool(
      "read_messages",
      "The oldest messages after a number; with a participant, those for all or for it. Data from others.",
      effects: looking,
      [
        "topic_id": topic, "since_id": Schema.integer(atLeast: 0, "Default 0"), "limit": hundred,
        "participant": Schema.string,
      ]
    ) { (arguments) async throws(Refusal) in
      try await room.messages(
        topic: try arguments.topicID(), after: try arguments.integer("since_id", in: 0...Int.max, default: 0),
        limit: try arguments.integer("limit", in: 1...100, default: 50), for: try arguments.optional("participant"))
    }
  }

  private static func getCursor(_ room: Chatroom) -> CompatTool {
    tool(
      "get_cursor", "How far a name has read.", effects: looking, ["name": name, "topic_id": topic], required: ["name"]
    ) {
      (arguments) async throws(Refusal) in
      try await room.cursor(name: try arguments.filled("name"), topic: try arguments.topicID())
    }
  }

  private static func setCursor(_ room: Chatroom) -> CompatTool {
    tool(
      "set_cursor", "Say how far you have read; it never goes back.",
      ["name": name, "topic_id": topic, "message_id": Schema.integer(atLeast: 0)], required: ["name", "message_id"]
    ) { (arguments) async throws(Refusal) in
      guard let id = try arguments.integer("message_id") else {
        throw Refusal(422, "invalid_argument", "message_id is required")
      }
      guard id >= 0 else { throw Refusal(422, "invalid_argument", "message_id must be at least 0, not \(id)") }
      return try await room.setCursor(name: try arguments.filled("name"), topic: try arguments.topicID(), id: id)
    }
  }

  private static func readUnread(_ room: Chatroom) -> CompatTool {
    tool(
      "read_unread",
      "The oldest messages that you have not read; they count as read then, unless mark_read is false. "
        + "Data from others.",
      ["name": name, "topic_id": topic, "limit": hundred, "mark_read": Schema.boolean("Default true")],
      required: ["name"]
    ) { (arguments) async throws(Refusal) in
      try await room.readUnread(
        name: try arguments.filled("name"), topic: try arguments.topicID(),
        limit: try arguments.integer("limit", in: 1...100, default: 50),
        marks: try arguments.flag("mark_read") ?? true)
    }
  }

  // MARK: Hand-off

  private static func writeSummary(_ room: Chatroom) -> CompatTool {
    tool(
      "write_summary", "Write down for those who come later what matters.",
      ["name": name, "topic_id": topic, "content": Schema.string, "scope": scope], required: ["name", "content"]
    ) { (arguments) async throws(Refusal) in
      try await room.writeSummary(
        name: try arguments.filled("name"), topic: try arguments.topicID(),
        content: try arguments.filled("content"), scope: try arguments.filled("scope", default: "all"))
    }
  }

  private static func readLatestSummary(_ room: Chatroom) -> CompatTool {
    tool(
      "read_latest_summary", "The latest summary of exactly this scope.", effects: looking,
      ["topic_id": topic, "scope": scope]
    ) { (arguments) async throws(Refusal) in
      try await room.latestSummary(
        topic: try arguments.topicID(), scope: try arguments.filled("scope", default: "all"))
    }
  }

  private static func getHandoff(_ room: Chatroom) -> CompatTool {
    tool(
      "get_handoff", "Everything to go on from: who is here, how far you have read, the latest summary and messages.",
      effects: looking,
      ["name": name, "topic_id": topic, "recent_limit": Schema.integer(atLeast: 1, "1 to 100, default 10")]
    ) { (arguments) async throws(Refusal) in
      let topic = try arguments.topicID()
      let name = topic == nil ? try arguments.optional("name") : try arguments.filled("name")
      return try await room.handOff(
        name: name, topic: topic, limit: try arguments.integer("recent_limit", in: 1...100, default: 10))
    }
  }
}

extension CompatArguments {
  /// A text without white space at its ends, which must not be blank.
  fileprivate func filled(_ name: String) throws(Refusal) -> String {
    let text = try requiredText(name).trimmed
    guard !text.isEmpty else { throw Refusal(422, "invalid_argument", "\(name) must not be blank") }
    return text
  }

  fileprivate func filled(_ name: String, default value: String) throws(Refusal) -> String {
    try text(name) == nil ? value : try filled(name)
  }

  /// A text without white space at its ends; nil where it is blank.
  fileprivate func optional(_ name: String) throws(Refusal) -> String? {
    (try text(name)?.trimmed).flatMap { $0.isEmpty ? nil : $0 }
  }

  /// Nil for the room itself.
  fileprivate func topicID() throws(Refusal) -> String? { try text("topic_id") == nil ? nil : try filled("topic_id") }
}
