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
  init?(_ text: some StringProtocol) {
    let parts = text.utf8.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
    var numbers: [UInt64] = []
    for part in parts {
      guard (1...20).contains(part.count) else { return nil }
      var number: UInt64 = 0
      for byte in part {
        guard byte >= 0x30, byte <= 0x39 else { return nil }
        let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
        let (sum, isOver) = product.addingReportingOverflow(UInt64(byte - 0x30))
        guard !isTooLarge, !isOver else { return nil }
        number = sum
      }
      numbers.append(number)
    }
    self.init(milliseconds: numbers[0], sequence: numbers.count == 2 ? numbers[1] : 0)
  }

  var description: String { "\(milliseconds)-\(sequence)" }

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
