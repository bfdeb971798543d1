extension JSONWriter {
  /// Writes a message with everything that the seam knows of it.
  package mutating func relay(_ message: Message) {
    beginObject()
    relayMember("topic", message.topic.name)
    relayMember("sender", message.sender.name)
    relayMember("account", message.account)
    relayMember("provenance", message.provenance.rawValue)
    relayMember("instance", message.instance)
    relayMember("content", message.content)
    relayMember("timestamp", message.timestamp)
    relayMember("storedAt", message.storedAt)
    relayMember("id", message.id.text)
    relayMember("cursor", message.cursor.text)
    relayMember("inReplyTo", message.inReplyTo?.text)
    relayMember("to", message.to?.name)
    relayMap("attributes", message.attributes)
    relayMember("late", message.isLate)
    endObject()
  }

  /// Writes a gap.
  package mutating func relay(_ gap: Gap) {
    beginObject()
    relayMember("topic", gap.topic.name)
    relayMember("from", gap.from.text)
    relayMember("to", gap.to.text)
    relayMember("reason", gap.reason)
    relayMember("certain", gap.isCertain)
    endObject()
  }

  /// Writes a page, or what one topic brought while somebody waited.
  package mutating func relay(
    topic: Topic, messages: [Message], next: Cursor, previous: Cursor? = nil, hasMore: Bool, gap: Gap?
  ) {
    beginObject()
    relayMember("topic", topic.name)
    key("messages")
    beginArray()
    for message in messages { relay(message) }
    endArray()
    relayMember("next", next.text)
    relayMember("previous", previous?.text)
    relayMember("hasMore", hasMore)
    if let gap {
      key("gap")
      relay(gap)
    }
    endObject()
  }
}

extension Message {
  /// Reads what `relay` wrote; nil where it is something else. `place` makes our cursor of the other end's.
  package init?(relayed json: JSONSlice, _ place: (String) -> Cursor) {
    guard let topic = json.relayText("topic"), let sender = json.relayText("sender"),
      let content = json.relayText("content"),
      let provenance = json.relayText("provenance").flatMap(Provenance.init),
      let timestamp = json.relayText("timestamp"),
      let storedAt = json.relayNumber("storedAt"), let id = json.relayText("id"), let cursor = json.relayText("cursor"),
      let attributes = json.relayTexts("attributes")
    else { return nil }
    self.init(
      topic: Topic(topic), sender: Handle(sender), account: json.relayText("account"), provenance: provenance,
      instance: json.relayText("instance"), content: content, timestamp: timestamp, storedAt: storedAt,
      id: MessageID(id),
      cursor: place(cursor), inReplyTo: json.relayText("inReplyTo").map(MessageID.init),
      to: json.relayText("to").map(Handle.init), attributes: attributes, isLate: json.relayFlag("late"))
  }
}

extension Gap {
  /// Reads what `relay` wrote.
  package init?(relayed json: JSONSlice, _ place: (String) -> Cursor) {
    guard let topic = json.relayText("topic"), let from = json.relayText("from"), let to = json.relayText("to"),
      let reason = json.relayText("reason")
    else { return nil }
    self.init(
      topic: Topic(topic), from: place(from), to: place(to), reason: reason, isCertain: json.relayFlag("certain"))
  }
}

extension Page {
  /// Reads what `relay` wrote.
  package init?(relayed json: JSONSlice, _ place: (String) -> Cursor) {
    guard let next = json.relayText("next"), let list = json.member("messages"), list.kind == .array else { return nil }
    var messages: [Message] = []
    for element in list.elements {
      guard let message = Message(relayed: element, place) else { return nil }
      messages.append(message)
    }
    self.init(
      messages: messages, next: place(next), previous: json.relayText("previous").map(place),
      hasMore: json.relayFlag("hasMore"), gap: json.member("gap").flatMap { Gap(relayed: $0, place) })
  }
}
