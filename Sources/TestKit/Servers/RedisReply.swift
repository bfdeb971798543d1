import ParleyRuntime

/// A reply of Redis (RESP 2), as an administrator's connection reads it.
public indirect enum RedisReply: Hashable, Sendable {
  /// A simple or a bulk string.
  case text(String)
  /// A whole number.
  case integer(Int)
  /// An absent value.
  case null
  /// A list.
  case list([RedisReply])
  /// An error, with its code in front, for example `NOAUTH Authentication required.`
  case error(String)

  /// The text of a string.
  public var text: String? { if case .text(let text) = self { text } else { nil } }
  /// The value of a number.
  public var integer: Int? { if case .integer(let value) = self { value } else { nil } }
  /// The elements of a list.
  public var list: [RedisReply]? { if case .list(let list) = self { list } else { nil } }

  /// A command as Redis reads it.
  static func command(_ parts: [String]) -> String {
    "*\(parts.count)\r\n" + parts.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
  }

  /// Reads the next reply of a connection.
  init(from client: BlockingClient) throws(SystemError) {
    let line = try client.line()
    let rest = line.dropFirst()
    switch line.first {
    case "+": self = .text(String(rest))
    case "-": self = .error(String(rest))
    case ":": self = .integer(Int(rest) ?? 0)
    case "$":
      guard let count = Int(rest), count >= 0 else {
        self = .null
        return
      }
      self = .text(try client.bytes(count))
      _ = try client.line()
    case "*":
      guard let count = Int(rest), count >= 0 else {
        self = .null
        return
      }
      var list: [RedisReply] = []
      for _ in 0..<count { list.append(try RedisReply(from: client)) }
      self = .list(list)
    default: self = .error("not RESP 2: \(line)")
    }
  }
}
