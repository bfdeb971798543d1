/// The id of a stream's entry: milliseconds and a number within them; ordered as the server orders them.
struct StreamID: Hashable, Comparable, Sendable, CustomStringConvertible {
  var milliseconds: UInt64
  var sequence: UInt64

  static let zero = StreamID(milliseconds: 0, sequence: 0)

  init(milliseconds: UInt64, sequence: UInt64) {
    self.milliseconds = milliseconds
    self.sequence = sequence
  }

  /// Reads `ms-seq`, or `ms` alone, which the server takes for `ms-0`; nil for anything else.
  init?(_ text: some StringProtocol) { self.init(utf8: text.utf8) }

  /// The same of its bytes.
  init?(utf8 bytes: some Sequence<UInt8>) {
    var numbers: (UInt64, UInt64) = (0, 0)
    var digits = 0
    var isSecond = false
    for byte in bytes {
      if byte == UInt8(ascii: "-"), !isSecond, digits > 0 {
        numbers.1 = numbers.0
        numbers.0 = 0
        digits = 0
        isSecond = true
        continue
      }
      digits += 1
      guard byte >= 0x30, byte <= 0x39, digits <= 20 else { return nil }
      let (product, isTooLarge) = numbers.0.multipliedReportingOverflow(by: 10)
      let (sum, isOver) = product.addingReportingOverflow(UInt64(byte - 0x30))
      guard !isTooLarge, !isOver else { return nil }
      numbers.0 = sum
    }
    guard digits > 0 else { return nil }
    self.init(milliseconds: isSecond ? numbers.1 : numbers.0, sequence: isSecond ? numbers.0 : 0)
  }

  var description: String { String(milliseconds) + "-" + String(sequence) }

  /// The greatest id that is smaller, for reads that exclude the id they are given.
  var predecessor: StreamID {
    if sequence > 0 { return StreamID(milliseconds: milliseconds, sequence: sequence - 1) }
    guard milliseconds > 0 else { return .zero }
    return StreamID(milliseconds: milliseconds - 1, sequence: .max)
  }

  static func < (a: StreamID, b: StreamID) -> Bool {
    (a.milliseconds, a.sequence) < (b.milliseconds, b.sequence)
  }
}
