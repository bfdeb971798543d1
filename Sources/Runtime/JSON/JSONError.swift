/// Why a text is not the JSON (RFC 8259) that Parley accepts, and where.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kinds of refusal; the set is closed.
  public enum Code: String, Hashable, Sendable, CaseIterable {
    /// A string holds bytes that are not UTF-8 (overlong, surrogate, truncated and above U+10FFFF included).
    case invalidUTF8
    /// A byte that the grammar does not allow at its place.
    case syntax
    /// A number breaks RFC 8259 section 6: `01`, `1.`, `+1`, `1.2.3`.
    case invalidNumber
    /// A backslash is followed by something that RFC 8259 section 7 does not list.
    case invalidEscape
    /// A string holds a raw byte below 0x20.
    case controlCharacter
    /// The text ends inside a value, or holds none.
    case unexpectedEnd
    /// Arrays and objects are nested deeper than the limit.
    case depthExceeded
    /// The text is longer than the limit.
    case tooLong
    /// Something other than white space follows the value.
    case trailingBytes
  }

  /// What is wrong.
  public let code: Code
  /// Where: the number of bytes before the offending one, from the start of the text (a byte order mark counts).
  public let offset: Int

  /// Makes an error; offsets count bytes from the start of the text.
  public init(_ code: Code, at offset: Int) {
    self.code = code
    self.offset = offset
  }

  /// The text for people; it never quotes the input.
  public var description: String {
    let what =
      switch code {
      case .invalidUTF8: "invalid UTF-8"
      case .syntax: "unexpected character"
      case .invalidNumber: "malformed number"
      case .invalidEscape: "malformed escape in a string"
      case .controlCharacter: "unescaped control character in a string"
      case .unexpectedEnd: "the text ends too early"
      case .depthExceeded: "nested too deeply"
      case .tooLong: "the text is too long"
      case .trailingBytes: "something follows the value"
      }
    return "JSON: \(what) at byte \(offset)"
  }
}
