/// One JSON value inside a text that was checked once, as a range of its bytes.
///
/// Making one reads the whole text strictly (RFC 8259, RFC 3629); from then on nothing can fail: lookups skip over bytes
/// without building anything, and only `string` and `value` of what the caller asks for allocate. The bytes are
/// shared, not copied, so `bytes` of an id or a number is exactly what was received (`1`, `1.0`, any number of digits).
///
/// Where an object names a key twice, lookups give the last one; `members` gives both.
public struct JSONSlice: Sendable {
  /// The most levels of arrays and objects a text may have.
  public static let deepest = JSONValidator.deepest
  /// The longest text, in bytes, unless the caller sets another limit.
  public static let longest = 64 << 20

  let text: [UInt8]
  let lower: UInt32
  let upper: UInt32
  /// Whether the text has an escape that names half of a surrogate pair (`\ud800` alone); `string` gives U+FFFD for it.
  public let hasLoneSurrogate: Bool

  /// Checks a text, or the part of it in `range`, and stands for its one value.
  ///
  /// White space around the value and one leading byte order mark are accepted. `depth` is at most `deepest`, higher
  /// limits count as that. Throws the first fault with its offset from the start of the range; `tooLong` past `limit`.
  public init(
    _ text: [UInt8], in range: Range<Int>? = nil, depth: Int = JSONSlice.deepest, limit: Int = JSONSlice.longest
  ) throws(JSONError) {
    let range = range ?? 0..<text.count
    guard range.count <= limit, range.upperBound <= UInt32.max else { throw JSONError(.tooLong, at: limit) }
    let checked = try JSONValidator.check(text.span, in: range, depth: depth)
    self.init(text, checked.value, hasLoneSurrogate: checked.hasLoneSurrogate)
  }

  /// Checks a text that is already a string.
  public init(_ text: String) throws(JSONError) {
    try self.init(Array(text.utf8))
  }

  @inline(__always)
  init(_ text: [UInt8], _ range: Range<Int>, hasLoneSurrogate: Bool) {
    self.text = text
    lower = UInt32(truncatingIfNeeded: range.lowerBound)
    upper = UInt32(truncatingIfNeeded: range.upperBound)
    self.hasLoneSurrogate = hasLoneSurrogate
  }

  @inline(__always)
  var range: Range<Int> { Int(lower)..<Int(upper) }

  /// The value's bytes as received, white space around it left out.
  public var bytes: ArraySlice<UInt8> { text[range] }

  /// The kinds of value that RFC 8259 section 3 knows.
  public enum Kind: Hashable, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool
    /// A number, of any form.
    case number
    /// A string.
    case string
    /// An array.
    case array
    /// An object.
    case object
  }

  /// What the value is, told from its first byte.
  public var kind: Kind {
    switch text[Int(lower)] {
    case JSONByte.openBrace: .object
    case JSONByte.openBracket: .array
    case JSONByte.quote: .string
    case UInt8(ascii: "n"): .null
    case UInt8(ascii: "t"), UInt8(ascii: "f"): .bool
    default: .number
    }
  }

  /// Whether the value is `null`.
  public var isNull: Bool { kind == .null }

  /// The value of `true` or `false`, else nil.
  public var bool: Bool? { kind == .bool ? text[Int(lower)] == UInt8(ascii: "t") : nil }

  /// The value of a number written as an integer that fits 64 bits, else nil: `1.0`, `1e2`, `-0` are none.
  public var int: Int64? { kind == .number ? JSONNumber.integer(text.span, range) : nil }

  /// The nearest value of any number, else nil; beyond the range of a double it is an infinity.
  public var double: Double? { kind == .number ? Double(String(decoding: bytes, as: UTF8.self)) : nil }

  /// The characters of a string with escapes resolved, else nil.
  public var string: String? {
    guard kind == .string else { return nil }
    let inner = Int(lower) + 1..<Int(upper) - 1
    let isEscaped = JSONString.skip(text.span, at: Int(lower), end: Int(upper)).isEscaped
    return JSONString.decode(text, inner, isEscaped: isEscaped)
  }

  /// Whether the value is this string, told without making one; strings are equal when their scalars are.
  public func isString(_ other: String) -> Bool {
    // An escape is longer than what it stands for.
    guard kind == .string, range.count - 2 >= other.utf8.count else { return false }
    let isEscaped = JSONString.skip(text.span, at: Int(lower), end: Int(upper)).isEscaped
    return JSONCursor.equals(text, Int(lower) + 1..<Int(upper) - 1, isEscaped: isEscaped, other)
  }

  /// The member of an object with this name, else nil; of several, the last.
  public func member(_ name: String) -> JSONSlice? {
    var cursor = JSONCursor(self, opening: JSONByte.openBrace)
    var value: Range<Int>?
    while let member = cursor.nextMember(text.span) {
      if JSONCursor.equals(text, member.name, isEscaped: member.isEscaped, name) { value = member.value }
    }
    return value.map { JSONSlice(text, $0, hasLoneSurrogate: hasLoneSurrogate) }
  }
}
