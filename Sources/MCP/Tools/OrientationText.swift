import ParleyCoordination
import ParleyRuntime

/// An orientation as JSON within so many bytes: each part has its share, and what it leaves goes to the messages. What
/// had no place is said.
package struct OrientationText {
  /// Less than 2,000 tokens of ordinary text.
  package static let defaultBytes = 5_000
  private static let least = 1_000

  private let orientation: Orientation
  private let bytes: Int

  package init(_ orientation: Orientation, bytes: Int) {
    self.orientation = orientation
    self.bytes = max(Self.least, bytes)
  }

  /// Writes the members, without `topic`.
  package func write(into writer: inout JSONWriter) {
    let start = writer.bytes.count
    var cut: [String] = []
    if let mark = orientation.mark { writer.member("mark", mark.text) }
    if let summary = orientation.summary { write(summary, share: bytes * 2 / 5, into: &writer, &cut) }
    list("tasks", orientation.tasks.map(task), share: bytes / 5, into: &writer, &cut)
    list("here", orientation.here.map(participant), share: bytes / 10, into: &writer, &cut)
    // Left for the cursor and for what was cut.
    let left = bytes - (writer.bytes.count - start) - 500
    messages(share: left, into: &writer, &cut)
    writer.member("nextCursor", orientation.next.text)
    if !cut.isEmpty { writer.strings("cut", cut) }
  }

  private func write(_ summary: Summary, share: Int, into writer: inout JSONWriter, _ cut: inout [String]) {
    var room = share - 300
    var text = summary.text
    // Escapes make text longer: shorten until it fits.
    while true {
      var trial = JSONWriter()
      text = summary.text.prefix(bytes: room)
      trial.string(text)
      guard trial.bytes.count > share - 200, room > 100 else { break }
      room = room * 3 / 4
    }
    writer.key("summary")
    writer.beginObject()
    writer.member("scope", summary.scope?.name ?? "all")
    writer.member("by", summary.by.name.prefix(bytes: 128))
    writer.member("timestamp", Timestamp.text(summary.at))
    writer.member("backendMsgId", summary.message.text)
    writer.member("text", text)
    writer.endObject()
    if text.utf8.count < summary.text.utf8.count {
      cut.append("summary: \(text.utf8.count) of \(summary.text.utf8.count) bytes")
    }
  }

  private func list(
    _ name: String, _ entries: [[UInt8]], share: Int, into writer: inout JSONWriter, _ cut: inout [String]
  ) {
    guard !entries.isEmpty else { return }
    var left = share
    var given = 0
    writer.key(name)
    writer.beginArray()
    for entry in entries where left > entry.count {
      writer.raw(trusted: entry)
      left -= entry.count + 1
      given += 1
    }
    writer.endArray()
    if given < entries.count { cut.append("\(name): \(given) of \(entries.count)") }
  }

  private func task(_ task: TaskRecord) -> [UInt8] {
    var writer = JSONWriter(capacity: 256)
    writer.beginObject()
    writer.member("task", task.id.text)
    writer.member("title", task.title)
    writer.member("status", task.status(at: orientation.now).rawValue)
    writer.member("postedBy", task.poster.handle.name)
    if let to = task.to { writer.member("to", to.name) }
    if let claim = task.heldClaim(at: orientation.now) {
      writer.member("holder", claim.holder.handle.name)
      writer.member("fence", claim.fence.text)
      writer.key("leaseUntilMs")
      writer.int(claim.until)
    }
    writer.endObject()
    return writer.bytes
  }

  private func participant(_ participant: Participant) -> [UInt8] {
    var writer = JSONWriter(capacity: 64)
    writer.beginObject()
    writer.member("handle", participant.handle.name)
    writer.member("kind", participant.party.rawValue)
    if let status = participant.status { writer.member("status", status) }
    writer.endObject()
    return writer.bytes
  }

  /// The newest ones have place first; a long one has its beginning.
  private func messages(share: Int, into writer: inout JSONWriter, _ cut: inout [String]) {
    let each = max(160, share / max(1, min(orientation.messages.count, 10)))
    var left = share
    var entries: [[UInt8]] = []
    var shortened = 0
    for message in orientation.messages.reversed() {
      let (entry, isShort) = self.message(message, bytes: min(each, left))
      guard entry.count <= left else { break }
      left -= entry.count + 1
      entries.append(entry)
      if isShort { shortened += 1 }
    }
    writer.key("messages")
    writer.beginArray()
    for entry in entries.reversed() { writer.raw(trusted: entry) }
    writer.endArray()
    let all = orientation.messages.count
    if entries.count < all { cut.append("messages: \(entries.count) of \(all)") }
    if shortened > 0 { cut.append("messages: \(shortened) have only their beginning (cutFrom)") }
  }

  private func message(_ message: Message, bytes: Int) -> (entry: [UInt8], isShort: Bool) {
    var room = message.content.utf8.count
    while true {
      let text = message.content.prefix(bytes: room)
      let isShort = text.utf8.count < message.content.utf8.count
      var writer = JSONWriter(capacity: 256)
      writer.beginObject()
      writer.member("from", message.sender.name)
      if let to = message.to { writer.member("to", to.name) }
      writer.member("timestamp", message.timestamp)
      writer.member("backendMsgId", message.id.text)
      if let id = message.inReplyTo { writer.member("inReplyTo", id.text) }
      if let kind = message.kind { writer.member("kind", kind) }
      writer.member("content", text)
      if isShort {
        writer.key("cutFrom")
        writer.int(message.content.utf8.count)
      }
      writer.endObject()
      if writer.bytes.count <= bytes || room < 16 { return (writer.bytes, isShort) }
      room = min(room, bytes) * 3 / 4
    }
  }
}
