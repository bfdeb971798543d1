/// Makes text from others safe to show: what would move a cursor, hide or reorder text is shown by its code point.
public enum VisibleText {
  /// The text with control characters (but line feed and tab where `keepsLines`), bidirectional controls and
  /// invisible format characters replaced by `⟦U+XXXX⟧`.
  public static func visible(_ text: String, keepsLines: Bool = true) -> String {
    guard !isPlain(text, keepsLines: keepsLines),
      text.unicodeScalars.contains(where: { isHidden($0, keepsLines: keepsLines) })
    else { return text }
    var result = ""
    result.reserveCapacity(text.utf8.count + 32)
    for scalar in text.unicodeScalars {
      if isHidden(scalar, keepsLines: keepsLines) {
        result += codePoint(scalar)
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// `⟦U+XXXX⟧`, with four to six digits.
  package static func codePoint(_ scalar: Unicode.Scalar) -> String {
    let hex = String(scalar.value, radix: 16, uppercase: true)
    return "⟦U+" + String(repeating: "0", count: max(0, 4 - hex.count)) + hex + "⟧"
  }

  /// Whether it is ASCII without controls, as most text is; told by words of eight bytes.
  private static func isPlain(_ text: String, keepsLines: Bool) -> Bool {
    let bytes = text.utf8Span.span
    var position = 0
    while position < bytes.count {
      if position <= bytes.count - 8 {
        let word = JSONWord(bytes, at: position)
        let marks = word.controlMask | word.highMask | word.mask(equal: 0x7F)
        position += marks == 0 ? 8 : JSONWord.firstMark(marks)
        if marks == 0 { continue }
      }
      switch bytes[position] {
      case 0x20..<0x7F: break
      case 0x09, 0x0A: if !keepsLines { return false }
      default: return false
      }
      position += 1
    }
    return true
  }

  /// Controls (Cc), line and paragraph separators, and the format characters that reorder or hide text (the Trojan
  /// Source set, zero-width characters, tags). The zero-width joiner and
  /// variation selector 16 stay: emoji need them.
  package static func isHidden(_ scalar: Unicode.Scalar, keepsLines: Bool) -> Bool {
    switch scalar.value {
    case 0x09, 0x0A: !keepsLines
    case 0x20...0x7E: false
    case 0x00...0x1F, 0x7F...0x9F: true
    case 0xAD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B...0x180F, 0x3164, 0xFE00...0xFE0E, 0xFFA0: true
    case 0x061C, 0x200B, 0x200C, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB,
      0xE0000...0xE0FFF:
      true
    default: false
    }
  }
}
