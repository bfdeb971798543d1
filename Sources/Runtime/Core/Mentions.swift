/// Reads `@handle` mentions from message text.
///
/// A mention is `@` at the start or after a character outside `[A-Za-z0-9_.@-]`, then an ASCII letter or digit, then
/// letters, digits, `.`, `_` and `-`, ending in a letter or digit: so `@bob.` names bob, and an e-mail address nobody.
public enum Mentions {
  /// The handles in order of first appearance, each once; case is kept.
  public static func handles(in text: String) -> [Handle] {
    guard text.hasByte(UInt8(ascii: "@")) else { return [] }
    let bytes = Array(text.utf8)
    var found: [Handle] = []
    var index = 0
    while let at = bytes[index...].firstIndex(of: UInt8(ascii: "@")) {
      index = at + 1
      if at > 0, isWordByte(bytes[at - 1]) { continue }
      var end = index
      while end < bytes.count, isInterior(bytes[end]) { end += 1 }
      while end > index, !isAlphanumeric(bytes[end - 1]) { end -= 1 }
      guard end > index, isAlphanumeric(bytes[index]) else { continue }
      let handle = Handle(String(decoding: bytes[index..<end], as: UTF8.self))
      if !found.contains(handle) { found.append(handle) }
      index = end
    }
    return found
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }

  private static func isInterior(_ byte: UInt8) -> Bool {
    isAlphanumeric(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
  }

  private static func isWordByte(_ byte: UInt8) -> Bool { isInterior(byte) || byte == UInt8(ascii: "@") }
}
