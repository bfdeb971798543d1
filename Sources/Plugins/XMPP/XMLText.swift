/// What XML 1.0 can carry, and how it is written.
enum XMLText {
  /// Writes text between tags so that any parser gives it back: what XML takes for marks, and what a parser would
  /// normalise. Quotes are no marks there (XML 1.0, section 2.4), and each that is escaped is a piece of its own to the
  /// server's parser.
  static func escape(_ text: String, into output: inout [UInt8]) {
    for byte in text.utf8 { escape(byte, into: &output) }
  }

  /// Writes an attribute's value, which stands in quotes of either kind.
  static func escapeAttribute(_ value: String, into output: inout [UInt8]) {
    for byte in value.utf8 {
      switch byte {
      case UInt8(ascii: "\""): output.append(contentsOf: "&quot;".utf8)
      case UInt8(ascii: "'"): output.append(contentsOf: "&apos;".utf8)
      default: escape(byte, into: &output)
      }
    }
  }

  private static func escape(_ byte: UInt8, into output: inout [UInt8]) {
    switch byte {
    case UInt8(ascii: "<"): output.append(contentsOf: "&lt;".utf8)
    case UInt8(ascii: ">"): output.append(contentsOf: "&gt;".utf8)
    case UInt8(ascii: "&"): output.append(contentsOf: "&amp;".utf8)
    case 0x0d: output.append(contentsOf: "&#13;".utf8)
    default: output.append(byte)
    }
  }

  /// Whether a server will hand the text on exactly: every character is one of XML's, and none is a carriage return,
  /// which servers write again unescaped and parsers then read as a line feed (XML 1.0, section 2.11).
  static func isFaithful(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { isCarried($0) && $0 != "\r" }
  }

  /// The text with every character that XML cannot carry replaced by U+FFFD, for people.
  static func readable(_ text: String) -> String {
    var output = String.UnicodeScalarView()
    var wasReturn = false
    for scalar in text.unicodeScalars {
      if scalar == "\r" {
        output.append("\n")
      } else if !(scalar == "\n" && wasReturn) {
        output.append(isCarried(scalar) ? scalar : "\u{fffd}")
      }
      wasReturn = scalar == "\r"
    }
    return String(output)
  }

  /// XML 1.0, section 2.2: Char.
  private static func isCarried(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x9, 0xa, 0xd, 0x20...0xd7ff, 0xe000...0xfffd, 0x1_0000...0x10_ffff: true
    default: false
    }
  }
}
