import ParleyRuntime

/// Fits messages into the bytes that one result may have: whole messages while they fit, and of a first one that is
/// too large by itself, the beginning.
struct ResultBudget {
  /// What `max_bytes` may ask for at most: any one message fits, however much of it JSON must escape.
  static let most = 4 << 20
  /// Left for what surrounds the messages.
  private static let envelope = 2_000
  /// Left for everything but the content of a message that is cut.
  private static let frame = 8_000

  private var left: Int
  /// What was taken, as elements of an array.
  private var text: JSONWriter
  /// Where each that was taken stands.
  private var pieces: [Range<Int>] = []

  /// So many bytes, for about so many messages.
  init(_ bytes: Int, messages: Int = 1) {
    left = max(0, min(bytes, Self.most) - Self.envelope)
    text = JSONWriter(capacity: min(left, messages * 512))
  }

  /// How many messages were taken.
  var count: Int { pieces.count }
  /// How long they are, written.
  var size: Int { pieces.last?.upperBound ?? 0 }

  /// Takes the next message; false when it has no place any more.
  mutating func take(_ message: Message) -> Bool {
    // After the comma that the writer puts between two.
    let start = pieces.isEmpty ? 0 : size + 1
    text.message(message)
    if text.bytes.count - start >= left {
      guard pieces.isEmpty else {
        text.removeAll(after: size)
        return false
      }
      text = Self.cut(message, to: max(left, Self.frame + 256) - Self.frame)
    }
    pieces.append(start..<text.bytes.count)
    left -= text.bytes.count - start + 1
    return true
  }

  /// Writes what was taken as elements of an array, the last one first where it is `reversed`.
  func write(into writer: inout JSONWriter, reversed: Bool = false) {
    guard !pieces.isEmpty else { return }
    guard reversed else { return writer.raw(trusted: text.bytes, in: 0..<size) }
    for piece in pieces.reversed() { writer.raw(trusted: text.bytes, in: piece) }
  }

  /// The beginning of a message whose content has at most `bytes` bytes as JSON.
  private static func cut(_ message: Message, to bytes: Int) -> JSONWriter {
    // Escapes make content up to six times longer: shorten until it fits.
    var given = bytes
    while true {
      var writer = JSONWriter(capacity: bytes + frame)
      writer.message(message, contentBytes: given < message.content.utf8.count ? given : nil)
      if writer.bytes.count <= bytes + frame || given < 16 { return writer }
      given = given * 3 / 4
    }
  }
}
