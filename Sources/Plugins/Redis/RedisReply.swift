/// A part of a reply, lent or kept.
protocol ReplyNode {
  /// How many elements an array has; none for anything else.
  var count: Int { get }
  /// An array's element; for one of the first.
  func node(_ index: Int) -> Self?
  /// Calls `body` with each element of an array.
  func forEach(_ body: (Self) -> Void)
  /// The text of a string or status.
  var text: String? { get }
  /// The entry's id that a string or status is.
  var streamID: StreamID? { get }
  /// Whether it is a string or status with this text, which is not empty.
  func reads(_ text: StaticString) -> Bool
}

/// One reply of the server, RESP2.
enum RedisReply: Hashable, Sendable, ReplyNode {
  /// A bulk string; bytes that are not UTF-8 are repaired.
  case string(String)
  /// A simple string, for example `OK`.
  case status(String)
  case integer(Int)
  case array([RedisReply])
  case null
  /// An error of the server, for example `NOPERM this user has no permissions …`.
  case error(String)

  /// The text of a string or status.
  var text: String? {
    switch self {
    case .string(let text), .status(let text): text
    default: nil
    }
  }

  /// The number of an integer, or of a string that is one.
  var number: Int? {
    switch self {
    case .integer(let number): number
    case .string(let text), .status(let text): Int(text)
    default: nil
    }
  }

  /// The elements of an array; none for anything else (RESP2 tells an absent array as null).
  var elements: [RedisReply] {
    if case .array(let elements) = self { elements } else { [] }
  }

  /// A flat array of names and values, as XINFO and HELLO answer.
  subscript(name: String) -> RedisReply? {
    let elements = elements
    var index = 0
    while index + 1 < elements.count {
      if elements[index].text == name { return elements[index + 1] }
      index += 2
    }
    return nil
  }

  var count: Int { elements.count }

  func node(_ index: Int) -> RedisReply? { elements.indices.contains(index) ? elements[index] : nil }

  func forEach(_ body: (RedisReply) -> Void) { for element in elements { body(element) } }

  var streamID: StreamID? { text.flatMap { StreamID($0) } }

  func reads(_ text: StaticString) -> Bool { self.text == text.description }
}
