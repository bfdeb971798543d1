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
  private var isEmpty = true

  init(_ bytes: Int) { left = max(0, min(bytes, Self.most) - Self.envelope) }

  /// What to write of the next message; nil when it has no place any more.
  mutating func take(_ message: borrowing Message) -> [UInt8]? {
    var writer = JSONWriter(capacity: message.content.utf8.count + 512)
    writer.message(message)
    let isFirst = isEmpty
    if writer.bytes.count >= left {
      guard isFirst else { return nil }
      writer = Self.cut(message, to: max(left, Self.frame + 256) - Self.frame)
    }
    isEmpty = false
    left -= writer.bytes.count + 1
    return writer.bytes
  }

  /// The beginning of a message whose content has at most `bytes` bytes as JSON.
  private static func cut(_ message: borrowing Message, to bytes: Int) -> JSONWriter {
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
