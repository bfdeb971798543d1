/// One line of text in several styles, before it is known where and how wide it stands.
package struct StyledLine: Hashable, Sendable {
  package struct Piece: Hashable, Sendable {
    var text: String
    var style: Style
  }

  package private(set) var pieces: [Piece] = []

  package init() {}

  package init(_ text: String, _ style: Style = .plain) { add(text, style) }

  /// Adds text at the end.
  package mutating func add(_ text: String, _ style: Style = .plain) {
    if !text.isEmpty { pieces.append(Piece(text: text, style: style)) }
  }

  /// The same with another style throughout.
  package func styled(_ change: (inout Style) -> Void) -> StyledLine {
    var line = self
    for index in line.pieces.indices { change(&line.pieces[index].style) }
    return line
  }

  /// The text alone, safe to show.
  package var text: String { pieces.map { Glyph.all(of: $0.text).map(\.text).joined() }.joined() }

  /// As many lines as it needs where each has so many cells; further ones are indented. Breaks at blanks where there
  /// are any, and drops what is left after `limit` lines.
  package func wrapped(to width: Int, indent: Int = 2, limit: Int = 400) -> [StyledLine] {
    guard width > indent + 2 else { return [self] }
    var lines: [StyledLine] = []
    var current: [(glyph: Glyph, style: Style)] = []
    var cells = 0
    var start = 0
    func flush(_ count: Int) {
      var line = StyledLine(String(repeating: " ", count: lines.isEmpty ? 0 : indent))
      for (glyph, style) in current.prefix(count) { line.append(glyph.text, style) }
      lines.append(line)
      current.removeFirst(count)
      start = lines.isEmpty ? 0 : indent
    }
    for piece in pieces {
      for glyph in Glyph.all(of: piece.text) {
        while start + cells + glyph.width > width, !current.isEmpty {
          let blank = current.lastIndex { $0.glyph.text == " " }
          flush(blank.map { $0 + 1 } ?? current.count)
          if lines.count == limit { return lines }
          cells = current.reduce(0) { $0 + $1.glyph.width }
        }
        current.append((glyph, piece.style))
        cells += glyph.width
      }
    }
    if !current.isEmpty || lines.isEmpty { flush(current.count) }
    return lines
  }

  /// Adds to the last piece where it has this style.
  private mutating func append(_ text: String, _ style: Style) {
    if pieces.last?.style == style { pieces[pieces.count - 1].text += text } else { add(text, style) }
  }
}
