import ParleyRuntime

extension JSONWriter {
  /// Writes a message as results carry it: the keys of the TypeScript Parley first and in its order, then ours, each
  /// only where the message has it. The text is escaped as JSON asks and otherwise untouched.
  ///
  /// With `contentBytes`, only so much of the content is written (whole characters), and `cutFrom` says how long it is.
  package mutating func message(_ message: Message, contentBytes: Int? = nil) {
    beginObject()
    member(trusted: "topic", message.topic.name)
    member(trusted: "senderHandle", message.sender.name)
    if let contentBytes {
      member(trusted: "content", message.content.prefix(bytes: contentBytes))
    } else {
      member(trusted: "content", message.content)
    }
    member(trusted: "timestamp", message.timestamp)
    member(trusted: "backendMsgId", message.id.text)
    member(trusted: "cursor", message.cursor.text)
    key(trusted: "mentions")
    beginArray()
    for handle in message.mentions { string(handle.name) }
    endArray()
    if let id = message.inReplyTo { member(trusted: "inReplyTo", id.text) }
    if let handle = message.to { member(trusted: "to", handle.name) }
    if let account = message.account { member(trusted: "account", account) }
    member(trusted: "provenance", message.provenance.rawValue)
    if !message.attributes.isEmpty {
      key(trusted: "attributes")
      attributes(message.attributes)
    }
    if let kind = message.kind { member(trusted: "kind", kind) }
    if message.isLate { member("late", true) }
    if contentBytes != nil {
      key("cutFrom")
      int(message.content.utf8.count)
    }
    endObject()
  }

  /// Writes the members of a gap as an object. With `topic`, the object names its topic.
  package mutating func gap(_ gap: Gap, namingTopic: Bool = false) {
    beginObject()
    if namingTopic { member("topic", gap.topic.name) }
    member("from", gap.from.text)
    member("to", gap.to.text)
    member("reason", gap.reason)
    member("certain", gap.isCertain)
    endObject()
  }
}
