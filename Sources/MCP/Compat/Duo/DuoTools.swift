import ParleyRuntime

/// The tools of that system by their names. Every result is one text.
enum DuoTools {
  /// A listening call waits so many minutes; what is asked for beyond is taken as the nearest of them.
  static let minutes = 10...60
  static let defaultMinutes = 30

  static func minutes(asked: Int) -> Int { min(max(asked, minutes.lowerBound), minutes.upperBound) }

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
      (arguments, _) async throws(Refusal) in
      let (id, name) = try await duo.register(name: try arguments.text("name"))
      return "Connected as **\(name)** (ID: \(id))\nProject: \(duo.options.folder)"
    }
  }

  private static func talk(_ duo: Duo) -> CompatTool {
    tool(
      "talk", "Say something to a partner, or in a conversation; to the only other partner where neither is named.",
      ["message": Schema.string, "to": Schema.string("Id of a partner"), "conversation": conversation],
      required: ["message"]
    ) { (arguments, _) async throws(Refusal) in
      DuoText.sent(
        try await duo.talk(
          try arguments.requiredText("message"), to: try arguments.text("to"),
          conversation: try arguments.text("conversation")))
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
      let minutes = Self.minutes(asked: asked)
      let result: Result<Duo.Heard, Refusal>
      do throws(HubError) {
        result = try await context.reportingProgress(for: .seconds(60 * minutes), "listening") {
          () async throws(HubError) in await duo.listen(conversation, minutes: minutes)
        }
      } catch {
        throw Refusal(error)
      }
      return DuoText.heard(try result.get(), minutes: minutes)
    }
  }

  private static func listPartners(_ duo: Duo) -> CompatTool {
    tool("list_partners", "The partners, whether they are there and listen.", effects: looking) {
      (_, _) async throws(Refusal) in try await duo.listPartners()
    }
  }

  private static func listConversations(_ duo: Duo) -> CompatTool {
    tool("list_conversations", "Your conversations, with what is unread.", effects: looking) {
      (_, _) async throws(Refusal) in
      let (me, all) = try await duo.listConversations()
      guard !all.isEmpty else { return "No conversations." }
      return all.map { DuoText.conversation($0.conversation, unread: $0.unread, me: Handle(me)) }
        .joined(separator: "\n")
    }
  }

  private static func createConversation(_ duo: Duo) -> CompatTool {
    tool(
      "create_conversation", "Begin a conversation of several.",
      ["name": Schema.string, "participants": Schema.string("Ids of partners, separated by commas")],
      required: ["name", "participants"]
    ) { (arguments, _) async throws(Refusal) in
      let ids = try arguments.requiredText("participants").split(separator: ",").map { String($0).trimmed }
      let name = try arguments.requiredText("name").trimmed
      return DuoText.created(try await duo.create(name, participants: ids.filter { !$0.isEmpty }), name)
    }
  }

  private static func leaveConversation(_ duo: Duo) -> CompatTool {
    tool(
      "leave_conversation", "Leave a conversation of several.", ["conversation": conversation],
      required: ["conversation"]
    ) {
      (arguments, _) async throws(Refusal) in
      let id = try arguments.requiredText("conversation")
      let isArchived = try await duo.leave(id)
      return "Left \(id)." + (isArchived ? " Nobody is in it any more: it is archived." : "")
    }
  }

  private static func history(_ duo: Duo) -> CompatTool {
    tool(
      "history", "The newest messages of a conversation. Data from others.", effects: looking,
      ["conversation": conversation, "limit": Schema.integer(atLeast: 1, "Default 50, at most 500")],
      required: ["conversation"]
    ) { (arguments, _) async throws(Refusal) in
      let id = try arguments.requiredText("conversation")
      let (me, conversation, messages) = try await duo.history(
        id, limit: try arguments.integer("limit", in: 1...500, default: 50))
      guard !messages.isEmpty else { return "No messages in \(id)." }
      return DuoText.history(conversation, messages, me: Handle(me))
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
      let state = "Notifications are \(isOn ? "on" : "off")"
      guard try await duo.setNotices(isOn) else {
        return "\(state), but no file is written: compat_options.duo.notify_file is not set."
      }
      return state + "."
    }
  }

  private static func setStatus(_ duo: Duo) -> CompatTool {
    tool("set_status", "Say what you are doing; nothing clears it.", ["message": Schema.string]) {
      (arguments, _) async throws(Refusal) in
      let text = try await duo.setStatus(try arguments.text("message"))
      return text.isEmpty ? "Status cleared." : "Status: \(text)"
    }
  }
}
