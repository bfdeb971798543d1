/// The bytes that turn what a terminal shows into something else, and no more than that.
package enum ScreenDiff {
  /// From `old` to `new`; all of `new` where `old` is nil or has another size.
  package static func bytes(from old: Screen?, to new: Screen, withColours: Bool) -> [UInt8] {
    var old = old
    if old?.rows != new.rows || old?.columns != new.columns { old = nil }
    if let old, old == new { return [] }
    var out = Writer(withColours: withColours)
    if old == nil { out.text += "\u{1B}[0m\u{1B}[2J" }
    let empty = Array(repeating: Screen.blank, count: new.columns)
    for row in 0..<new.rows {
      out.row(row, from: old?.cells[row] ?? empty, to: new.cells[row])
    }
    return Array(out.finish(new.cursor).utf8)
  }

  private struct Writer {
    let withColours: Bool
    var text = "\u{1B}[?25l"
    var style: Style?
    /// Where the next character would be written; nil where terminals may differ.
    var at: Screen.Place?

    init(withColours: Bool) { self.withColours = withColours }

    mutating func row(_ row: Int, from old: [Screen.Cell], to new: [Screen.Cell]) {
      var column = 0
      while column < new.count {
        defer { column += 1 }
        guard let glyph = new[column].glyph else { continue }
        let halves = glyph.width == 2 && column + 1 < new.count && old[column + 1] != new[column + 1]
        guard new[column] != old[column] || halves else { continue }
        if at != Screen.Place(row: row, column: column) { text += "\u{1B}[\(row + 1);\(column + 1)H" }
        if style != new[column].style {
          text += new[column].style.sequence(withColours: withColours)
          style = new[column].style
        }
        text += glyph.text
        at = glyph.isCertain ? Screen.Place(row: row, column: column + 1) : nil
      }
      // In the last column terminals differ in where the cursor waits.
      if at?.column == new.count { at = nil }
    }

    mutating func finish(_ cursor: Screen.Place?) -> String {
      text += "\u{1B}[0m"
      if let cursor { text += "\u{1B}[\(cursor.row + 1);\(cursor.column + 1)H\u{1B}[?25h" }
      return text
    }
  }
}
