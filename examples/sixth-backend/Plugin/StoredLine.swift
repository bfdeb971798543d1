import ParleyRuntime

/// The lines of a topic's file: JSON objects, the first of them a header.
enum StoredLine {
  /// The first line: which log this is, and the number of the message in the second line.
  struct Header: Hashable, Sendable {
    var topic: String
    var generation: String
    var first: Int

    init(topic: Topic, generation: String, first: Int) {
      self.topic = topic.name
      self.generation = generation
      self.first = first
    }

    init?(_ line: [UInt8]) {
      guard let object = try? JSONSlice(line), let topic = object.member("topic")?.string,
        let generation = object.member("log")?.string, LogPlace.isGeneration(generation),
        let first = object.member("first")?.int.flatMap(Int.init(exactly:)), first >= 1
      else { return nil }
      self.topic = topic
      self.generation = generation
      self.first = first
    }

    var bytes: [UInt8] {
      var writer = JSONWriter()
      writer.beginObject()
      writer.member("topic", topic)
      writer.member("log", generation)
      writer.key("first")
      writer.int(first)
      writer.endObject()
      writer.endLine()
      return writer.bytes
    }
  }

  /// A draft as it is appended.
  static func bytes(_ draft: Draft, storedAt: Int64) -> [UInt8] {
    var writer = JSONWriter(capacity: draft.content.utf8.count + 256)
    writer.beginObject()
    writer.key("at")
    writer.int(storedAt)
    writer.member("by", draft.author.handle.name)
    writer.member("instance", draft.author.instance)
    writer.member("key", scopedKey(draft))
    writer.member("text", draft.content)
    if let answered = draft.inReplyTo { writer.member("re", answered.text) }
    if let to = draft.to { writer.member("to", to.name) }
    if !draft.attributes.isEmpty {
      writer.key("attributes")
      writer.attributes(draft.attributes)
    }
    writer.endObject()
    writer.endLine()
    return writer.bytes
  }

  /// A key with the author whose key it is.
  static func scopedKey(_ draft: Draft) -> String { draft.author.keyScope + "\u{1f}" + draft.key.text }

  /// What the index needs of a line; nil where another program wrote something else.
  static func facts(_ line: [UInt8]) -> (storedAt: Int64, key: [UInt8])? {
    guard let object = try? JSONSlice(line), let storedAt = object.member("at")?.int,
      let key = object.member("key")?.string
    else { return nil }
    return (storedAt, Array(key.utf8))
  }

  /// The message of a line.
  static func message(_ line: [UInt8], on topic: Topic, at place: LogPlace) -> Message? {
    guard let object = try? JSONSlice(line), let storedAt = object.member("at")?.int,
      let sender = object.member("by")?.string, let content = object.member("text")?.string
    else { return nil }
    return Message(
      topic: topic, sender: Handle(sender), instance: object.member("instance")?.string, content: content,
      timestamp: Timestamp.text(storedAt), storedAt: storedAt, id: place.id, cursor: place.cursor,
      inReplyTo: object.member("re")?.string.map(MessageID.init), to: object.member("to")?.string.map(Handle.init),
      attributes: object.member("attributes")?.attributes ?? [:])
  }
}

extension JSONWriter {
  fileprivate mutating func member(_ name: String, _ value: String) {
    key(name)
    string(value)
  }
}
