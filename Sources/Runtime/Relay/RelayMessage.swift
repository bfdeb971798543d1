extension JSONWriter {
  /// Writes a message with everything that the seam knows of it.
  package mutating func relay(_ message: Message) {
    beginObject()
    member("topic", message.topic.name)
    member("sender", message.sender.name)
    member("account", message.account)
    member("provenance", message.provenance.rawValue)
    member("instance", message.instance)
    member("content", message.content)
    member("timestamp", message.timestamp)
    member("storedAt", message.storedAt)
    member("id", message.id.text)
    member("cursor", message.cursor.text)
    member("inReplyTo", message.inReplyTo?.text)
    member("to", message.to?.name)
    relay("attributes", message.attributes)
    member("late", message.isLate)
    endObject()
  }

  /// Writes a gap.
  package mutating func relay(_ gap: Gap) {
    beginObject()
    member("topic", gap.topic.name)
    member("from", gap.from.text)
    member("to", gap.to.text)
    member("reason", gap.reason)
    member("certain", gap.isCertain)
    endObject()
  }

  /// Writes a page, or what one topic brought while somebody waited.
  package mutating func relay(
    topic: Topic, messages: [Message], next: Cursor, previous: Cursor? = nil, hasMore: Bool, gap: Gap?
  ) {
    beginObject()
    member("topic", topic.name)
    key("messages")
    beginArray()
    for message in messages { relay(message) }
    endArray()
    member("next", next.text)
    member("previous", previous?.text)
    member("hasMore", hasMore)
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
    guard let topic = json.member("topic")?.string, let sender = json.member("sender")?.string,
      let content = json.member("content")?.string,
      let provenance = json.member("provenance")?.string.flatMap(Provenance.init),
      let timestamp = json.member("timestamp")?.string,
      let storedAt = json.member("storedAt")?.int, let id = json.member("id")?.string,
      let cursor = json.member("cursor")?.string,
      let attributes = json.relayAttributes("attributes")
    else { return nil }
    self.init(
      topic: Topic(topic), sender: Handle(sender), account: json.member("account")?.string, provenance: provenance,
      instance: json.member("instance")?.string, content: content, timestamp: timestamp, storedAt: storedAt,
      id: MessageID(id),
      cursor: place(cursor), inReplyTo: json.member("inReplyTo")?.string.map(MessageID.init),
      to: json.member("to")?.string.map(Handle.init), attributes: attributes, isLate: json.member("late")?.bool == true)
  }
}

extension Gap {
  /// Reads what `relay` wrote.
  package init?(relayed json: JSONSlice, _ place: (String) -> Cursor) {
    guard let topic = json.member("topic")?.string, let from = json.member("from")?.string,
      let to = json.member("to")?.string,
      let reason = json.member("reason")?.string
    else { return nil }
    self.init(
      topic: Topic(topic), from: place(from), to: place(to), reason: reason,
      isCertain: json.member("certain")?.bool == true)
  }
}

extension Page {
  /// Reads what `relay` wrote.
  package init?(relayed json: JSONSlice, _ place: (String) -> Cursor) {
    guard let next = json.member("next")?.string, let list = json.member("messages"), list.kind == .array else {
      return nil
    }
    var messages: [Message] = []
    for element in list.elements {
      guard let message = Message(relayed: element, place) else { return nil }
      messages.append(message)
    }
    self.init(
      messages: messages, next: place(next), previous: json.member("previous")?.string.map(place),
      hasMore: json.member("hasMore")?.bool == true, gap: json.member("gap").flatMap { Gap(relayed: $0, place) })
  }
}
