/// The bytes that RFC 8259 gives a meaning.
enum JSONByte {
  static var tab: UInt8 { 0x09 }
  static var newline: UInt8 { 0x0A }
  static var carriageReturn: UInt8 { 0x0D }
  static var space: UInt8 { 0x20 }
  static var quote: UInt8 { 0x22 }
  static var comma: UInt8 { 0x2C }
  static var minus: UInt8 { 0x2D }
  static var colon: UInt8 { 0x3A }
  static var openBracket: UInt8 { 0x5B }
  static var backslash: UInt8 { 0x5C }
  static var closeBracket: UInt8 { 0x5D }
  static var openBrace: UInt8 { 0x7B }
  static var closeBrace: UInt8 { 0x7D }
}

/// Eight bytes of text as one word, the first byte lowest, so that one test covers all eight.
///
/// Every mask has 0x80 at the matching bytes. Borrows may mark bytes *above* a true match, so only the lowest mark of a
/// mask (or of several joined by `|`) is exact; that is the one `firstMark` gives.
struct JSONWord {
  private let bits: UInt64
  private static var ones: UInt64 { 0x0101_0101_0101_0101 }
  private static var highs: UInt64 { 0x8080_8080_8080_8080 }

  /// Loads the bytes `offset ..< offset + 8`, which must lie inside `text`.
  @inline(__always)
  init(_ text: borrowing Span<UInt8>, at offset: Int) {
    precondition(offset >= 0 && offset <= text.count - 8)
    bits = unsafe UInt64(littleEndian: text.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inline(__always)
  func mask(equal byte: UInt8) -> UInt64 {
    let difference = bits ^ (Self.ones &* UInt64(byte))
    return (difference &- Self.ones) & ~difference & Self.highs
  }

  /// Bytes below 0x20.
  var controlMask: UInt64 {
    @inline(__always) get { (bits &- Self.ones &* 0x20) & ~bits & Self.highs }
  }

  /// Bytes from 0x80.
  var highMask: UInt64 {
    @inline(__always) get { bits & Self.highs }
  }

  /// Bytes that may not stand in a JSON string as they are, and 0xE2, which may begin U+2028.
  var escapeMask: UInt64 {
    @inline(__always) get {
      mask(equal: JSONByte.quote) | mask(equal: JSONByte.backslash) | controlMask | mask(equal: 0x7F)
        | mask(equal: 0xE2)
    }
  }

  /// The bytes in memory order.
  var littleEndian: UInt64 {
    @inline(__always) get { bits.littleEndian }
  }

  /// The place, 0 to 7, of the first byte in a mask that is not zero.
  @inline(__always)
  static func firstMark(_ mask: UInt64) -> Int { mask.trailingZeroBitCount >> 3 }
}

/// Sixteen bytes of text, so that one test covers all of them.
struct JSONBlock {
  private let bytes: SIMD16<UInt8>

  /// How many bytes a block has.
  static var length: Int { 16 }

  /// Loads the bytes `offset ..< offset + 16`, which must lie inside `text`.
  @inline(__always)
  init(_ text: borrowing Span<UInt8>, at offset: Int) {
    precondition(offset >= 0 && offset <= text.count - Self.length)
    bytes = unsafe text.bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
  }

  /// The place, 0 to 16, of the first quote or backslash.
  var quoteOrBackslash: Int {
    @inline(__always) get { Self.first(quotes) }
  }

  /// The place, 0 to 16, of the first byte that a reader must look at inside a string: a quote, a backslash, a control
  /// character or part of a character of several bytes.
  var notPlain: Int {
    @inline(__always) get { Self.first(quotes .| controls .| (bytes .>= SIMD16(repeating: 0x80))) }
  }

  /// The place, 0 to 16, of the first byte that may not stand in a JSON string as it is, or of 0xE2, which may begin
  /// U+2028.
  var escape: Int {
    @inline(__always) get {
      Self.first(quotes .| controls .| (bytes .== SIMD16(repeating: 0x7F)) .| (bytes .== SIMD16(repeating: 0xE2)))
    }
  }

  private var quotes: SIMDMask<SIMD16<Int8>> {
    @inline(__always) get {
      (bytes .== SIMD16(repeating: JSONByte.quote)) .| (bytes .== SIMD16(repeating: JSONByte.backslash))
    }
  }

  private var controls: SIMDMask<SIMD16<Int8>> {
    @inline(__always) get { bytes .< SIMD16(repeating: JSONByte.space) }
  }

  @inline(__always)
  private static func first(_ marks: SIMDMask<SIMD16<Int8>>) -> Int {
    // Two words of 0xFF where a mark is, the first byte lowest.
    let halves = unsafe unsafeBitCast(marks, to: SIMD2<UInt64>.self)
    if halves.x != 0 { return UInt64(littleEndian: halves.x).trailingZeroBitCount >> 3 }
    return halves.y == 0 ? length : 8 + UInt64(littleEndian: halves.y).trailingZeroBitCount >> 3
  }

  /// Stores all sixteen bytes.
  @inline(__always)
  func store(to place: UnsafeMutableRawPointer) { unsafe place.storeBytes(of: bytes, as: SIMD16<UInt8>.self) }
}

extension Array<UInt8> {
  /// Appends `text[range]` with one copy; the range must lie inside `text`.
  @inline(__always)
  mutating func append(_ range: Range<Int>, of text: borrowing Span<UInt8>) {
    unsafe text.extracting(range).withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}
