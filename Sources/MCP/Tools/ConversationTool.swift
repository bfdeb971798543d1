import ParleyCoordination
import ParleyRuntime

/// `parley_conversation`: talk with one other, or with a group, beside the topics that everyone reads.
package struct ConversationTool: Tool {
  package let name = "parley_conversation"
  private static let actions = ["list", "send", "history", "create", "invite", "leave"]
  private static let defaultLimit = 50

  package init() {}

  package func definition(for hub: Hub.Setup) -> String {
    ToolDefinition(
      name: name, title: "Conversations",
      description: "Talk with one participant or a group in a topic of its own. send: `content` to `with` (begins by "
        + "itself) or to `conversation`. list: those you are in, with unread. history: newest first; page with "
        + "`before`. create: a group of `members`. invite: bring `member` into a group. leave: a group. A conversation "
        + "is a topic for parley_fetch_recent, parley_reply and parley_wait too. Whoever runs the server may read it.",
      effects: .init(),
      input: [
        "action": ["type": "string", "enum": .array(Self.actions.map(JSONValue.string))],
        "with": Schema.string("Handle of the other one"),
        "conversation": Schema.string("Topic of a conversation, from list or an event"),
        "content": Schema.string,
        "name": Schema.string("One line"),
        "members": Schema.strings,
        "member": Schema.string,
        "in_reply_to": Schema.string,
        "before": Schema.string("previousCursor of the page before"),
        "limit": Schema.integer(atLeast: 1),
        "key": Schema.string("Makes a retry of send or create safe"),
      ],
      inputRequired: ["action"],
      output: [
        "conversation": Schema.object, "conversations": ["type": "array", "items": Schema.object],
        "truncated": Schema.boolean, "messages": ["type": "array", "items": Schema.object],
        "previousCursor": Schema.string, "hasMore": Schema.boolean, "backendMsgId": Schema.string,
        "cursor": Schema.string, "durability": Schema.string, "duplicate": Schema.boolean, "left": Schema.string,
      ],
      outputRequired: []
    ).text
  }

  package func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    let arguments = ToolArguments(arguments)
    var writer = JSONWriter(capacity: 1024)
    do throws(HubError) {
      switch try arguments.text("action") {
      case "list": try await list(in: context, into: &writer)
      case "send": try await send(arguments, in: context, into: &writer)
      case "history": try await history(arguments, in: context, into: &writer)
      case "create":
        let members = try arguments.texts("members")?.map { Handle($0) } ?? []
        let made = try await context.conversations.create(
          name: try arguments.text("name"), members: members, key: try arguments.text("key"))
        await write(made, in: context, into: &writer)
      case "invite":
        guard let member = try arguments.text("member") else {
          throw .badArgument(name: "member", reason: "is required")
        }
        let changed = try await context.conversations.invite(Handle(member), to: try Self.topic(arguments))
        await write(changed, in: context, into: &writer)
      case "leave":
        let topic = try Self.topic(arguments)
        try await context.conversations.leave(topic)
        writer.member("left", topic.name)
      default:
        throw .badArgument(name: "action", reason: "must be one of \(Self.actions.joined(separator: ", "))")
      }
      return .success(members: writer.bytes)
    } catch {
      return .failure(error)
    }
  }

  private static func topic(_ arguments: ToolArguments) throws(HubError) -> Topic {
    guard let name = try arguments.text("conversation") else {
      throw .badArgument(name: "conversation", reason: "is required")
    }
    return Topic(name)
  }

  /// The conversation that is named, or the one with somebody, which begins where it `begins` and has not.
  private static func target(
    _ arguments: ToolArguments, in context: CallContext
  ) async throws(HubError) -> Conversation {
    if let with = try arguments.text("with") {
      guard try arguments.text("conversation") == nil else {
        throw .badArgument(name: "with", reason: "cannot be combined with conversation")
      }
      return try await context.conversations.direct(with: Handle(with))
    }
    guard try arguments.text("conversation") != nil else {
      throw .badArgument(name: "conversation", reason: "is required, or with")
    }
    return try await context.conversations.conversation(try topic(arguments))
  }

  private func write(_ conversation: Conversation, in context: CallContext, into writer: inout JSONWriter) async {
    writer.key("conversation")
    writer.conversation(conversation, unread: await context.inbox.unread[conversation.topic])
  }

  private func list(in context: CallContext, into writer: inout JSONWriter) async throws(HubError) {
    let all = try await context.conversations.list()
    let unread = await context.inbox.unread
    let limit = context.hub.setup.limits.resultBytes - 2_000
    var isCut = false
    writer.key("conversations")
    writer.beginArray()
    for conversation in all {
      guard writer.bytes.count < limit else {
        isCut = true
        break
      }
      writer.conversation(conversation, unread: unread[conversation.topic])
    }
    writer.endArray()
    if isCut { writer.member("truncated", true) }
  }

  private func send(
    _ arguments: ToolArguments, in context: CallContext, into writer: inout JSONWriter
  ) async throws(HubError) {
    guard let content = try arguments.text("content") else {
      throw .badArgument(name: "content", reason: "is required")
    }
    let conversation = try await Self.target(arguments, in: context)
    let request = PostRequest(
      topic: conversation.topic, content: content, inReplyTo: try arguments.text("in_reply_to").map(MessageID.init),
      key: try arguments.text("key"))
    let receipt = try await context.inbox.post(request)
    writer.receipt(receipt)
    await write(conversation, in: context, into: &writer)
  }

  private func history(
    _ arguments: ToolArguments, in context: CallContext, into writer: inout JSONWriter
  ) async throws(HubError) {
    let conversation = try await Self.target(arguments, in: context)
    let limit = try arguments.integer("limit", atLeast: 1) ?? Self.defaultLimit
    let before = try arguments.text("before").map { Cursor($0) }
    let page = try await context.conversations.history(of: conversation.topic, before: before, limit: limit)
    var budget = ResultBudget(context.hub.setup.limits.resultBytes)
    for message in page.messages.reversed() { guard budget.take(message) else { break } }
    writer.key("messages")
    writer.beginArray()
    budget.write(into: &writer)
    writer.endArray()
    let isCut = budget.count < page.messages.count
    let previous = isCut ? page.messages[page.messages.count - budget.count].cursor : page.previous
    if let previous { writer.member("previousCursor", previous.text) }
    if previous != nil { writer.member("hasMore", true) }
    await write(conversation, in: context, into: &writer)
  }
}

extension JSONWriter {
  /// Writes a conversation as results carry it. Times are milliseconds since 1970 by the store's clock.
  package mutating func conversation(_ conversation: Conversation, unread: Unread? = nil) {
    let state = conversation.state
    beginObject()
    member("conversation", conversation.topic.name)
    member("type", state.isDirect ? "direct" : "group")
    if let name = state.name { member("name", name) }
    strings("members", state.members.keys.sorted().map(\.name))
    key("unread")
    int(unread?.count ?? 0)
    if unread?.isCapped == true { member("unreadCapped", true) }
    member("createdBy", state.creator.name)
    key("createdAtMs")
    int(state.createdAt)
    endObject()
  }
}
