import ParleyRuntime

/// What a conversation's log says about itself: the codec between events and messages.
///
/// An event is a message with a line for people and attributes for programs. `v` names the version of its shape and is
/// absent for 1. Everything else in the log is what the members say.
enum ConversationEvent: Hashable, Sendable {
  /// The conversation begins; its sender is in it, and so is `with` where it is one of two.
  case create(name: String?, with: Handle?)
  /// A member brings another in.
  case invite(Handle)
  /// A member goes.
  case leave
  /// The state at the place `through` of the log.
  case checkpoint(ConversationState, through: Cursor)

  /// A group's name is one line of at most so many bytes.
  static let nameBytes = 256
  /// Every kind of these begins so.
  static let prefix = "conversation."

  private enum Kind: String {
    case create = "conversation.create"
    case invite = "conversation.invite"
    case leave = "conversation.leave"
    case checkpoint = "conversation.state"
  }

  /// Reads the event of a message.
  init(_ message: Message) throws(EventRefusal) {
    guard let name = message.kind, name.hasPrefix(Self.prefix) else { throw .foreign }
    let attributes = message.attributes
    guard attributes["v", default: "1"] == "1", let kind = Kind(rawValue: name) else { throw .later }
    switch kind {
    case .create:
      let name = attributes["name"]
      let with = attributes["with"].map { Handle($0) }
      guard name.map(TaskEvent.isTitle) ?? true, (with != nil) != (attributes["type"] == "group"),
        with.map(Self.isName) ?? true
      else { throw .malformed }
      self = .create(name: name, with: with)
    case .invite:
      guard let member = attributes["member"].map({ Handle($0) }), Self.isName(member) else { throw .malformed }
      self = .invite(member)
    case .leave: self = .leave
    case .checkpoint:
      guard let through = attributes["through"], !through.isEmpty else { throw .malformed }
      self = .checkpoint(try ConversationState(text: message.content), through: Cursor(through))
    }
  }

  /// A name that may stand in a log. What only our own limits refuse is not judged here.
  private static func isName(_ handle: Handle) -> Bool {
    do throws(HubError) {
      try ParticipantName.check(handle, "", limit: 4_096)
      return true
    } catch {
      return false
    }
  }

  /// Up to where the checkpoint in this message stands; nil where it is none.
  static func through(of message: Message) -> Cursor? {
    guard message.kind == Kind.checkpoint.rawValue else { return nil }
    do throws(EventRefusal) {
      guard case .checkpoint(_, let through) = try ConversationEvent(message) else { return nil }
      return through
    } catch {
      return nil
    }
  }

  /// The text and the attributes of the message that carries the event of a member.
  func message(by handle: Handle) -> EventText {
    func shown(_ handle: Handle) -> String { VisibleText.visible(handle.name, keepsLines: false) }
    switch self {
    case .create(let name, let with):
      let what = with.map { "with \(shown($0))" } ?? name.map { "\"\($0)\"" } ?? "of a group"
      return (
        "\(shown(handle)) begins a conversation \(what)",
        [
          "kind": Kind.create.rawValue, "type": with == nil ? "group" : "direct", "name": name, "with": with?.name,
          // What is said begins behind it: nobody needs to be told of it alone.
          Checkpoints.quiet: "1",
        ]
      )
    case .invite(let member):
      return (
        "\(shown(handle)) brings in \(shown(member))",
        ["kind": Kind.invite.rawValue, "member": member.name]
      )
    case .leave: return ("\(shown(handle)) leaves", ["kind": Kind.leave.rawValue])
    case .checkpoint(let state, let through):
      return (
        state.text,
        ["kind": Kind.checkpoint.rawValue, "through": through.text, Checkpoints.quiet: "1"]
      )
    }
  }
}
