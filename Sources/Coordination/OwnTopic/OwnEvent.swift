import ParleyRuntime

/// A conversation that somebody was brought into.
public struct Invitation: Hashable, Sendable {
  /// Where it is held.
  public var topic: Topic
  /// What it is called; nil for one of two, and for a group without a name.
  public var name: String?
  /// Who brought them in.
  public var by: Handle
  /// When, milliseconds since 1970.
  public var at: Int64
}

/// What a participant's own topic says besides read marks: the codec between events and messages.
enum OwnEvent: Hashable, Sendable {
  /// The owner is in a conversation now; whoever brought it in says so.
  case invitation(Topic, name: String?)
  /// The owner has left a conversation.
  case left(Topic)
  /// What the owner says it is doing; nil for nothing any more.
  case status(String?)
  /// Something that the owner wants to be so wherever it resumes; nil for the default again.
  case setting(String, String?)
  /// These messages were written to a session of the owner.
  case pushed(Topic, [MessageID])
  /// The state at the place `through` of the log.
  case checkpoint(OwnState, through: Cursor)

  /// A setting's name and value have at most so many bytes.
  static let settingNameBytes = 64
  static let settingBytes = 2_048

  enum Kind: String {
    case invitation
    case left = "conversation.left"
    case status
    case setting
    case pushed = "receipt.pushed"
    case checkpoint = "own.state"
  }

  /// Whether a message is one of these, damaged ones and later versions too.
  static func owns(_ message: Message) -> Bool { message.kind.flatMap(Kind.init) != nil }

  /// Reads the event of a message.
  init(_ message: Message) throws(EventRefusal) {
    guard let kind = message.kind.flatMap(Kind.init) else { throw .foreign }
    let attributes = message.attributes
    guard attributes["v", default: "1"] == "1" else { throw .later }
    switch kind {
    case .invitation:
      let name = attributes["name"]
      guard name.map(TaskEvent.isTitle) ?? true else { throw .malformed }
      self = .invitation(try Self.conversation(attributes), name: name)
    case .left: self = .left(try Self.conversation(attributes))
    case .status:
      let text = attributes["status"] ?? ""
      guard text.utf8.count <= PresenceRecord.statusBytes else { throw .malformed }
      self = .status(text.isEmpty ? nil : text)
    case .setting:
      guard let name = attributes["name"], Self.isSetting(name),
        attributes["value", default: ""].utf8.count <= Self.settingBytes
      else { throw .malformed }
      self = .setting(name, attributes["value"])
    case .pushed:
      guard let topic = attributes["topic"], !topic.isEmpty else { throw .malformed }
      let object = try StateText.read(message.content)
      guard let ids = object.member("ids"), ids.kind == .array else { throw .malformed }
      self = .pushed(Topic(topic), ids.elements.compactMap { $0.string.map(MessageID.init) })
    case .checkpoint:
      guard let through = attributes["through"], !through.isEmpty else { throw .malformed }
      self = .checkpoint(try OwnState(text: message.content), through: Cursor(through))
    }
  }

  private static func conversation(_ attributes: Attributes) throws(EventRefusal) -> Topic {
    guard let topic = attributes["conversation"].map({ Topic($0) }), ConversationTopic.isConversation(topic) else {
      throw .malformed
    }
    return topic
  }

  /// Whether a text can name a setting: lower-case words, joined by `.`, `_` or `-`.
  static func isSetting(_ name: String) -> Bool {
    (1...settingNameBytes).contains(name.utf8.count)
      && name.utf8.allSatisfy { byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "._-".utf8.contains(byte)
      }
  }

  /// The text and the attributes of the message that carries the event, said by a participant.
  func message(by handle: Handle) -> EventText {
    let who = VisibleText.visible(handle.name, keepsLines: false)
    switch self {
    case .invitation(let topic, let name):
      return (
        "\(who) begins a conversation with you" + (name.map { ": \($0)" } ?? ""),
        ["kind": Kind.invitation.rawValue, "conversation": topic.name, "name": name]
      )
    case .left(let topic):
      return ("left \(topic.name)", ["kind": Kind.left.rawValue, "conversation": topic.name])
    case .status(let text):
      return (
        text.map { "status: " + VisibleText.visible($0, keepsLines: false) } ?? "no status",
        ["kind": Kind.status.rawValue, "status": text ?? ""]
      )
    case .setting(let name, let value):
      return (
        value == nil ? "setting \(name) as it was" : "setting \(name)",
        ["kind": Kind.setting.rawValue, "name": name, "value": value]
      )
    case .pushed(let topic, let ids):
      let text = StateText.write { writer in
        writer.key("ids")
        writer.beginArray()
        for id in ids { writer.string(id.text) }
        writer.endArray()
      }
      return (text, ["kind": Kind.pushed.rawValue, "topic": topic.name, Checkpoints.quiet: "1"])
    case .checkpoint(let state, let through):
      return (state.text, ["kind": Kind.checkpoint.rawValue, "through": through.text, Checkpoints.quiet: "1"])
    }
  }
}
