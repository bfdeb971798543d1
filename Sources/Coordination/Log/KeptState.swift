import ParleyRuntime

/// A state as a run left it for the next one, with the place in the log up to which it goes.
///
/// The log is not trusted to be the same: reading from `anchor` must bring `last` again.
struct KeptState: Sendable {
  /// What the state is of, and in which shape it is written; one of another shape counts as none.
  var name: String
  /// The place just before `last`.
  var anchor: Cursor
  /// The last message that is in the state.
  var last: Message
  /// What the fold wrote: one JSON object.
  var state: [UInt8]

  /// Whether the log still has, at its place, the message that the state ends with.
  func continues(with message: Message?) -> Bool {
    guard let message else { return false }
    return message.id == last.id && message.cursor == last.cursor && message.sender == last.sender
      && message.content == last.content && message.attributes == last.attributes
      && message.timestamp == last.timestamp
  }

  // MARK: As bytes

  private static let mark = "parley-state 1 "
  private static let newline = UInt8(ascii: "\n")

  init(name: String, anchor: Cursor, last: Message, state: [UInt8]) {
    self.name = name
    self.anchor = anchor
    self.last = last
    self.state = state
  }

  /// The checksum of what follows, then a line each for its name and place, for the last message and for the state.
  var bytes: [UInt8] {
    var head = JSONWriter(capacity: 1024)
    head.beginObject()
    head.member("version", ParleyVersion.text)
    head.member("name", name)
    head.member("anchor", anchor.text)
    head.endObject()
    var message = JSONWriter(capacity: 1024)
    message.relay(last)
    let body = head.bytes + [Self.newline] + message.bytes + [Self.newline] + state
    return Array((Self.mark + Self.sum(body[...]) + "\n").utf8) + body
  }

  /// Reads what `bytes` gave; nil for anything else, and for what another version wrote.
  init?(_ bytes: [UInt8]) {
    let lines = bytes.split(separator: Self.newline, maxSplits: 3, omittingEmptySubsequences: false)
    guard lines.count == 4, Array(lines[0]) == Array((Self.mark + Self.sum(bytes[lines[1].startIndex...])).utf8)
    else { return nil }
    do throws(JSONError) {
      let head = try JSONSlice(Array(lines[1]))
      guard head.member("version")?.string == ParleyVersion.text, let name = head.member("name")?.string,
        let anchor = head.member("anchor")?.string,
        let last = Message(relayed: try JSONSlice(Array(lines[2])), { Cursor($0) })
      else { return nil }
      self.init(name: name, anchor: Cursor(anchor), last: last, state: Array(lines[3]))
    } catch {
      return nil
    }
  }

  /// FNV-1a of 64 bits: it tells damage from what was written, not a forger from its owner.
  private static func sum(_ bytes: ArraySlice<UInt8>) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return String(hash, radix: 16)
  }
}
