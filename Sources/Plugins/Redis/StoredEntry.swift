import ParleyRuntime

/// A message as the fields of a stream's entry.
///
/// `sender`, `content`, `ts`, `in_reply_to` are the TypeScript Parley's, in its order; what follows it ignores.
enum StoredEntry {
  /// In front of an attribute's name.
  private static let attributeMark = "attr:"

  static func fields(of draft: Draft, timestamp: String) -> [String] {
    var fields = [
      "sender", draft.author.handle.name, "content", draft.content, "ts", timestamp,
      "in_reply_to", draft.inReplyTo?.text ?? "", "key", draft.key.text, "instance", draft.author.instance,
    ]
    if let to = draft.to {
      fields.append("to")
      fields.append(to.name)
    }
    for (name, value) in draft.attributes.sorted(by: { $0.key < $1.key }) {
      fields.append(attributeMark + name)
      fields.append(value)
    }
    return fields
  }

  /// The id and the message of an entry as XRANGE and XREAD answer it; nil for what is no entry.
  static func message(_ entry: RedisReply, on topic: Topic) -> (id: StreamID, message: Message)? {
    let parts = entry.elements
    guard parts.count == 2, let text = parts[0].text, let id = StreamID(text) else { return nil }
    var (sender, content, timestamp) = ("", "", "")
    var (inReplyTo, instance, to): (MessageID?, String?, Handle?)
    var attributes: [String: String] = [:]
    let fields = parts[1].elements
    var index = 0
    while index + 1 < fields.count {
      let name = fields[index].text ?? ""
      let value = fields[index + 1].text ?? ""
      index += 2
      switch name {
      case "sender": sender = value
      case "content": content = value
      case "ts": timestamp = value
      case "in_reply_to": inReplyTo = value.isEmpty ? nil : MessageID(value)
      case "instance": instance = value
      case "to": to = Handle(value)
      default:
        if name.hasPrefix(attributeMark) { attributes[String(name.dropFirst(attributeMark.count))] = value }
      }
    }
    let storedAt = Int64(clamping: id.milliseconds)
    return (
      id,
      Message(
        topic: topic, sender: Handle(sender), instance: instance, content: content,
        timestamp: timestamp.isEmpty ? Timestamp.text(storedAt) : timestamp, storedAt: storedAt, id: MessageID(text),
        cursor: LogPlace.after(id).cursor, inReplyTo: inReplyTo, to: to, attributes: attributes)
    )
  }

  /// The key that the entry was posted with, and by which process; nil for another program's entry.
  static func key(of entry: RedisReply) -> (id: StreamID, key: String, instance: String)? {
    let parts = entry.elements
    guard parts.count == 2, let id = parts[0].text.flatMap({ StreamID($0) }) else { return nil }
    guard let key = parts[1]["key"]?.text, let instance = parts[1]["instance"]?.text else { return nil }
    return (id, key, instance)
  }

  /// What stands for the content under a key: equal for equal posts.
  static func digest(of draft: Draft) -> String {
    var text = ""
    for part in [draft.content, draft.inReplyTo?.text ?? "-", draft.to?.name ?? "-"] {
      text += "\(part.utf8.count):\(part)"
    }
    for (name, value) in draft.attributes.sorted(by: { $0.key < $1.key }) {
      text += "\(name.utf8.count):\(name)\(value.utf8.count):\(value)"
    }
    return SHA256.hexadecimal(text, digits: 32)
  }
}
