import ArgumentParser
import ParleyCoordination
import ParleyMCP
import ParleyRuntime

/// `parley conversation`: talk with one other, or with a group.
struct ConversationCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "conversation", abstract: "Talk with one participant, or with a group, in a topic of its own.",
    discussion: "Whoever runs the server, or may open its file, may read conversations too; see the backend's page.",
    subcommands: [
      ListCommand.self, SendCommand.self, HistoryCommand.self, CreateCommand.self, InviteCommand.self,
      LeaveCommand.self,
    ])
}

extension SessionOptions {
  /// Runs `body` with the participant's conversations, and ends following them.
  func runConversations(_ body: @escaping @Sendable (Room, Conversations) async throws -> Void) throws {
    try run { room in
      let own = OwnTopic(hub: room.hub)
      let conversations = Conversations(hub: room.hub, own: own)
      let result: Result<Void, any Error>
      do { result = .success(try await body(room, conversations)) } catch { result = .failure(error) }
      await conversations.stop()
      await own.stop()
      try result.get()
    }
  }
}

extension Output {
  /// Prints one conversation: a JSON object, or a line a person can read.
  fileprivate func conversation(_ conversation: Conversation, unread: Unread?, for me: Handle) {
    value { $0.conversation(conversation, unread: unread) }
    func visible(_ text: String) -> String { VisibleText.visible(text, keepsLines: false) }
    let members = conversation.state.members.keys.sorted().filter { $0 != me }.map { visible($0.name) }
    let name = conversation.state.name.map { visible($0) + ": " } ?? ""
    var text = "\(conversation.topic.name)  \(name)\(members.joined(separator: ", "))"
    if let unread, unread.count > 0 { text += "  \(unread.count)\(unread.isCapped ? "+" : "") unread" }
    line(text)
  }
}

/// The conversation that a command is about: a topic, or a handle where it is one of two.
private struct Target: ParsableArguments {
  @Argument(help: "The conversation's topic (~…), or the handle of the other one of two.")
  var conversation: String

  func find(_ conversations: Conversations) async throws -> Conversation {
    let topic = Topic(conversation)
    if ConversationTopic.isConversation(topic) { return try await conversations.conversation(topic) }
    return try await conversations.direct(with: Handle(conversation))
  }
}

extension ConversationCommand {
  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the conversations that you are in, with what is unread.")

    @OptionGroup var session: SessionOptions

    func run() throws {
      try session.runConversations { room, conversations in
        let marks = await (try room.marks()).marks
        let inbox = Inbox(hub: room.hub, options: .init(filter: PushFilter(author: room.hub.setup.author)))
        let all = try await conversations.list()
        for conversation in all {
          await inbox.add(conversation.topic, mark: marks[conversation.topic], catchesUp: true)
        }
        let unread = await inbox.unread
        for conversation in all {
          room.output.conversation(
            conversation, unread: unread[conversation.topic], for: room.hub.setup.author.handle)
        }
        await inbox.stop()
      }
    }
  }

  struct SendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "send", abstract: "Say something; a conversation of two begins by itself.")

    @OptionGroup var session: SessionOptions
    @OptionGroup fileprivate var target: Target

    @Argument(help: "The text.")
    var text: [String]

    @Option(help: "Makes a retry safe: the same key with the same text is one message.")
    var key: String?

    func run() throws {
      let (target, text, key) = (target, text.joined(separator: " "), key)
      try session.runConversations { room, conversations in
        let conversation = try await target.find(conversations)
        let receipt = try await room.hub.post(PostRequest(topic: conversation.topic, content: text, key: key))
        room.output.line(receipt.id.text)
        room.output.object { writer in
          writer.member("conversation", conversation.topic.name)
          writer.member("backendMsgId", receipt.id.text)
          writer.member("cursor", receipt.cursor.text)
          writer.member("durability", receipt.durability.description)
        }
      }
    }
  }

  struct HistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "history", abstract: "Print what was said, the newest first.")

    @OptionGroup var session: SessionOptions
    @OptionGroup fileprivate var target: Target

    @Option(help: "Print what comes before this cursor, as the last page told it.")
    var before: String?

    @Option(help: "At most this many messages.")
    var limit = 50

    @Flag(name: .customLong("mark-read"), help: "Move the read mark behind the newest message.")
    var markRead = false

    func validate() throws {
      guard limit > 0 else { throw ValidationError("--limit must be at least 1.") }
      guard !(markRead && before != nil) else { throw ValidationError("--mark-read does not go with --before.") }
    }

    func run() throws {
      let (target, before, limit, markRead) = (target, before.map { Cursor($0) }, limit, markRead)
      try session.runConversations { room, conversations in
        let conversation = try await target.find(conversations)
        let page = try await conversations.history(of: conversation.topic, before: before, limit: limit)
        for message in page.messages.reversed() { room.output.message(message) }
        if markRead, let last = page.messages.last {
          try await room.marks().mark(conversation.topic, at: page.next, storedAt: last.storedAt)
        }
        room.output.object { writer in
          writer.member("conversation", conversation.topic.name)
          if let previous = page.previous { writer.member("previousCursor", previous.text) }
        }
        if let previous = page.previous { room.output.note("more with --before \(previous.text)") }
      }
    }
  }

  struct CreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "create", abstract: "Begin a group; prints its topic.")

    @OptionGroup var session: SessionOptions

    @Argument(help: "The handles of those who are brought in.")
    var members: [String] = []

    @Option(help: "What the group is called, in one line.")
    var name: String?

    @Option(help: "Makes a retry safe: the same key is one group.")
    var key: String?

    func run() throws {
      let (members, name, key) = (members.map { Handle($0) }, name, key)
      try session.runConversations { room, conversations in
        let made = try await conversations.create(name: name, members: members, key: key)
        room.output.conversation(made, unread: nil, for: room.hub.setup.author.handle)
      }
    }
  }

  struct InviteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "invite", abstract: "Bring somebody into a group.")

    @OptionGroup var session: SessionOptions

    @Argument(help: "The group's topic (~…).")
    var conversation: String

    @Argument(help: "The handle of who is brought in.")
    var member: String

    func run() throws {
      let (topic, member) = (Topic(conversation), Handle(member))
      try session.runConversations { room, conversations in
        let changed = try await conversations.invite(member, to: topic)
        room.output.conversation(changed, unread: nil, for: room.hub.setup.author.handle)
      }
    }
  }

  struct LeaveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "leave", abstract: "Leave a group.")

    @OptionGroup var session: SessionOptions

    @Argument(help: "The group's topic (~…).")
    var conversation: String

    func run() throws {
      let topic = Topic(conversation)
      try session.runConversations { room, conversations in
        try await conversations.leave(topic)
        room.output.object { $0.member("left", topic.name) }
      }
    }
  }
}
