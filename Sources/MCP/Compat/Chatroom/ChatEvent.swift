import ParleyCoordination
import ParleyRuntime

/// What the log of a chatroom says: the codec between events and messages.
///
/// What somebody says is an ordinary message, with the attribute `chat_topic` where it belongs to one of the room's
/// topics. So what a person writes in a chat client is a message of the room. Summaries are those of hand-off.
enum ChatEvent: Hashable, Sendable {
  /// Somebody says something.
  case say(topic: String?)
  /// A session goes by a name for so many milliseconds, or goes on doing so.
  case join(name: String, role: String, session: String, lifetime: Int64)
  /// A session drops a name.
  case leave(name: String, session: String)
  /// A topic begins, or ends for good.
  case open(topic: String, title: String)
  case close(topic: String)
  /// A reader stands at a message, if it stood at `from` before; nil for wherever it stood.
  case cursor(name: String, topic: String?, from: Int?, id: Int)
  /// Something is written down, as hand-off does it.
  case summary(topic: String?)
  /// What an older room kept in files has been taken over.
  case imported
  /// What must be known where the beginning of the log is gone.
  case state(JSONValue)

  static let topicName = "chat_topic"
  /// When something was said that was taken over from elsewhere, milliseconds since 1970.
  static let timeName = "chat_time"

  private enum Kind: String {
    case join = "chat.join"
    case leave = "chat.leave"
    case open = "chat.open"
    case close = "chat.close"
    case cursor = "chat.cursor"
    case imported = "chat.imported"
    case state = "chat.state"
    case summary = "summary"
  }

  /// The event of a message; nil for what is none, is damaged, or another part's.
  init?(_ message: Message) {
    let attributes = message.attributes
    guard let name = message.kind else {
      let topic = attributes[Self.topicName]
      guard topic.map(Self.isTopicID) ?? true else { return nil }
      self = .say(topic: topic)
      return
    }
    guard let kind = Kind(rawValue: name), attributes["v", default: "1"] == "1" else { return nil }
    let topic = attributes[Self.topicName]
    guard topic.map(Self.isTopicID) ?? true else { return nil }
    switch kind {
    case .join:
      guard let name = attributes["name"], let session = attributes["session"], !name.isBlank,
        let lifetime = attributes["ttl_ms"].flatMap({ Int64($0) }), (1...(1 << 40)).contains(lifetime)
      else { return nil }
      self = .join(name: name, role: attributes["role"] ?? "", session: session, lifetime: lifetime)
    case .leave:
      guard let name = attributes["name"], let session = attributes["session"] else { return nil }
      self = .leave(name: name, session: session)
    case .open:
      guard let topic, let title = attributes["title"], !title.isBlank else { return nil }
      self = .open(topic: topic, title: title)
    case .close:
      guard let topic else { return nil }
      self = .close(topic: topic)
    case .cursor:
      guard let name = attributes["name"], let id = attributes["id"].flatMap({ Int($0) }), id >= 0 else { return nil }
      self = .cursor(name: name, topic: topic, from: attributes["from"].flatMap { Int($0) }, id: id)
    case .summary: self = .summary(topic: topic)
    case .imported: self = .imported
    case .state:
      do throws(JSONError) { self = .state(try JSONValue(parsing: message.content)) } catch { return nil }
    }
  }

  /// The text and the attributes of the message that carries the event; `say` and `summary` have texts of their own.
  var message: EventText {
    switch self {
    case .say(let topic): return ("", Self.attributes(nil, topic))
    case .summary(let topic): return ("", Self.attributes(.summary, topic))
    case .join(let name, let role, let session, let lifetime):
      return (
        role.isEmpty ? "\(name) is here" : "\(name) is here (\(role))",
        Self.attributes(
          .join, nil, ["name": name, "role": role, "session": session, "ttl_ms": String(lifetime)], isQuiet: true)
      )
    case .leave(let name, let session):
      return ("\(name) left the chatroom", Self.attributes(.leave, nil, ["name": name, "session": session]))
    case .open(let topic, let title):
      return ("topic \(topic): \(title)", Self.attributes(.open, topic, ["title": title]))
    case .close(let topic): return ("topic \(topic) is closed", Self.attributes(.close, topic))
    case .cursor(let name, let topic, let from, let id):
      let more: Attributes = ["name": name, "id": String(id), "from": from.map { String($0) }]
      return ("\(name) read up to \(id)", Self.attributes(.cursor, topic, more, isQuiet: true))
    case .imported: return ("what was said before is taken over", Self.attributes(.imported, nil, isQuiet: true))
    case .state(let value): return (value.text, Self.attributes(.state, nil, isQuiet: true))
    }
  }

  private static func attributes(
    _ kind: Kind?, _ topic: String?, _ more: Attributes = [:], isQuiet: Bool = false
  ) -> Attributes {
    var attributes = more
    attributes["kind"] = kind?.rawValue
    attributes[topicName] = topic
    if isQuiet { attributes[Message.quietAttribute] = "1" }
    return attributes
  }

  /// `[a-z0-9][a-z0-9._-]{0,63}`
  static func isTopicID(_ text: String) -> Bool {
    let isWord = { (byte: UInt8) in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
    guard let first = text.utf8.first, isWord(first), text.utf8.count <= 64 else { return false }
    return text.utf8.allSatisfy { isWord($0) || "._-".utf8.contains($0) }
  }
}
