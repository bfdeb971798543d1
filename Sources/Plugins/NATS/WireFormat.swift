import ParleyRuntime

/// Drafts and messages as bytes: the TypeScript Parley's JSON payload, and ours beside it in headers.
enum WireFormat {
  /// The payload: `{"sender":…,"content":…,"ts":…,"in_reply_to":…}`.
  static func payload(_ draft: Draft, timestamp: String) -> [UInt8] {
    var writer = JSONWriter(capacity: draft.content.utf8.count + 160)
    writer.beginObject()
    writer.field("sender", draft.author.handle.name)
    writer.field("content", draft.content)
    writer.field("ts", timestamp)
    writer.field("in_reply_to", draft.inReplyTo?.text ?? "")
    writer.endObject()
    return writer.bytes
  }

  /// What all posts of one author have in their headers.
  struct AuthorHeaders: Sendable {
    let author: Author
    /// What the author's keys begin with.
    let scope: String
    let instance: String

    init(_ author: Author) {
      self.author = author
      scope = percentEncoded(author.handle.name) + "/" + percentEncoded(author.stableInstance) + "/"
      instance = value(author.instance)
    }
  }

  /// The headers of a draft of this author. The key as `Nats-Msg-Id` is `handle/instance_id/key`, what is not plain
  /// percent-encoded; the stream is the topic.
  static func headers(_ draft: Draft, _ author: AuthorHeaders) -> WireHeaders {
    WireHeaders(
      key: author.scope + percentEncoded(draft.key.text), instance: author.instance,
      to: draft.to.map { value($0.name) }, attributes: draft.attributes.isEmpty ? nil : draft.attributes.json)
  }

  /// The message as Parley reads it. What is no payload of ours is shown as its text, from nobody.
  static func message(_ stored: StoredMessage, _ topic: Topic, generation: String) -> Message {
    var (sender, content, timestamp, inReplyTo) = ("", "", "", "")
    if let payload = try? JSONSlice(stored.data), payload.kind == .object {
      let members = payload.members(["sender", "content", "ts", "in_reply_to"])
      sender = members[0]?.string ?? ""
      content = members[1]?.string ?? ""
      timestamp = members[2]?.string ?? ""
      inReplyTo = members[3]?.string ?? ""
    } else {
      content = String(decoding: stored.data, as: UTF8.self)
    }
    let number = String(decimal: Int64(clamping: stored.sequence))
    return Message(
      topic: topic, sender: Handle(sender), instance: stored.headers.instance.map(text), content: content,
      timestamp: timestamp.isEmpty ? Timestamp.text(stored.storedAt) : timestamp, storedAt: stored.storedAt,
      id: MessageID(number), cursor: LogPlace.cursor(generation, number: number),
      inReplyTo: inReplyTo.isEmpty ? nil : MessageID(inReplyTo), to: stored.headers.to.map { Handle(text($0)) },
      attributes: stored.headers.attributes.map { Attributes(json: $0) } ?? [:])
  }

  // MARK: Header values: one line, no white space at either end

  /// As it is where that is printable ASCII, else as a JSON string.
  private static func value(_ text: String) -> String {
    let bytes = text.utf8
    let isPlain =
      bytes.allSatisfy { (0x20...0x7e).contains($0) } && !bytes.isEmpty && bytes.first != UInt8(ascii: "\"")
      && bytes.first != 0x20 && bytes.last != 0x20
    if isPlain { return text }
    var writer = JSONWriter(capacity: bytes.count + 16)
    writer.string(text)
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  private static func text(_ value: String) -> String {
    guard value.utf8.first == UInt8(ascii: "\""), let slice = try? JSONSlice(value) else { return value }
    return slice.string ?? value
  }

  private static func percentEncoded(_ text: String) -> String {
    if isPlain(text) { return text }
    var encoded = ""
    for byte in text.utf8 {
      if isPlain(byte) {
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        encoded += byte < 16 ? "%0" : "%"
        encoded += String(byte, radix: 16)
      }
    }
    return encoded
  }

  private static func isPlain(_ text: String) -> Bool {
    let bytes = text.utf8Span.span
    for index in bytes.indices where !isPlain(bytes[index]) { return false }
    return true
  }

  /// Letters, digits, and `-`, `.`, `:`, `@`, `_`, `~`.
  private static func isPlain(_ byte: UInt8) -> Bool {
    // A bit for each byte: from 0 to 63, and from 64 to 127.
    let marks: (UInt64, UInt64) = (0x07ff_6000_0000_0000, 0x47ff_fffe_87ff_ffff)
    return byte < 64 ? marks.0 >> UInt64(byte) & 1 == 1 : byte < 128 && marks.1 >> UInt64(byte - 64) & 1 == 1
  }
}
