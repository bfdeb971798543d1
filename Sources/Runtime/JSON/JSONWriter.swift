/// Writes JSON into one buffer that is kept between messages; a message is always one line of valid UTF-8.
///
/// Calls follow the text: `beginObject()`, `key("id")`, `int(1)`, `endObject()`. Commas come by themselves; pairing the
/// begins with the ends and giving each key one value is the caller's part. After a value at the top, call `endLine()`
/// before the next.
public struct JSONWriter: Sendable {
  /// What was written so far.
  public private(set) var bytes: [UInt8] = []

  /// An empty writer with room for so many bytes.
  public init(capacity: Int = 0) {
    bytes.reserveCapacity(capacity)
  }

  /// Forgets what was written; the buffer stays, unless it grew past `keeping` bytes.
  public mutating func removeAll(keeping: Int = 1 << 20) {
    bytes.removeAll(keepingCapacity: bytes.capacity <= keeping)
  }

  /// Opens an object.
  public mutating func beginObject() {
    separate()
    bytes.append(JSONByte.openBrace)
  }

  /// Closes the object.
  public mutating func endObject() { bytes.append(JSONByte.closeBrace) }

  /// Opens an array.
  public mutating func beginArray() {
    separate()
    bytes.append(JSONByte.openBracket)
  }

  /// Closes the array.
  public mutating func endArray() { bytes.append(JSONByte.closeBracket) }

  /// Ends the message with a newline.
  public mutating func endLine() { bytes.append(JSONByte.newline) }

  /// Writes a member's name; its value must follow.
  public mutating func key(_ name: String) {
    separate()
    quoted(name)
    bytes.append(JSONByte.colon)
  }

  /// Writes a string.
  public mutating func string(_ value: String) {
    separate()
    quoted(value)
  }

  /// Writes a string of bytes that the caller knows to be valid UTF-8, such as another writer's.
  public mutating func string(trusted value: borrowing [UInt8]) {
    separate()
    bytes.append(JSONByte.quote)
    escaped(value.span)
    bytes.append(JSONByte.quote)
  }

  /// Writes an integer.
  public mutating func int(_ value: some FixedWidthInteger) {
    separate()
    if let small = Int64(exactly: value) { digits(small) } else { bytes.append(contentsOf: value.description.utf8) }
  }

  /// Writes `true` or `false`.
  public mutating func bool(_ value: Bool) {
    separate()
    bytes.append(contentsOf: (value ? "true" : "false").utf8)
  }

  /// Writes `null`.
  public mutating func null() {
    separate()
    bytes.append(contentsOf: "null".utf8)
  }

  /// Writes a number as it is written.
  public mutating func number(_ value: JSONNumber) {
    separate()
    bytes.append(contentsOf: value.text.utf8)
  }

  /// Copies a received value byte for byte.
  ///
  /// Only what would break the line changes, to the same meaning: newlines between tokens become spaces, U+2028 and U+2029
  /// in strings become escapes.
  public mutating func raw(_ slice: JSONSlice) {
    separate()
    let text = slice.text.span
    let range = slice.range
    var position = range.lowerBound
    while position < range.upperBound, text[position] >= JSONByte.space, text[position] != 0xE2 { position += 1 }
    bytes.append(range.lowerBound..<position, of: text)
    if position < range.upperBound { oneLine(text, position..<range.upperBound) }
  }

  /// Copies bytes that the caller knows to be one JSON value on one line, such as a constant or another writer's.
  public mutating func raw(trusted value: some Collection<UInt8>) {
    separate()
    bytes.append(contentsOf: value)
  }

  /// Writes a tree.
  public mutating func value(_ value: JSONValue) {
    switch value {
    case .null: null()
    case .bool(let value): bool(value)
    case .int(let value): int(value)
    case .number(let value): number(value)
    case .string(let value): string(value)
    case .array(let elements):
      beginArray()
      for element in elements { self.value(element) }
      endArray()
    case .object(let object):
      beginObject()
      for member in object.members {
        key(member.name)
        self.value(member.value)
      }
      endObject()
    }
  }

  /// A comma is due unless the last byte opens something; strings end in a quote, so their content cannot be mistaken.
  @inline(__always)
  private mutating func separate() {
    switch bytes.last {
    case nil, JSONByte.openBrace, JSONByte.openBracket, JSONByte.colon, JSONByte.newline: break
    default: bytes.append(JSONByte.comma)
    }
  }

  @inline(__always)
  private mutating func digits(_ value: Int64) {
    if value < 0 { bytes.append(JSONByte.minus) }
    var rest = value.magnitude
    if rest < 10 {
      bytes.append(0x30 + UInt8(truncatingIfNeeded: rest))
      return
    }
    var reversed = InlineArray<20, UInt8>(repeating: 0)
    var count = 0
    repeat {
      let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
      reversed[count] = 0x30 + UInt8(truncatingIfNeeded: digit)
      rest = quotient
      count += 1
    } while rest > 0
    while count > 0 {
      count -= 1
      bytes.append(reversed[count])
    }
  }

  @inline(__always)
  private mutating func quoted(_ value: String) {
    bytes.append(JSONByte.quote)
    escaped(value.utf8Span.span)
    bytes.append(JSONByte.quote)
  }

  /// Copies runs that need no escape as they are.
  private mutating func escaped(_ text: Span<UInt8>) {
    let end = text.count
    var start = 0
    var position = 0
    while position < end {
      if position <= end - 8 {
        let word = JSONWord(text, at: position)
        let stops =
          word.mask(equal: JSONByte.quote) | word.mask(equal: JSONByte.backslash) | word.controlMask
          | word.mask(equal: 0xE2) | word.mask(equal: 0x7F)
        if stops == 0 {
          position += 8
          continue
        }
        position += JSONWord.firstMark(stops)
      }
      let byte = text[position]
      let length = Self.escapedLength(text, at: position, end: end)
      if length > 0 {
        bytes.append(start..<position, of: text)
        escape(byte, third: length == 3 ? text[position + 2] : 0)
        position += length
        start = position
      } else {
        position += 1
      }
    }
    bytes.append(start..<end, of: text)
  }

  /// How many bytes at this place must be written as an escape: 1, 3 for U+2028 and U+2029 (E2 80 A8, E2 80 A9), or none.
  @inline(__always)
  private static func escapedLength(_ text: Span<UInt8>, at position: Int, end: Int) -> Int {
    let byte = text[position]
    if byte < JSONByte.space || byte == JSONByte.quote || byte == JSONByte.backslash || byte == 0x7F { return 1 }
    guard byte == 0xE2, position + 2 < end, text[position + 1] == 0x80 else { return 0 }
    return text[position + 2] & 0xFE == 0xA8 ? 3 : 0
  }

  private mutating func escape(_ byte: UInt8, third: UInt8) {
    let letter: UInt8
    switch byte {
    case JSONByte.quote, JSONByte.backslash: letter = byte
    case JSONByte.newline: letter = UInt8(ascii: "n")
    case JSONByte.carriageReturn: letter = UInt8(ascii: "r")
    case JSONByte.tab: letter = UInt8(ascii: "t")
    case 0x08: letter = UInt8(ascii: "b")
    case 0x0C: letter = UInt8(ascii: "f")
    case 0xE2:
      bytes.append(contentsOf: (third == 0xA8 ? "\\u2028" : "\\u2029").utf8)
      return
    default:
      bytes.append(contentsOf: "\\u00".utf8)
      bytes.append(Self.hexDigit(byte >> 4))
      bytes.append(Self.hexDigit(byte & 0xF))
      return
    }
    bytes.append(JSONByte.backslash)
    bytes.append(letter)
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : UInt8(ascii: "a") + value - 10
  }

  private mutating func oneLine(_ text: Span<UInt8>, _ range: Range<Int>) {
    var position = range.lowerBound
    while position < range.upperBound {
      let byte = text[position]
      if byte == 0xE2, Self.escapedLength(text, at: position, end: range.upperBound) == 3 {
        escape(byte, third: text[position + 2])
        position += 3
      } else {
        // Checked text has bytes below 0x20 only between tokens, where any white space means the same.
        bytes.append(byte < JSONByte.space ? JSONByte.space : byte)
        position += 1
      }
    }
  }
}
