import Glibc

/// Walks the members of one object or the elements of one array in a text that passed `JSONValidator`.
struct JSONCursor {
  struct Member {
    /// What stands between the quotes of the name.
    let name: Range<Int>
    let isEscaped: Bool
    let value: Range<Int>
  }

  private var position: Int
  /// The place of the closing bracket.
  private let end: Int

  /// A container that does not open with this byte has nothing to walk over.
  @inline(__always)
  init(_ slice: borrowing JSONSlice, opening: UInt8) {
    let range = slice.range
    position = range.lowerBound + 1
    end = slice.text[range.lowerBound] == opening ? range.upperBound - 1 : position
  }

  @inline(__always)
  mutating func nextElement(_ text: Span<UInt8>) -> Range<Int>? {
    skipSeparators(text)
    guard position < end else { return nil }
    return nextValue(text)
  }

  @inline(__always)
  mutating func nextMember(_ text: Span<UInt8>) -> Member? {
    skipSeparators(text)
    guard position < end else { return nil }
    let name = JSONString.skip(text, at: position, end: end)
    let inner = position + 1..<name.end - 1
    position = name.end
    skipSeparators(text)
    return Member(name: inner, isEscaped: name.isEscaped, value: nextValue(text))
  }

  /// White space, commas and colons; validation has put them in their places.
  @inline(__always)
  private mutating func skipSeparators(_ text: Span<UInt8>) {
    while position < end {
      let byte = text[position]
      guard byte == JSONByte.comma || byte == JSONByte.colon || JSONValidator.isSpace(byte) else { return }
      position += 1
    }
  }

  @inline(__always)
  private mutating func nextValue(_ text: Span<UInt8>) -> Range<Int> {
    let start = position
    switch text[position] {
    case JSONByte.quote:
      position = JSONString.skip(text, at: position, end: end).end
    case JSONByte.openBrace, JSONByte.openBracket:
      skipContainer(text)
    default:
      while position < end {
        let byte = text[position]
        if byte == JSONByte.comma || byte == JSONByte.closeBrace || byte == JSONByte.closeBracket { break }
        if JSONValidator.isSpace(byte) { break }
        position += 1
      }
    }
    return start..<position
  }

  private mutating func skipContainer(_ text: Span<UInt8>) {
    var depth = 0
    while position < end {
      switch text[position] {
      case JSONByte.quote:
        position = JSONString.skip(text, at: position, end: end).end
        continue
      case JSONByte.openBrace, JSONByte.openBracket:
        depth += 1
      case JSONByte.closeBrace, JSONByte.closeBracket:
        depth -= 1
      default: break
      }
      position += 1
      if depth == 0 { return }
    }
  }

  /// Whether what stands between the quotes is this string, which has no escapes.
  @inline(__always)
  static func equals(_ text: [UInt8], _ range: Range<Int>, isEscaped: Bool, _ other: StaticString) -> Bool {
    guard !isEscaped else { return equals(text, range, isEscaped: true, other.description) }
    guard range.count == other.utf8CodeUnitCount else { return false }
    return unsafe text.span.extracting(range).withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return true }
      return unsafe memcmp(start, other.utf8Start, bytes.count) == 0
    }
  }

  /// Whether what stands between the quotes is this string, scalar by scalar.
  @inline(__always)
  static func equals(_ text: [UInt8], _ range: Range<Int>, isEscaped: Bool, _ other: String) -> Bool {
    guard !isEscaped else { return JSONString.decode(text, range, isEscaped: true).utf8.elementsEqual(other.utf8) }
    guard range.count == other.utf8.count else { return false }
    let bytes = text.span
    var position = range.lowerBound
    for byte in other.utf8 {
      if bytes[position] != byte { return false }
      position += 1
    }
    return true
  }
}
