/// The one strict pass over a text: grammar (RFC 8259), UTF-8 (RFC 3629), depth.
///
/// It does not recurse: one bit per level says whether that level is an object, so 64 levels are the most it can hold.
struct JSONValidator {
  /// The most levels of arrays and objects that any text may have.
  static var deepest: Int { 64 }

  private let end: Int
  private let limit: Int
  private var position: Int
  private(set) var hasLoneSurrogate = false

  /// Checks `text[range]`; throws the first fault, its offset counted from the range's start.
  ///
  /// Returns where the value lies, white space and byte order mark left out, and whether an escape names half of a
  /// surrogate pair.
  static func check(
    _ text: Span<UInt8>, in range: Range<Int>, depth: Int
  ) throws(JSONError) -> (value: Range<Int>, hasLoneSurrogate: Bool) {
    var validator = JSONValidator(end: range.upperBound, limit: min(depth, deepest), position: range.lowerBound)
    do throws(JSONError) {
      let value = try validator.run(text)
      return (value, validator.hasLoneSurrogate)
    } catch {
      throw JSONError(error.code, at: error.offset - range.lowerBound)
    }
  }

  private init(end: Int, limit: Int, position: Int) {
    self.end = end
    self.limit = limit
    self.position = position
  }

  private mutating func run(_ text: Span<UInt8>) throws(JSONError) -> Range<Int> {
    if end - position >= 3, text[position] == 0xEF, text[position + 1] == 0xBB, text[position + 2] == 0xBF {
      position += 3
    }
    try skipSpace(text)
    let start = position
    var depth = 0
    var objects: UInt64 = 0

    value: while true {
      let byte = text[position]
      switch byte {
      case JSONByte.quote:
        try string(text)
      case JSONByte.openBrace, JSONByte.openBracket:
        guard depth < limit else { throw JSONError(.depthExceeded, at: position) }
        let isObject = byte == JSONByte.openBrace
        depth += 1
        objects = objects << 1 | (isObject ? 1 : 0)
        position += 1
        try skipSpace(text)
        if text[position] != (isObject ? JSONByte.closeBrace : JSONByte.closeBracket) {
          if isObject { try key(text) }
          continue value
        }
        position += 1
        depth -= 1
        objects >>= 1
      case JSONByte.minus, 0x30...0x39:
        position = try Self.number(text, at: position, end: end)
      case UInt8(ascii: "t"): try literal("true", text)
      case UInt8(ascii: "f"): try literal("false", text)
      case UInt8(ascii: "n"): try literal("null", text)
      default: throw JSONError(.syntax, at: position)
      }

      while depth > 0 {
        try skipSpace(text)
        let isObject = objects & 1 == 1
        let next = text[position]
        if next == JSONByte.comma {
          position += 1
          try skipSpace(text)
          if isObject { try key(text) }
          continue value
        }
        guard next == (isObject ? JSONByte.closeBrace : JSONByte.closeBracket) else {
          throw JSONError(.syntax, at: position)
        }
        position += 1
        depth -= 1
        objects >>= 1
      }
      break
    }

    let range = start..<position
    while position < end {
      guard Self.isSpace(text[position]) else { throw JSONError(.trailingBytes, at: position) }
      position += 1
    }
    return range
  }

  @inline(__always)
  static func isSpace(_ byte: UInt8) -> Bool {
    byte == JSONByte.space || byte == JSONByte.newline || byte == JSONByte.carriageReturn || byte == JSONByte.tab
  }

  /// Stops at the next byte that is not white space; the end of the text is an error, so the caller may read that byte.
  @inline(__always)
  private mutating func skipSpace(_ text: Span<UInt8>) throws(JSONError) {
    while position < end {
      if !Self.isSpace(text[position]) { return }
      position += 1
    }
    throw JSONError(.unexpectedEnd, at: end)
  }

  /// A member's name, its colon and the space after it.
  @inline(__always)
  private mutating func key(_ text: Span<UInt8>) throws(JSONError) {
    guard text[position] == JSONByte.quote else { throw JSONError(.syntax, at: position) }
    try string(text)
    try skipSpace(text)
    guard text[position] == JSONByte.colon else { throw JSONError(.syntax, at: position) }
    position += 1
    try skipSpace(text)
  }

  private mutating func literal(_ word: String, _ text: Span<UInt8>) throws(JSONError) {
    for letter in word.utf8 {
      guard position < end else { throw JSONError(.unexpectedEnd, at: end) }
      guard text[position] == letter else { throw JSONError(.syntax, at: position) }
      position += 1
    }
  }

  /// The place after the number that starts at `start` (RFC 8259 section 6).
  static func number(_ text: Span<UInt8>, at start: Int, end: Int) throws(JSONError) -> Int {
    var position = start
    if position < end, text[position] == JSONByte.minus { position += 1 }
    let first = position
    try digits(text, &position, end)
    if text[first] == 0x30, position > first + 1 { throw JSONError(.invalidNumber, at: first + 1) }
    if position < end, text[position] == UInt8(ascii: ".") {
      position += 1
      try digits(text, &position, end)
    }
    if position < end, text[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if position < end, text[position] == UInt8(ascii: "+") || text[position] == JSONByte.minus { position += 1 }
      try digits(text, &position, end)
    }
    if position < end {
      switch text[position] {
      case UInt8(ascii: "."), UInt8(ascii: "+"), JSONByte.minus: throw JSONError(.invalidNumber, at: position)
      default: break
      }
    }
    return position
  }

  @inline(__always)
  private static func digits(_ text: Span<UInt8>, _ position: inout Int, _ end: Int) throws(JSONError) {
    let start = position
    while position < end, text[position] &- 0x30 < 10 { position += 1 }
    if position == start {
      throw position < end ? JSONError(.invalidNumber, at: position) : JSONError(.unexpectedEnd, at: end)
    }
  }

  /// A string from its opening quote to the place after its closing one.
  @inline(__always)
  private mutating func string(_ text: Span<UInt8>) throws(JSONError) {
    position += 1
    while true {
      while position <= end - JSONBlock.length {
        let plain = JSONBlock(text, at: position).notPlain
        position += plain
        if plain < JSONBlock.length { break }
      }
      while position <= end - 8 {
        let word = JSONWord(text, at: position)
        let stops =
          word.mask(equal: JSONByte.quote) | word.mask(equal: JSONByte.backslash) | word.controlMask | word.highMask
        if stops != 0 {
          position += JSONWord.firstMark(stops)
          break
        }
        position += 8
      }
      guard position < end else { throw JSONError(.unexpectedEnd, at: end) }
      let byte = text[position]
      if byte == JSONByte.quote {
        position += 1
        return
      }
      if byte >= 0x80 {
        position = try Self.scalar(text, at: position, end: end)
      } else if byte == JSONByte.backslash {
        try escape(text)
      } else if byte < 0x20 {
        throw JSONError(.controlCharacter, at: position)
      } else {
        position += 1
      }
    }
  }

  /// The place after the multi-byte UTF-8 sequences that start here (RFC 3629 section 4).
  private static func scalar(_ text: Span<UInt8>, at start: Int, end: Int) throws(JSONError) -> Int {
    var position = start
    repeat {
      let lead = text[position]
      let length: Int
      var lowest: UInt8 = 0x80
      var highest: UInt8 = 0xBF
      switch lead {
      case 0xC2...0xDF: length = 2
      case 0xE0:
        length = 3
        lowest = 0xA0
      case 0xED:
        length = 3
        highest = 0x9F
      case 0xE1...0xEF: length = 3
      case 0xF0:
        length = 4
        lowest = 0x90
      case 0xF4:
        length = 4
        highest = 0x8F
      case 0xF1...0xF3: length = 4
      default: throw JSONError(.invalidUTF8, at: position)
      }
      guard position + length <= end else { throw JSONError(.invalidUTF8, at: position) }
      guard text[position + 1] >= lowest, text[position + 1] <= highest else {
        throw JSONError(.invalidUTF8, at: position)
      }
      if length > 2, text[position + 2] & 0xC0 != 0x80 { throw JSONError(.invalidUTF8, at: position) }
      if length > 3, text[position + 3] & 0xC0 != 0x80 { throw JSONError(.invalidUTF8, at: position) }
      position += length
    } while position < end && text[position] >= 0x80
    return position
  }

  private mutating func escape(_ text: Span<UInt8>) throws(JSONError) {
    guard position + 1 < end else { throw JSONError(.unexpectedEnd, at: end) }
    switch text[position + 1] {
    case JSONByte.quote, JSONByte.backslash, UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      position += 2
    case UInt8(ascii: "u"):
      let unit = try hexUnit(text)
      guard unit & 0xF800 == 0xD800 else { return }
      // A pair is two escapes in a row, high then low (RFC 8259 section 7); anything else is half of one.
      if unit < 0xDC00, position + 1 < end, text[position] == JSONByte.backslash,
        text[position + 1] == UInt8(ascii: "u")
      {
        let afterFirst = position
        if try hexUnit(text) & 0xFC00 == 0xDC00 { return }
        position = afterFirst
      }
      hasLoneSurrogate = true
    default:
      throw JSONError(.invalidEscape, at: position + 1)
    }
  }

  /// Reads `\uXXXX`, the backslash at the position.
  private mutating func hexUnit(_ text: Span<UInt8>) throws(JSONError) -> UInt16 {
    var unit: UInt16 = 0
    for offset in 2..<6 {
      guard position + offset < end else { throw JSONError(.unexpectedEnd, at: end) }
      guard let digit = JSONString.hexDigit(text[position + offset]) else {
        throw JSONError(.invalidEscape, at: position + offset)
      }
      unit = unit << 4 | digit
    }
    position += 6
    return unit
  }
}
