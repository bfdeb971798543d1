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

  /// Forgets what was written after the first `count` bytes, which end with a whole value.
  public mutating func removeAll(after count: Int) { bytes.removeSubrange(count...) }

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
  public mutating func key(_ name: String) { quoted(name.utf8Span.span, isName: true) }

  /// Writes a string.
  public mutating func string(_ value: String) { quoted(value.utf8Span.span, isName: false) }

  /// Writes a member's name that the program itself contains: ASCII of which nothing must be escaped.
  public mutating func key(trusted name: StaticString) {
    let isDue = isCommaDue
    let length = name.utf8CodeUnitCount
    bytes.append(addingCapacity: length + 4) { output in
      if isDue { output.append(JSONByte.comma) }
      output.append(JSONByte.quote)
      unsafe output.withUnsafeMutableBufferPointer { buffer, count in
        guard let start = buffer.baseAddress else { return }
        unsafe (start + count).update(from: name.utf8Start, count: length)
        count += length
      }
      output.append(JSONByte.quote)
      output.append(JSONByte.colon)
    }
  }

  /// Writes a string of bytes that the caller knows to be valid UTF-8, such as another writer's.
  public mutating func string(trusted value: borrowing [UInt8]) {
    quoted(value.span, isName: false)
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

  /// Copies bytes that the caller knows to be JSON on one line, such as another writer's: a value, or whole members.
  public mutating func raw(trusted json: borrowing [UInt8]) { raw(trusted: json, in: 0..<json.count) }

  /// Copies a part of such bytes: whole values, or whole members.
  public mutating func raw(trusted json: borrowing [UInt8], in range: Range<Int>) {
    separate()
    bytes.append(range, of: json.span)
  }

  /// Copies JSON that the program itself contains: tokens of any kind, on one line.
  public mutating func raw(trusted json: StaticString) {
    separate()
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: json.utf8Start, count: json.utf8CodeUnitCount))
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
  private var isCommaDue: Bool {
    @inline(__always) get {
      switch bytes.last {
      case nil, JSONByte.openBrace, JSONByte.openBracket, JSONByte.colon, JSONByte.newline: false
      default: true
      }
    }
  }

  @inline(__always)
  private mutating func separate() {
    if isCommaDue { bytes.append(JSONByte.comma) }
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

  /// Writes a comma where one is due, the text in quotes, and after a name a colon.
  private mutating func quoted(_ text: Span<UInt8>, isName: Bool) {
    let isDue = isCommaDue
    var plain = 0
    // What most texts are, plain to their end, leaves in one step with what surrounds it.
    bytes.append(addingCapacity: text.count + 4) { output in
      if isDue { output.append(JSONByte.comma) }
      output.append(JSONByte.quote)
      plain = JSONEscape.writePlain(text, to: &output)
      guard plain == text.count else { return }
      output.append(JSONByte.quote)
      if isName { output.append(JSONByte.colon) }
    }
    guard plain < text.count else { return }
    escaped(text, from: plain)
    bytes.append(JSONByte.quote)
    if isName { bytes.append(JSONByte.colon) }
  }

  private mutating func escaped(_ text: Span<UInt8>, from start: Int) {
    var position = start
    while position < text.count {
      // In stretches, so that room for the worst case is no large part of a large text.
      let end = min(position + 1024, text.count)
      bytes.append(addingCapacity: (end - position) * JSONEscape.growth) { output in
        position = JSONEscape.write(text, position..<end, to: &output)
      }
    }
  }

  private mutating func oneLine(_ text: Span<UInt8>, _ range: Range<Int>) {
    var position = range.lowerBound
    while position < range.upperBound {
      let byte = text[position]
      if JSONEscape.isLineSeparator(text, at: position, end: range.upperBound) {
        bytes.append(contentsOf: (text[position + 2] == 0xA8 ? "\\u2028" : "\\u2029").utf8)
        position += 3
      } else {
        // Checked text has bytes below 0x20 only between tokens, where any white space means the same.
        bytes.append(byte < JSONByte.space ? JSONByte.space : byte)
        position += 1
      }
    }
  }
}
