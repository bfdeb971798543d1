import ParleyRuntime

/// Homeservers pass on content of any depth; our parser bounds it. Without this, one event of hundreds of levels, which any
/// member may send, would make a whole answer unreadable, and its room for ever.
enum DeepContent {
  /// Parses an answer; what lies deeper in it than the parser goes is `null`.
  static func parse(_ text: [UInt8]) throws(JSONError) -> JSONSlice {
    do throws(JSONError) { return try JSONSlice(text) } catch {
      guard error.code == .depthExceeded else { throw error }
      return try JSONSlice(cut(text, beyond: JSONSlice.deepest))
    }
  }

  /// The text with every array and object beyond `depth` levels as `null`. What is no JSON stays none.
  static func cut(_ text: [UInt8], beyond depth: Int) -> [UInt8] {
    var kept: [UInt8] = []
    kept.reserveCapacity(text.count)
    var level = 0
    var isInString = false
    var isEscaped = false
    for byte in text {
      if isInString {
        if level <= depth { kept.append(byte) }
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isInString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        level += 1
        if level <= depth { kept.append(byte) } else if level == depth + 1 { kept += Array("null".utf8) }
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if level <= depth { kept.append(byte) }
        level -= 1
      default:
        isInString = byte == UInt8(ascii: "\"")
        if level <= depth { kept.append(byte) }
      }
    }
    return kept
  }
}
