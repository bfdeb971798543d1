/// Replaces `${NAME}` and `${NAME:-default}` by the process's environment, else by the `.env` file; `$$` is a dollar sign.
///
/// A dollar sign before anything else stands for itself, so that regular expressions need no escape.
struct Variables {
  /// A text after replacement, and where its parts came from.
  struct Expansion {
    var text = ""
    /// At least one variable was replaced.
    var isExpanded = false
    /// Names that had a value in the `.env` file, or none and used the default in the file.
    var usedEnvironmentFile = false
    var usedDefault = false
    var findings: [Finding] = []
  }

  let process: [String: String]
  let file: [String: String]

  func expand(_ text: String) -> Expansion {
    var result = Expansion()
    var rest = text[...]
    while let dollar = rest.firstIndex(of: "$") {
      result.text += rest[..<dollar]
      rest = rest[rest.index(after: dollar)...]
      if rest.hasPrefix("$") {
        result.text += "$"
        rest.removeFirst()
      } else if rest.hasPrefix("{") {
        rest.removeFirst()
        guard let end = rest.firstIndex(of: "}") else {
          result.findings.append(.malformedVariable)
          return result
        }
        replace(rest[..<end], into: &result)
        rest = rest[rest.index(after: end)...]
      } else {
        result.text += "$"
      }
    }
    result.text += rest
    return result
  }

  private func replace(_ inside: Substring, into result: inout Expansion) {
    result.isExpanded = true
    var name = inside
    var fallback: Substring?
    if let colon = inside.firstIndex(of: ":"), inside[colon...].hasPrefix(":-") {
      name = inside[..<colon]
      fallback = inside[colon...].dropFirst(2)
    }
    guard Self.isName(name) else {
      result.findings.append(.malformedVariable)
      return
    }
    let inProcess = process[String(name)]
    let value = inProcess ?? file[String(name)]
    // As in a shell, `:-` stands in for an empty value too.
    if let value, !(value.isEmpty && fallback != nil) {
      result.text += value
      result.usedEnvironmentFile = result.usedEnvironmentFile || inProcess == nil
    } else if let fallback {
      result.text += fallback
      result.usedDefault = true
    } else {
      result.findings.append(.unsetVariable(String(name)))
    }
  }

  static func isName(_ text: Substring) -> Bool {
    guard let first = text.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
    return text.utf8.allSatisfy { byte in
      byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
  }
}
