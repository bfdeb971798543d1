import ParleyRuntime

/// A conversation as its log tells it.
public struct ConversationState: Hashable, Sendable {
  /// Somebody who is in it.
  public struct Member: Hashable, Sendable {
    /// When it came, milliseconds since 1970.
    public var since: Int64
    /// The message that brought it in.
    public var message: MessageID
    /// What the backend vouches for, from the first word under the handle; nil until then, or where it does not.
    public var account: String?
  }

  /// One of two participants, who stay; otherwise a group.
  public var isDirect: Bool
  /// What a group is called.
  public var name: String?
  /// Who began it.
  public var creator: Handle
  /// When, milliseconds since 1970.
  public var createdAt: Int64
  /// Who is in it now.
  public var members: [Handle: Member]

  /// Everybody has left: nobody can come back.
  public var isArchived: Bool { members.isEmpty }

  /// The content of a checkpoint.
  var text: String {
    StateText.write { writer in
      writer.key("direct")
      writer.bool(isDirect)
      if let name { writer.text("name", name) }
      writer.text("creator", creator.name)
      writer.key("created_at")
      writer.int(createdAt)
      writer.key("members")
      writer.beginArray()
      for (handle, member) in members.sorted(by: { $0.key < $1.key }) {
        writer.beginObject()
        writer.text("handle", handle.name)
        writer.key("since")
        writer.int(member.since)
        writer.text("message", member.message.text)
        if let account = member.account { writer.text("account", account) }
        writer.endObject()
      }
      writer.endArray()
    }
  }

  init(isDirect: Bool, name: String?, creator: Handle, createdAt: Int64, members: [Handle: Member]) {
    self.isDirect = isDirect
    self.name = name
    self.creator = creator
    self.createdAt = createdAt
    self.members = members
  }

  init(text: String) throws(EventRefusal) {
    let object = try StateText.read(text)
    guard let isDirect = object.member("direct")?.bool else { throw .malformed }
    self.init(
      isDirect: isDirect, name: object.member("name")?.string, creator: Handle(try object.text("creator")),
      createdAt: try object.count("created_at"), members: [:])
    for entry in try object.objects("members") {
      members[Handle(try entry.text("handle"))] = Member(
        since: try entry.count("since"), message: MessageID(try entry.text("message")),
        account: entry.member("account")?.string)
    }
  }
}

/// Why an event of a conversation changed nothing: the same for every reader of the log.
public enum ConversationRefusal: Hashable, Sendable {
  /// There is no such conversation, as far as the asker may know.
  case unknown(Topic)
  /// It has begun already.
  case exists(Topic)
  /// Only members may do that.
  case notMember(Handle)
  /// Somebody is in it already.
  case isMember(Handle)
  /// A conversation of two cannot be left, and nobody can be brought in.
  case direct
  /// It has as many members as it may have.
  case full(limit: Int)
  /// Another account spoke under this handle before.
  case forged(Handle)

  /// The stable name that results and JSON carry.
  public var code: String {
    switch self {
    case .unknown: "conversationUnknown"
    case .exists: "conversationExists"
    case .notMember: "conversationNotMember"
    case .isMember: "conversationIsMember"
    case .direct: "conversationDirect"
    case .full: "conversationFull"
    case .forged: "conversationForged"
    }
  }

  /// The reason in words.
  public var reason: String {
    func shown(_ handle: Handle) -> String { VisibleText.visible(handle.name, keepsLines: false) }
    switch self {
    case .unknown(let topic):
      return "there is no conversation \(VisibleText.visible(topic.name, keepsLines: false)) that you are in"
    case .exists: return "the conversation has begun already"
    case .notMember(let handle): return "\(shown(handle)) is not in the conversation"
    case .isMember(let handle): return "\(shown(handle)) is in the conversation already"
    case .direct: return "a conversation of two stays as it is: nobody can leave it or be brought in; begin a group"
    case .full(let limit): return "the conversation has \(limit) members, which is the most it may have"
    case .forged(let handle): return "another account spoke as \(shown(handle)) in this conversation before"
    }
  }
}
