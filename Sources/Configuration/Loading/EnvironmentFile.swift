/// A `.env` file: `NAME=value` lines, `export` before them allowed, `#` comments, quotes as a shell has them.
struct EnvironmentFile {
  /// The assignments; the last of a name wins.
  private(set) var values: [String: String] = [:]
  /// The lines that are neither an assignment, a comment nor blank.
  private(set) var malformedLines: [Int] = []

  init(_ text: String = "") {
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      var rest = line.drop { $0 == " " || $0 == "\t" }
      if rest.last == "\r" { rest.removeLast() }
      if rest.isEmpty || rest.hasPrefix("#") || rest == "\r\n" { continue }
      if rest.hasPrefix("export ") { rest = rest.dropFirst(7).drop { $0 == " " } }
      guard let equals = rest.firstIndex(of: "="), Variables.isName(rest[..<equals]),
        let value = Self.value(rest[rest.index(after: equals)...])
      else {
        malformedLines.append(index + 1)
        continue
      }
      values[String(rest[..<equals])] = value
    }
  }

  private static func value(_ text: Substring) -> String? {
    switch text.first {
    case "'":
      let inner = text.dropFirst()
      guard let end = inner.firstIndex(of: "'"), endsAfter(inner[inner.index(after: end)...]) else { return nil }
      return String(inner[..<end])
    case "\"":
      var result = ""
      var index = text.index(after: text.startIndex)
      while index < text.endIndex {
        let character = text[index]
        index = text.index(after: index)
        if character == "\"" { return endsAfter(text[index...]) ? result : nil }
        guard character == "\\", index < text.endIndex else {
          result.append(character)
          continue
        }
        switch text[index] {
        case "n": result.append("\n")
        case "t": result.append("\t")
        case "\\", "\"", "$": result.append(text[index])
        default: result += "\\" + String(text[index])
        }
        index = text.index(after: index)
      }
      return nil
    default:
      var value = text
      if let comment = text.indices.first(where: { index in
        text[index] == "#" && (index == text.startIndex || isBlank(text[text.index(before: index)]))
      }) {
        value = text[..<comment]
      }
      while let last = value.last, isBlank(last) { value.removeLast() }
      return String(value.drop(while: isBlank))
    }
  }

  private static func endsAfter(_ rest: Substring) -> Bool {
    let rest = rest.drop(while: isBlank)
    return rest.isEmpty || rest.hasPrefix("#")
  }

  private static func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }
}
