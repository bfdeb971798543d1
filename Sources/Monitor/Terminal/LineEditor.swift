/// The text that is being typed, and where in it.
package struct LineEditor: Hashable, Sendable {
  private var characters: [Character] = []
  private var position = 0
  private var bytes = 0
  /// Bytes of text; more is not taken.
  private let limit: Int

  /// An empty line of at most so many bytes.
  package init(limit: Int = 256 << 10) { self.limit = limit }

  package var text: String { String(characters) }
  package var isEmpty: Bool { characters.isEmpty }

  /// Puts text in at the cursor; as much of it as there is room for.
  package mutating func insert(_ text: String) {
    for character in text {
      let count = character.utf8.count
      guard bytes + count <= limit else { return }
      // A mark that was typed after its letter becomes one character with it.
      if position > 0, case let joined = String(characters[position - 1]) + String(character), joined.count == 1 {
        characters[position - 1] = Character(joined)
      } else {
        characters.insert(character, at: position)
        position += 1
      }
      bytes += count
    }
  }

  /// Does what a key does to a line; false for one that does nothing to it.
  package mutating func take(_ key: Key) -> Bool {
    switch key {
    case .text(let character): insert(String(character))
    case .paste(let text): insert(text)
    case .backspace: remove(position - 1..<position)
    case .delete: remove(position..<position + 1)
    case .left, .control("b"): position = max(0, position - 1)
    case .right, .control("f"): position = min(characters.count, position + 1)
    case .home, .control("a"): position = 0
    case .end, .control("e"): position = characters.count
    case .control("u"): remove(0..<position)
    case .control("k"): remove(position..<characters.count)
    case .control("w"): remove(wordStart..<position)
    default: return false
    }
    return true
  }

  /// Forgets the text.
  package mutating func clear() { self = LineEditor(limit: limit) }

  private mutating func remove(_ range: Range<Int>) {
    let range = range.clamped(to: 0..<characters.count)
    bytes -= characters[range].reduce(0) { $0 + $1.utf8.count }
    characters.removeSubrange(range)
    position = range.lowerBound
  }

  private var wordStart: Int {
    var start = position
    while start > 0, characters[start - 1].isWhitespace { start -= 1 }
    while start > 0, !characters[start - 1].isWhitespace { start -= 1 }
    return start
  }

  /// The part around the cursor that fits into so many cells, and the cell of the cursor in it. Line ends are shown.
  package func window(_ width: Int) -> (text: String, cursor: Int) {
    func shown(_ character: Character) -> String { character.isNewline ? "⏎" : String(character) }
    var start = position
    var before = 0
    while start > 0, case let cells = Glyph.width(of: shown(characters[start - 1])), before + cells < width {
      before += cells
      start -= 1
    }
    var text = characters[start..<position].map(shown).joined()
    var cells = before
    for character in characters[position...] {
      cells += Glyph.width(of: shown(character))
      guard cells <= width else { break }
      text += shown(character)
    }
    return (text, before)
  }
}
