/// Makes text from others safe to show: what would move a cursor, hide or reorder text is shown by its code point.
public enum VisibleText {
  /// The text with control characters (but line feed and tab where `keepsLines`), bidirectional controls and
  /// invisible format characters replaced by `⟦U+XXXX⟧`.
  public static func visible(_ text: String, keepsLines: Bool = true) -> String {
    guard text.unicodeScalars.contains(where: { isHidden($0, keepsLines: keepsLines) }) else { return text }
    var result = ""
    result.reserveCapacity(text.utf8.count + 32)
    for scalar in text.unicodeScalars {
      if isHidden(scalar, keepsLines: keepsLines) {
        let hex = String(scalar.value, radix: 16, uppercase: true)
        result += "⟦U+" + String(repeating: "0", count: max(0, 4 - hex.count)) + hex + "⟧"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Controls (Cc), line and paragraph separators, and the format characters that reorder or hide text (the Trojan
  /// Source set, zero-width characters, tags). The zero-width joiner and
  /// variation selector 16 stay: emoji need them.
  static func isHidden(_ scalar: Unicode.Scalar, keepsLines: Bool) -> Bool {
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
