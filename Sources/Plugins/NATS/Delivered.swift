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
    guard reply.starts(with: Self.prefix) else { return nil }
    var parts = reply.dropFirst(Self.prefix.count).split(
      separator: UInt8(ascii: "."), maxSplits: 11, omittingEmptySubsequences: false)
    if parts.count >= 9 { parts.removeFirst(2) }
    guard parts.count >= 7, let sequence = Self.number(parts[3]), let own = Self.number(parts[4]),
      let time = Self.number(parts[5])
    else { return nil }
    consumer = parts[1]
    self.sequence = sequence
    consumerSequence = own
    nanoseconds = Int64(clamping: time)
  }

  private static let prefix = Array("$JS.ACK.".utf8)

  static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
    guard (1...20).contains(digits.count) else { return nil }
    var value: UInt64 = 0
    for digit in digits {
      guard (0x30...0x39).contains(digit) else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      guard !overflow, product <= .max - 9 else { return nil }
      value = product + UInt64(digit - 0x30)
    }
    return value
  }
}
