/// Server-sent events (HTML Living Standard section 9.2) as MCP uses them.
enum EventText {
  static let fields: [(name: String, value: String)] = [
    ("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no"),
  ]
  /// A comment, which clients ignore.
  static let keepAlive = Array(": \n\n".utf8)

  /// One message, which is one line of JSON.
  static func message(_ message: [UInt8], id: String? = nil) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(message.count + 48)
    if let id { text += "id: \(id)\n".utf8 }
    text += "event: message\ndata: ".utf8
    text += message
    text += "\n\n".utf8
    return text
  }

  /// An event without data, from whose id a client may resume (revision 2025-11-25, "priming").
  static func priming(id: String) -> [UInt8] { Array("id: \(id)\ndata: \n\n".utf8) }
}
