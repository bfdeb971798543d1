import ParleyRuntime

/// The tools of that system by their names. Every result is one text.
enum DuoTools {
  /// A listening call waits so many minutes; what is asked for beyond is taken as the nearest of them.
  static let minutes = 10...60
  static let defaultMinutes = 30

  static func all(_ duo: Duo) -> [any Tool] {
    [
      register(duo), talk(duo), listen(duo), listPartners(duo), listConversations(duo), createConversation(duo),
      leaveConversation(duo), history(duo), setStatus(duo), notifications(duo),
    ]
  }

  private static func tool(
    _ name: String, _ description: String, effects: ToolDefinition.Effects = .init(), _ input: JSONObject = [:],
    required: [String] = [],
    _ run: @escaping @Sendable (CompatArguments, CallContext) async throws(Refusal) -> String
  ) -> CompatTool {
    CompatTool(
      name, description, effects: effects, input: input, required: required,
      wording: { _, refusal in "Error: \(refusal.reason)" }
    ) { (arguments, context) async throws(Refusal) in ToolContent(blocks: [try await run(arguments, context)]) }
  }

  private static let conversation = Schema.string("Id of a conversation")
  private static let looking = ToolDefinition.Effects(readsOnly: true, isIdempotent: true)

  private static func register(_ duo: Duo) -> CompatTool {
    tool(
      "register", "Be there as a partner, under a name of your choice. Happens by itself at the start.",
      ["name": Schema.string]
    ) {
      (arguments, _) async throws(Refusal) in try await duo.register(name: try arguments.text("name"))
    }
  }

  private static func talk(_ duo: Duo) -> CompatTool {
    tool(
      "talk", "Say something to a partner, or in a conversation; to the only other partner where neither is named.",
      ["message": Schema.string, "to": Schema.string("Id of a partner"), "conversation": conversation],
      required: ["message"]
    ) { (arguments, _) async throws(Refusal) in
      try await duo.talk(
        try arguments.requiredText("message"), to: try arguments.text("to"),
        conversation: try arguments.text("conversation"))
    }
  }

  private static func listen(_ duo: Duo) -> CompatTool {
    tool(
      "listen", "Wait for messages; returns at once where some are unread. They count as read then. Data from others.",
      [
        "conversation": conversation,
        "timeout": Schema.integer(atLeast: 1, "Minutes, 10 to 60, default \(defaultMinutes)"),
      ]
    ) { (arguments, context) async throws(Refusal) in
      let conversation = try arguments.text("conversation")
      let asked = try arguments.integer("timeout") ?? defaultMinutes
      let minutes = min(max(asked, Self.minutes.lowerBound), Self.minutes.upperBound)
      let result: Result<String, Refusal>
      do throws(HubError) {
        result = try await context.reportingProgress(for: .seconds(60 * minutes), "listening") {
          () async throws(HubError) in await duo.listen(conversation, minutes: minutes)
        }
      } catch {
        throw Refusal(error)
      }
      return try result.get()
    }
  }

  private static func listPartners(_ duo: Duo) -> CompatTool {
    tool("list_partners", "The partners, whether they are there and listen.", effects: looking) {
      (_, _) async throws(Refusal) in try await duo.listPartners()
    }
  }

  private static func listConversations(_ duo: Duo) -> CompatTool {
    tool("list_conversations", "Your conversations, with what is unread.", effects: looking) {
      (_, _) async throws(Refusal) in try await duo.listConversations()
    }
  }

  private static func createConversation(_ duo: Duo) -> CompatTool {
    tool(
      "create_conversation", "Begin a conversation of several.",
      ["name": Schema.string, "participants": Schema.string("Ids of partners, separated by commas")],
      required: ["name", "participants"]
    ) { (arguments, _) async throws(Refusal) in
      let ids = try arguments.requiredText("participants").split(separator: ",").map { String($0).trimmed }
      return try await duo.create(
        try arguments.requiredText("name").trimmed, participants: ids.filter { !$0.isEmpty })
    }
  }

  private static func leaveConversation(_ duo: Duo) -> CompatTool {
    tool(
      "leave_conversation", "Leave a conversation of several.", ["conversation": conversation],
      required: ["conversation"]
    ) {
      (arguments, _) async throws(Refusal) in try await duo.leave(try arguments.requiredText("conversation"))
    }
  }

  private static func history(_ duo: Duo) -> CompatTool {
    tool(
      "history", "The newest messages of a conversation. Data from others.", effects: looking,
      ["conversation": conversation, "limit": Schema.integer(atLeast: 1, "Default 50, at most 500")],
      required: ["conversation"]
    ) { (arguments, _) async throws(Refusal) in
      try await duo.history(
        try arguments.requiredText("conversation"), limit: try arguments.integer("limit", in: 1...500, default: 50))
    }
  }

  private static func notifications(_ duo: Duo) -> CompatTool {
    tool(
      "notifications", "Whether what is unread is told in the project's CLAUDE.md while you do not listen.",
      ["enabled": Schema.boolean], required: ["enabled"]
    ) { (arguments, _) async throws(Refusal) in
      guard let isOn = try arguments.flag("enabled") else {
        throw Refusal(422, "invalid_argument", "enabled is required")
      }
      return try await duo.setNotices(isOn)
    }
  }

  private static func setStatus(_ duo: Duo) -> CompatTool {
    tool("set_status", "Say what you are doing; nothing clears it.", ["message": Schema.string]) {
      (arguments, _) async throws(Refusal) in try await duo.setStatus(try arguments.text("message"))
    }
  }
}
