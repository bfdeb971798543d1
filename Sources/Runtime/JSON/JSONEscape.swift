/// Writes text as it stands between the quotes of a JSON string: RFC 8259 section 7, and on one line for readers that
/// take U+2028 and U+2029 for line ends, too.
enum JSONEscape {
  /// At most so many bytes come of one.
  static var growth: Int { 6 }

  /// Copies the beginning of a text up to the first byte that may have to be escaped, and returns its length; the output
  /// must have room for the text.
  static func writePlain(_ text: Span<UInt8>, to output: inout OutputSpan<UInt8>) -> Int {
    precondition(output.freeCapacity >= text.count)
    return unsafe output.withUnsafeMutableBufferPointer { buffer, count in
      guard let start = buffer.baseAddress else { return 0 }
      let length = unsafe copyPlain(text, to: start + count)
      count += length
      return length
    }
  }

  private static func copyPlain(_ text: Span<UInt8>, to start: UnsafeMutablePointer<UInt8>) -> Int {
    var position = 0
    guard text.count >= JSONBlock.length else {
      while position < text.count, isPlain(text[position]) {
        unsafe start[position] = text[position]
        position += 1
      }
      return position
    }
    while true {
      let block = JSONBlock(text, at: position)
      unsafe block.store(to: start + position)
      let plain = block.escape
      if plain < JSONBlock.length { return position + plain }
      position += JSONBlock.length
      if position == text.count { return position }
      // The last block begins earlier, so that it ends with the text: what is copied twice is the same.
      position = min(position, text.count - JSONBlock.length)
    }
  }

  @inline(__always)
  private static func isPlain(_ byte: UInt8) -> Bool {
    byte >= JSONByte.space && byte != JSONByte.quote && byte != JSONByte.backslash && byte != 0x7F && byte != 0xE2
  }

  /// Writes what begins in `range`, of text that is valid UTF-8; the output must have room for `growth` times the range.
  ///
  /// Returns the place after it, which is past the range where a character ends there.
  static func write(_ text: Span<UInt8>, _ range: Range<Int>, to output: inout OutputSpan<UInt8>) -> Int {
    precondition(output.freeCapacity >= range.count * growth && range.upperBound <= text.count)
    return unsafe output.withUnsafeMutableBufferPointer { buffer, count in
      guard let start = buffer.baseAddress else { return range.upperBound }
      var target = unsafe Target(place: start + count)
      var position = range.lowerBound
      while position < range.upperBound {
        // Of a block or word with a byte to be escaped, only what is before that byte counts; the rest is written over.
        if position <= range.upperBound - JSONBlock.length {
          let block = JSONBlock(text, at: position)
          let clean = block.escape
          target.put(block, count: clean)
          position += clean
          if clean == JSONBlock.length { continue }
        } else if position <= range.upperBound - 8 {
          let word = JSONWord(text, at: position)
          let stops = word.escapeMask
          let clean = stops == 0 ? 8 : JSONWord.firstMark(stops)
          target.put(word, count: clean)
          position += clean
          if clean == 8 { continue }
        }
        position += put(text, at: position, to: &target)
      }
      unsafe count = target.place - start
      return position
    }
  }

  /// Writes the one byte at this place, or the character where it must be escaped; returns how many bytes that took.
  @inline(__always)
  private static func put(_ text: Span<UInt8>, at position: Int, to target: inout Target) -> Int {
    let byte = text[position]
    switch byte {
    case JSONByte.quote, JSONByte.backslash: target.put(JSONByte.backslash, byte)
    case 0x20..<0x7F: target.put(byte)
    case JSONByte.newline: target.put(JSONByte.backslash, UInt8(ascii: "n"))
    case JSONByte.carriageReturn: target.put(JSONByte.backslash, UInt8(ascii: "r"))
    case JSONByte.tab: target.put(JSONByte.backslash, UInt8(ascii: "t"))
    case 0x08: target.put(JSONByte.backslash, UInt8(ascii: "b"))
    case 0x0C: target.put(JSONByte.backslash, UInt8(ascii: "f"))
    case 0x00..<0x20, 0x7F: target.put(unit: UInt16(byte))
    case 0xE2 where isLineSeparator(text, at: position, end: text.count):
      target.put(unit: text[position + 2] == 0xA8 ? 0x2028 : 0x2029)
      return 3
    default: target.put(byte)
    }
    return 1
  }

  /// Whether U+2028 (E2 80 A8) or U+2029 (E2 80 A9) is at this place.
  @inline(__always)
  static func isLineSeparator(_ text: Span<UInt8>, at position: Int, end: Int) -> Bool {
    text[position] == 0xE2 && position + 2 < end && text[position + 1] == 0x80 && text[position + 2] & 0xFE == 0xA8
  }

  /// Where the next byte goes, in memory that has room for it.
  @safe private struct Target {
    private(set) var place: UnsafeMutablePointer<UInt8>

    init(place: UnsafeMutablePointer<UInt8>) { unsafe self.place = place }

    @inline(__always)
    mutating func put(_ byte: UInt8) {
      unsafe place.pointee = byte
      unsafe place += 1
    }

    @inline(__always)
    mutating func put(_ first: UInt8, _ second: UInt8) {
      put(first)
      put(second)
    }

    /// Stores all eight bytes, of which so many count.
    @inline(__always)
    mutating func put(_ word: JSONWord, count: Int) {
      unsafe UnsafeMutableRawPointer(place).storeBytes(of: word.littleEndian, as: UInt64.self)
      unsafe place += count
    }

    /// Stores all sixteen bytes, of which so many count.
    @inline(__always)
    mutating func put(_ block: JSONBlock, count: Int) {
      unsafe block.store(to: place)
      unsafe place += count
    }

    mutating func put(unit: UInt16) {
      put(JSONByte.backslash, UInt8(ascii: "u"))
      for shift in stride(from: 12, through: 0, by: -4) {
        let digit = UInt8(truncatingIfNeeded: unit >> shift & 0xF)
        put(digit < 10 ? 0x30 + digit : UInt8(ascii: "a") + digit - 10)
      }
    }
  }
}
