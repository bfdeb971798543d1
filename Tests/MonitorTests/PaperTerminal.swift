@testable import ParleyMonitor

/// A terminal for tests: takes the few sequences that a monitor writes and nothing else.
struct PaperTerminal {
  let rows: Int
  let columns: Int
  private(set) var cells: [[String]]
  private(set) var cursor: (row: Int, column: Int) = (0, 0)
  private(set) var isCursorShown = true
  /// What was not understood, or went over an edge.
  private(set) var complaints: [String] = []
  private(set) var colours: Set<String> = []

  init(rows: Int, columns: Int) {
    (self.rows, self.columns) = (rows, columns)
    cells = Array(repeating: Array(repeating: " ", count: columns), count: rows)
  }

  mutating func take(_ bytes: [UInt8]) {
    var rest = Substring(String(decoding: bytes, as: UTF8.self))
    while let character = rest.first {
      if character == "\u{1B}" {
        sequence(&rest)
      } else {
        rest.removeFirst()
        write(character)
      }
    }
  }

  private mutating func sequence(_ rest: inout Substring) {
    let body = rest.dropFirst()
    guard body.first == "[", let final = body.dropFirst().firstIndex(where: { $0.isLetter }) else {
      complaints.append("sequence \(rest.prefix(8))")
      rest = ""
      return
    }
    let parameters = String(body[body.index(after: body.startIndex)..<final])
    switch (parameters, body[final]) {
    case ("2", "J"): cells = Array(repeating: Array(repeating: " ", count: columns), count: rows)
    case ("?25", "l"): isCursorShown = false
    case ("?25", "h"): isCursorShown = true
    case (let style, "m"):
      for code in style.split(separator: ";") where code.hasPrefix("3") { colours.insert("\(code)") }
    case (let place, "H"):
      let parts = place.split(separator: ";").compactMap { Int($0) }
      if parts.count == 2 { cursor = (parts[0] - 1, parts[1] - 1) } else { complaints.append("place \(place)") }
    default: complaints.append("sequence \(parameters)\(body[final])")
    }
    rest = body[body.index(after: final)...]
  }

  private mutating func write(_ character: Character) {
    let width = Glyph.width(of: String(character))
    guard cells.indices.contains(cursor.row), cursor.column + width <= columns, width > 0 else {
      complaints.append("\(character) at \(cursor)")
      return
    }
    // The other half of what stood here is gone too.
    if cells[cursor.row][cursor.column].isEmpty, cursor.column > 0 { cells[cursor.row][cursor.column - 1] = " " }
    cells[cursor.row][cursor.column] = String(character)
    if width == 2 { cells[cursor.row][cursor.column + 1] = "" }
    cursor.column += width
    if cursor.column < columns, cells[cursor.row][cursor.column].isEmpty {
      cells[cursor.row][cursor.column] = " "
    }
  }

  var text: [String] {
    cells.map { row in
      var text = row.joined()
      while text.last == " " { text.removeLast() }
      return text
    }
  }
}
