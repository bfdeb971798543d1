/// Reads strings in a text that passed `JSONValidator`; on other bytes the results are unspecified but never unsafe.
enum JSONString {
  /// The place after the string whose opening quote is at `start`, and whether it holds a backslash.
  @inline(__always)
  static func skip(_ text: Span<UInt8>, at start: Int, end: Int) -> (end: Int, isEscaped: Bool) {
    var position = start + 1
    var isEscaped = false
    while position < end {
      if position <= end - JSONBlock.length {
        let clean = JSONBlock(text, at: position).quoteOrBackslash
        position += clean
        if clean == JSONBlock.length { continue }
      } else if position <= end - 8 {
        let word = JSONWord(text, at: position)
        let stops = word.mask(equal: JSONByte.quote) | word.mask(equal: JSONByte.backslash)
        if stops == 0 {
          position += 8
          continue
        }
        position += JSONWord.firstMark(stops)
      }
      let byte = text[position]
      if byte == JSONByte.quote { return (position + 1, isEscaped) }
      if byte == JSONByte.backslash {
        isEscaped = true
        position += 2
      } else {
        position += 1
      }
    }
    return (end, isEscaped)
  }

  /// The characters between the quotes, `range` being what stands between them.
  static func decode(_ bytes: [UInt8], _ range: Range<Int>, isEscaped: Bool) -> String {
    guard isEscaped else { return String(decoding: bytes[range], as: UTF8.self) }
    // Every escape is longer than the UTF-8 it stands for, so the raw length is always room enough.
    return unsafe String(unsafeUninitializedCapacity: range.count) { buffer in
      var output = unsafe OutputSpan(buffer: buffer, initializedCount: 0)
      unescape(bytes.span, range, into: &output)
      return unsafe output.finalize(for: buffer)
    }
  }

  private static func unescape(_ text: Span<UInt8>, _ range: Range<Int>, into output: inout OutputSpan<UInt8>) {
    var position = range.lowerBound
    while position < range.upperBound {
      let byte = text[position]
      guard byte == JSONByte.backslash else {
        output.append(byte)
        position += 1
        continue
      }
      let letter = text[position + 1]
      position += 2
      switch letter {
      case UInt8(ascii: "b"): output.append(0x08)
      case UInt8(ascii: "f"): output.append(0x0C)
      case UInt8(ascii: "n"): output.append(0x0A)
      case UInt8(ascii: "r"): output.append(0x0D)
      case UInt8(ascii: "t"): output.append(0x09)
      case UInt8(ascii: "u"):
        for byte in scalar(text, &position, end: range.upperBound).utf8 { output.append(byte) }
      default: output.append(letter)
      }
    }
  }

  /// The scalar of the escape whose digits start at `position`; half of a surrogate pair is U+FFFD.
  private static func scalar(_ text: Span<UInt8>, _ position: inout Int, end: Int) -> Unicode.Scalar {
    let high = unit(text, position)
    position += 4
    if let scalar = Unicode.Scalar(high) { return scalar }
    if high < 0xDC00, position + 6 <= end, text[position] == JSONByte.backslash,
      text[position + 1] == UInt8(ascii: "u")
    {
      let low = unit(text, position + 2)
      if low & 0xFC00 == 0xDC00 {
        position += 6
        return Unicode.Scalar(0x10000 + (UInt32(high & 0x3FF) << 10 | UInt32(low & 0x3FF))) ?? "\u{FFFD}"
      }
    }
    return "\u{FFFD}"
  }

  private static func unit(_ text: Span<UInt8>, _ position: Int) -> UInt16 {
    var unit: UInt16 = 0
    for offset in 0..<4 { unit = unit << 4 | (hexDigit(text[position + offset]) ?? 0) }
    return unit
  }

  @inline(__always)
  static func hexDigit(_ byte: UInt8) -> UInt16? {
    switch byte {
    case 0x30...0x39: UInt16(byte - 0x30)
    case 0x41...0x46: UInt16(byte - 0x41 + 10)
    case 0x61...0x66: UInt16(byte - 0x61 + 10)
    default: nil
    }
  }
}
