import ParleyRuntime

/// What a channel notification says: a text, and attributes whose names are letters, digits and underscores.
struct ChannelEvent {
  var content: String
  var meta: [(name: String, value: String)]

  /// The kinds that Parley itself speaks in; a message that claims one is shown without it.
  static let ownKinds: Set<String> = ["gap", "backlog", "message"]

  /// Whether a message's kind can be shown: a plain word, and none that could be taken for one of Parley's own.
  private static func isForeign(_ kind: String) -> Bool {
    let isPlain = kind.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || "._-".utf8.contains(byte)
    }
    return isPlain && !kind.isEmpty && !ownKinds.contains(kind)
  }

  init(content: String, meta: [(name: String, value: String)]) {
    self.content = content
    self.meta = meta
  }

  /// A message: its text, bounded, and where it comes from.
  init(_ message: Message) {
    content = Self.bounded(message)
    meta = []
    meta.reserveCapacity(9)
    meta.append(("topic", TopicSpelling.spelling(of: message.topic)))
    meta.append(("sender", message.sender.name))
    meta.append(("cursor", message.cursor.text))
    meta.append(("msg_id", message.id.text))
    let mentions = message.mentions
    if !mentions.isEmpty { meta.append(("mentions", mentions.map(\.name).joined(separator: ","))) }
    if let id = message.inReplyTo { meta.append(("in_reply_to", id.text)) }
    if let to = message.to { meta.append(("to", to.name)) }
    if let kind = message.kind, Self.isForeign(kind) { meta.append(("kind", kind)) }
    if MachineEvent.isOne(message.kind) {
      for name in ["source", "severity"] {
        if let value = message.attributes[name] { meta.append((name, value)) }
      }
    }
    if let trace = TraceContext(message.attributes) {
      meta.append((TraceContext.parentName, trace.parent))
      if let state = trace.state { meta.append((TraceContext.stateName, state)) }
    }
    meta.append(("provenance", message.provenance.rawValue))
  }

  /// Messages that will not come. Without sender and id, as no message is.
  init(_ gap: Gap) {
    let topic = TopicSpelling.spelling(of: gap.topic)
    content =
      (gap.isCertain
        ? "Messages of topic \(topic) are lost: " : "Messages of topic \(topic) may be lost: ")
      + ChannelText.content(gap.reason)
    meta = [
      ("topic", topic), ("cursor", gap.to.text), ("kind", "gap"), ("from", gap.from.text),
      ("to", gap.to.text), ("certain", gap.isCertain ? "true" : "false"),
    ]
  }

  /// Messages that were counted instead of pushed, and why.
  init(backlog: [Topic: Unread], because reason: String) {
    let counts = backlog.sorted { $0.key < $1.key }
    let total = counts.reduce(0) { $0 + $1.value.count }
    let isCapped = counts.contains { $0.value.isCapped }
    let listed = counts.prefix(20).map { "\(TopicSpelling.spelling(of: $0.key)) \(Self.text(of: $0.value))" }
    let rest = counts.count > listed.count ? " and \(counts.count - listed.count) more topics" : ""
    content =
      "\(total)\(isCapped ? "+" : "") more \(reason): \(listed.joined(separator: ", "))\(rest). "
      + "Fetch with parley_fetch_recent."
    meta = [("kind", "backlog")]
    if let only = counts.first, counts.count == 1 {
      meta.insert(("topic", TopicSpelling.spelling(of: only.key)), at: 0)
    }
  }

  /// The whole notification, on one line.
  var line: [UInt8] {
    var line = JSONWriter(capacity: content.utf8.count + 512)
    line.notification("notifications/claude/channel") { line in
      line.member(trusted: "content", content)
      line.key(trusted: "meta")
      line.beginObject()
      // A topic's spelling is an attribute's already, and is whole however long it is.
      for (name, value) in meta { line.member(name, name == "topic" ? value : ChannelText.attribute(value)) }
      line.endObject()
    }
    return line.bytes
  }

  private static func text(of unread: Unread) -> String { "\(unread.count)\(unread.isCapped ? "+" : "")" }

  private static func bounded(_ message: Message) -> String {
    bounded(
      message.content,
      else: "fetch message \(ChannelText.attribute(message.id.text)) of topic "
        + "\(TopicSpelling.spelling(of: message.topic)) with parley_fetch_recent")
  }

  /// Cut before it is made safe, so that a huge message costs no more than a small one; `rest` says where the rest is.
  static func bounded(_ text: String, else rest: @autoclosure () -> String) -> String {
    let limit = ChannelText.contentLimit
    let raw = ChannelText.cut(text, to: limit)
    let safe = ChannelText.content(raw ?? text)
    let cut = ChannelText.cut(safe, to: limit)
    guard raw != nil || cut != nil else { return safe }
    return (cut ?? safe) + "\n… cut, \(text.utf8.count) bytes in all: \(rest())"
  }
}
