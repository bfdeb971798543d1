import ParleyRuntime

/// A message as the fields of a stream's entry.
///
/// `sender`, `content`, `ts`, `in_reply_to` are the TypeScript Parley's, in its order; what follows it ignores.
enum StoredEntry {
  /// The fields, in their order.
  enum Field: Int, CaseIterable {
    case sender, content, ts, inReplyTo, key, instance, to, attributes

    var name: String {
      switch self {
      case .sender: "sender"
      case .content: "content"
      case .ts: "ts"
      case .inReplyTo: "in_reply_to"
      case .key: "key"
      case .instance: "instance"
      case .to: "to"
      case .attributes: "attributes"
      }
    }
  }

  /// How many fields a draft has.
  static func fieldCount(of draft: Draft) -> Int {
    6 + (draft.to == nil ? 0 : 1) + (draft.attributes.isEmpty ? 0 : 1)
  }

  /// Calls `field` with each field and its value, in their order. Attributes are one field, however many there are: the
  /// server stores names once for entries of the same fields, and walks over values to find an entry.
  static func forEachField(of draft: Draft, timestamp: String, _ field: (Field, String) -> Void) {
    field(.sender, draft.author.handle.name)
    field(.content, draft.content)
    field(.ts, timestamp)
    field(.inReplyTo, draft.inReplyTo?.text ?? "")
    field(.key, draft.key.text)
    field(.instance, draft.author.instance)
    if let to = draft.to { field(.to, to.name) }
    if !draft.attributes.isEmpty { field(.attributes, draft.attributes.json) }
  }

  /// The id and the message of an entry as XRANGE and XREAD answer it; nil for what is no entry.
  static func message<Node: ReplyNode>(_ entry: Node, on topic: Topic) -> (id: StreamID, message: Message)? {
    guard entry.count == 2, let name = entry.node(0), let text = name.text, let id = name.streamID,
      let fields = entry.node(1)
    else { return nil }
    var (sender, content, timestamp) = ("", "", "")
    var (inReplyTo, instance, to): (MessageID?, String?, Handle?)
    var attributes: Attributes = [:]
    // Names and values take turns.
    var last: Node?
    fields.forEach { node in
      guard let name = last else { return last = node }
      last = nil
      if name.reads("key") { return }
      let value = node.text ?? ""
      if name.reads("sender") {
        sender = value
      } else if name.reads("content") {
        content = value
      } else if name.reads("ts") {
        timestamp = value
      } else if name.reads("in_reply_to") {
        inReplyTo = value.isEmpty ? nil : MessageID(value)
      } else if name.reads("instance") {
        instance = value
      } else if name.reads("to") {
        to = Handle(value)
      } else if name.reads("attributes") {
        attributes = Attributes(json: value)
      }
    }
    let storedAt = Int64(clamping: id.milliseconds)
    return (
      id,
      Message(
        topic: topic, sender: Handle(sender), instance: instance, content: content,
        timestamp: timestamp.isEmpty ? Timestamp.text(storedAt) : timestamp, storedAt: storedAt, id: MessageID(text),
        cursor: LogPlace.cursor(after: text), inReplyTo: inReplyTo, to: to, attributes: attributes)
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
    for (name, value) in draft.attributes {
      text += "\(name.utf8.count):\(name)\(value.utf8.count):\(value)"
    }
    return SHA256.hexadecimal(text, digits: 32)
  }
}
