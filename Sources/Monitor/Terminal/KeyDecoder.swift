/// What somebody typed.
package enum Key: Hashable, Sendable {
  /// One character.
  case text(Character)
  /// What was pasted in one piece (bracketed paste), line ends as `\n`.
  case paste(String)
  /// A letter with Control, in lower case.
  case control(Character)
  case enter, tab, backTab, backspace, delete, escape
  case up, down, left, right, home, end, pageUp, pageDown
}

/// Makes keys of the bytes that a terminal sends (ECMA-48 control sequences, xterm's keys), however they are cut.
///
/// What it does not know is dropped whole, so that no part of a sequence is taken for text.
package struct KeyDecoder: Sendable {
  /// Bytes of one paste that are kept, and of one control sequence.
  package static let pasteBytes = 256 << 10
  private static let sequenceBytes = 32
  private static let pasteEnd = Array("\u{1B}[201~".utf8)

  private var pending: [UInt8] = []
  private var paste: [UInt8]?

  package init() {}

  /// A lone Escape may be the key, or the beginning of a sequence whose rest is on its way: see `flush`.
  package var isWaiting: Bool { paste == nil && !pending.isEmpty }

  /// Takes bytes; the keys that are complete now.
  package mutating func feed(_ bytes: some Sequence<UInt8>) -> [Key] {
    pending += bytes
    var keys: [Key] = []
    while !pending.isEmpty {
      if paste != nil {
        guard let text = takePaste() else { break }
        keys.append(.paste(text))
        continue
      }
      guard let (key, count) = first() else { break }
      pending.removeFirst(count)
      if let key { keys.append(key) }
    }
    return keys
  }

  /// Nothing more comes: an Escape that waits was the key, and a beginning without its end is nothing.
  package mutating func flush() -> [Key] {
    guard isWaiting else { return [] }
    defer { pending = [] }
    return pending == [0x1B] ? [.escape] : []
  }

  /// The first key and the bytes that it takes; nil where more must come.
  private mutating func first() -> (key: Key?, count: Int)? {
    switch pending[0] {
    case 0x1B: return escape()
    case 0x0A, 0x0D: return (.enter, 1)
    case 0x09: return (.tab, 1)
    case 0x08, 0x7F: return (.backspace, 1)
    case 0x01...0x1A: return (.control(Character(Unicode.Scalar(pending[0] + 0x60))), 1)
    case 0x00..<0x20: return (nil, 1)
    case 0x20..<0x7F: return (.text(Character(Unicode.Scalar(pending[0]))), 1)
    default: return scalar()
    }
  }

  /// One code point in UTF-8.
  private func scalar() -> (key: Key?, count: Int)? {
    let count =
      switch pending[0] {
      case 0xC2...0xDF: 2
      case 0xE0...0xEF: 3
      case 0xF0...0xF4: 4
      default: 1
      }
    guard pending.count >= count else {
      // What follows shows that the rest will not come.
      if pending.dropFirst().contains(where: { $0 < 0x80 }) { return (nil, 1) }
      return nil
    }
    guard count > 1, let text = String(validating: pending.prefix(count), as: UTF8.self), let character = text.first
    else { return (nil, 1) }
    // C1 controls are no text.
    return (0x80...0x9F).contains(text.unicodeScalars.first?.value ?? 0) ? (nil, count) : (.text(character), count)
  }

  private mutating func escape() -> (key: Key?, count: Int)? {
    guard pending.count > 1 else { return nil }
    switch pending[1] {
    case UInt8(ascii: "["): break
    case UInt8(ascii: "O"): return pending.count > 2 ? (Self.letter(pending[2]), 3) : nil
    case 0x1B: return (.escape, 1)
    default: return (nil, 2)
    }
    // Parameter and intermediate bytes, then the final one (ECMA-48, 5.4).
    guard let final = pending.dropFirst(2).firstIndex(where: { (0x40...0x7E).contains($0) }) else {
      return pending.count > Self.sequenceBytes ? (nil, pending.count) : nil
    }
    let parameters = String(decoding: pending[2..<final], as: UTF8.self)
    if pending[final] == UInt8(ascii: "~"), parameters == "200" {
      paste = []
      return (nil, final + 1)
    }
    let key = pending[final] == UInt8(ascii: "~") ? Self.numbered(parameters) : Self.letter(pending[final])
    return (key, final + 1)
  }

  private static func letter(_ final: UInt8) -> Key? {
    switch final {
    case UInt8(ascii: "A"): .up
    case UInt8(ascii: "B"): .down
    case UInt8(ascii: "C"): .right
    case UInt8(ascii: "D"): .left
    case UInt8(ascii: "F"): .end
    case UInt8(ascii: "H"): .home
    case UInt8(ascii: "Z"): .backTab
    case UInt8(ascii: "M"): .enter
    default: nil
    }
  }

  private static func numbered(_ parameters: String) -> Key? {
    switch parameters.prefix(while: { $0 != ";" }) {
    case "1", "7": .home
    case "3": .delete
    case "4", "8": .end
    case "5": .pageUp
    case "6": .pageDown
    default: nil
    }
  }

  /// The pasted text once its end is there. Too much of it is cut, and still swallowed to its end.
  private mutating func takePaste() -> String? {
    var text = paste ?? []
    let end = pending.indices.first { pending[$0...].starts(with: Self.pasteEnd) }
    // The end marker itself may be cut in two.
    let taken = end ?? max(0, pending.count - (Self.pasteEnd.count - 1))
    text += pending.prefix(min(taken, Self.pasteBytes - text.count))
    pending.removeFirst(end.map { $0 + Self.pasteEnd.count } ?? taken)
    guard end != nil else {
      paste = text
      return nil
    }
    paste = nil
    let decoded = String(decoding: text, as: UTF8.self)
    return decoded.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
  }
}
