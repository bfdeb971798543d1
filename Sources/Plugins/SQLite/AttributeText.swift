/// Attributes as they stand in their column: a flat JSON object of strings, keys in ascending order, so that equal
/// attributes are equal text.
enum AttributeText {
  /// The column's text; nil for no attributes.
  static func encode(_ attributes: [String: String]) -> String? {
    guard !attributes.isEmpty else { return nil }
    var text = "{"
    for (key, value) in attributes.sorted(by: { $0.key < $1.key }) {
      if text.utf8.count > 1 { text += "," }
      append(key, to: &text)
      text += ":"
      append(value, to: &text)
    }
    return text + "}"
  }

  /// The attributes of a column's text; none where it is not a flat object of strings (another program's doing).
  static func decode(_ text: String?) -> [String: String] {
    guard let text, !text.isEmpty else { return [:] }
    var scanner = Scanner(bytes: Array(text.utf8))
    return scanner.object() ?? [:]
  }

  private static func append(_ string: String, to text: inout String) {
    text += "\""
    defer { text += "\"" }
    guard !string.utf8.allSatisfy(isPlain) else { return text += string }
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{0}"..."\u{1f}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
  }

  /// Whether a byte stands for itself in a string.
  private static func isPlain(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
  }

  /// A JSON reader (RFC 8259) for this one shape.
  private struct Scanner {
    let bytes: [UInt8]
    var index = 0

    mutating func object() -> [String: String]? {
      var result: [String: String] = [:]
      guard take("{") else { return nil }
      if take("}") { return atEnd ? result : nil }
      repeat {
        guard let key = string(), take(":"), let value = string() else { return nil }
        result[key] = value
      } while take(",")
      return take("}") && atEnd ? result : nil
    }

    private var atEnd: Bool {
      mutating get {
        skipSpace()
        return index == bytes.count
      }
    }

    private mutating func skipSpace() {
      while index < bytes.count, bytes[index] <= 0x20, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[index]) { index += 1 }
    }

    private mutating func take(_ mark: Unicode.Scalar) -> Bool {
      skipSpace()
      guard index < bytes.count, bytes[index] == UInt8(ascii: mark) else { return false }
      index += 1
      return true
    }

    private mutating func string() -> String? {
      guard take("\"") else { return nil }
      let start = index
      while index < bytes.count, AttributeText.isPlain(bytes[index]) { index += 1 }
      var units = bytes[start..<index]
      while index < bytes.count {
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "\""): return String(decoding: units, as: UTF8.self)
        case 0..<0x20: return nil
        case UInt8(ascii: "\\"):
          guard let scalar = escape() else { return nil }
          units.append(contentsOf: String(Character(scalar)).utf8)
        default: units.append(byte)
        }
      }
      return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
      guard index < bytes.count else { return nil }
      let byte = bytes[index]
      index += 1
      switch Unicode.Scalar(byte) {
      case "\"", "\\", "/": return Unicode.Scalar(byte)
      case "b": return "\u{8}"
      case "f": return "\u{c}"
      case "n": return "\n"
      case "r": return "\r"
      case "t": return "\t"
      case "u":
        guard let high = unit() else { return nil }
        guard (0xD800..<0xDC00).contains(high) else { return Unicode.Scalar(high) }
        guard index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u")
        else { return nil }
        index += 2
        guard let low = unit(), (0xDC00..<0xE000).contains(low) else { return nil }
        return Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
      default: return nil
      }
    }

    private mutating func unit() -> UInt32? {
      guard index + 4 <= bytes.count else { return nil }
      defer { index += 4 }
      var value: UInt32 = 0
      for byte in bytes[index..<index + 4] {
        guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
        value = value << 4 | UInt32(digit)
      }
      return value
    }
  }
}
