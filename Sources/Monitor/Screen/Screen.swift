/// What a terminal shows: rows of cells, and where the cursor stands.
package struct Screen: Hashable, Sendable {
  package struct Cell: Hashable, Sendable {
    /// Nil for the right half of the glyph before it.
    var glyph: Glyph?
    var style: Style
  }

  package struct Place: Hashable, Sendable {
    package var row: Int
    package var column: Int

    package init(row: Int, column: Int) {
      self.row = row
      self.column = column
    }
  }

  package let rows: Int
  package let columns: Int
  package private(set) var cells: [[Cell]]
  /// Where the cursor is shown; nil where it is hidden.
  package var cursor: Place?

  static let blank = Cell(glyph: Glyph.all(of: " ")[0], style: .plain)

  /// An empty screen of at least one cell.
  package init(rows: Int, columns: Int) {
    self.rows = max(1, rows)
    self.columns = max(1, columns)
    cells = Array(repeating: Array(repeating: Self.blank, count: self.columns), count: self.rows)
  }

  /// Writes a line from a place on, at most `width` cells; what does not fit ends in `…`. Outside the screen, nothing.
  package mutating func put(_ line: StyledLine, row: Int, column: Int, width: Int) {
    guard cells.indices.contains(row), column >= 0, column < columns else { return }
    let glyphs = line.pieces.flatMap { piece in Glyph.all(of: piece.text).map { (glyph: $0, style: piece.style) } }
    let room = min(width, columns - column)
    let isCut = glyphs.reduce(0) { $0 + $1.glyph.width } > room
    var at = column
    for (glyph, style) in glyphs {
      if isCut, at + glyph.width > column + room - 1 {
        if let dots = Glyph.all(of: "…").first, room > 0 { cells[row][at] = Cell(glyph: dots, style: style) }
        return
      }
      cells[row][at] = Cell(glyph: glyph, style: style)
      if glyph.width == 2 { cells[row][at + 1] = Cell(glyph: nil, style: style) }
      at += glyph.width
    }
  }

  /// Gives a whole row the style of a bar.
  package mutating func bar(row: Int, _ line: StyledLine) {
    guard cells.indices.contains(row) else { return }
    put(
      StyledLine(String(repeating: " ", count: columns), Style(reversed: true)), row: row, column: 0, width: columns)
    put(line.styled { $0.isReversed = true }, row: row, column: 0, width: columns)
  }

  /// No wide glyph lost its right half, and no right half its glyph, to what was put over it.
  package var isWhole: Bool {
    cells.allSatisfy { row in
      row.indices.allSatisfy { column in
        let isHead = row[column].glyph?.width == 2
        let isFollowed = column + 1 < row.count && row[column + 1].glyph == nil
        let isLed = column > 0 && row[column - 1].glyph?.width == 2
        return row[column].glyph == nil ? isLed : isHead == isFollowed
      }
    }
  }

  /// The text of each row without blanks at its end.
  package var text: [String] {
    cells.map { row in
      var text = row.compactMap { $0.glyph?.text }.joined()
      while text.last == " " { text.removeLast() }
      return text
    }
  }
}
