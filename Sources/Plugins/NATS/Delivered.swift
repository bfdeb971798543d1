/// What a consumer's delivery says of itself by its reply subject:
/// `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<nanoseconds>.<pending>`, where servers with
/// domains have `<domain>.<account hash>` before the stream, and may append a token (ADR-15).
struct Delivered: Hashable, Sendable {
  /// The consumer's name.
  let consumer: ArraySlice<UInt8>
  /// The message's place in the stream.
  let sequence: UInt64
  /// The delivery's number among the consumer's.
  let consumerSequence: UInt64
  /// When the stream stored it, in nanoseconds since 1970.
  let nanoseconds: Int64

  /// Nil for any other subject.
  init?(_ reply: [UInt8]) {
    let mark = Self.prefix
    let bytes = reply.span
    let prefix = mark.span
    guard bytes.count > prefix.count else { return nil }
    for index in prefix.indices where bytes[index] != prefix[index] { return nil }
    // Where its parts end, at most the first twelve.
    var ends = InlineArray<12, Int>(repeating: 0)
    var count = 0
    for index in prefix.count..<bytes.count where bytes[index] == UInt8(ascii: ".") && count < 11 {
      ends[count] = index
      count += 1
    }
    ends[count] = bytes.count
    count += 1
    let skipped = count >= 9 ? 2 : 0
    func part(_ number: Int) -> Range<Int> { ends[number + skipped - 1] + 1..<ends[number + skipped] }
    guard count - skipped >= 7, let sequence = Self.number(bytes.extracting(part(3))),
      let own = Self.number(bytes.extracting(part(4))), let time = Self.number(bytes.extracting(part(5)))
    else { return nil }
    consumer = reply[part(1)]
    self.sequence = sequence
    consumerSequence = own
    nanoseconds = Int64(clamping: time)
  }

  static let prefix = Array("$JS.ACK.".utf8)

  /// A number in decimal digits, nothing else.
  static func number(_ digits: Span<UInt8>) -> UInt64? {
    guard (1...20).contains(digits.count) else { return nil }
    var value: UInt64 = 0
    for index in digits.indices {
      let digit = digits[index]
      guard (0x30...0x39).contains(digit) else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      guard !overflow, product <= .max - 9 else { return nil }
      value = product + UInt64(digit - 0x30)
    }
    return value
  }
}
