import ParleyRuntime

/// What fills one cell of a terminal, or two: a character that is safe to write, and how many cells it takes.
package struct Glyph: Hashable, Sendable {
  package let text: String
  package let width: Int

  /// A character may combine any number of marks; beyond so many they are dropped.
  private static let scalars = 8

  /// The glyphs of a text in which nothing can move the cursor, hide or reorder (`VisibleText`).
  package static func all(of text: String) -> [Glyph] {
    VisibleText.visible(text.replacing("\t", with: "    "), keepsLines: false).compactMap { Glyph($0) }
  }

  /// Cells that a text takes.
  package static func width(of text: String) -> Int { all(of: text).reduce(0) { $0 + $1.width } }

  /// Nil for what has no shape of its own, such as a joiner with nothing to join.
  private init?(_ character: Character) {
    let scalars = character.unicodeScalars.prefix(Self.scalars)
    guard let first = scalars.first else { return nil }
    if first.isASCII, scalars.count == 1 {
      (text, width) = (String(character), 1)
      return
    }
    switch first.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .spacingMark:
      // A mark without a base would join the cell before it, whoever wrote that.
      text = "\u{25CC}" + Self.string(scalars)
      width = 1
    case .format: return nil
    default:
      text = Self.string(scalars)
      width = scalars.contains(where: Self.isWide) || scalars.contains("\u{FE0F}") ? 2 : 1
    }
  }

  private static func string(_ scalars: String.UnicodeScalarView.SubSequence) -> String {
    var text = ""
    text.unicodeScalars.append(contentsOf: scalars)
    return text
  }

  /// East Asian Wide and Fullwidth (UAX #11), and what is an emoji by itself (UTS #51).
  private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
    guard scalar.value >= 0x1100 else { return false }
    switch scalar.value {
    case 0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97F,
      0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6,
      0x16FE0...0x18DFF, 0x1AFF0...0x1B2FF, 0x1F200...0x1F265, 0x20000...0x3FFFD:
      return true
    default: return scalar.properties.isEmojiPresentation
    }
  }

  /// Whether terminals agree on its width: after any other the cursor is placed anew.
  var isCertain: Bool { width == 1 && text.utf8.count <= 2 && text.unicodeScalars.count == 1 }
}
