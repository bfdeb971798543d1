/// One reply of the server, RESP2.
enum RedisReply: Hashable, Sendable {
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
}
