/// A JSON number as it is written, so that no digit is lost; always valid by RFC 8259 section 6.
///
/// Two are equal when their texts are: `1.0`, `1` and `1e0` differ.
public struct JSONNumber: Hashable, Sendable, CustomStringConvertible {
  /// The number's text, for example `-12.50e3`.
  public let text: String

  /// Takes a text as it is; nil unless the whole of it is one number.
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    let end = try? JSONValidator.number(bytes.span, at: 0, end: bytes.count)
    guard end == bytes.count else { return nil }
    self.text = text
  }

  /// The shortest text that reads back as this value; nil for infinities and NaN, which JSON cannot say.
  public init?(_ value: Double) {
    guard value.isFinite else { return nil }
    text = value.description
  }

  /// For text that passed the validator.
  init(checked text: String) {
    self.text = text
  }

  /// The nearest double; an infinity beyond its range.
  public var double: Double { Double(text) ?? .nan }

  /// The text.
  public var description: String { text }

  /// The value of a checked number written as digits with at most a sign; nil for `-0` and past 64 bits.
  static func integer(_ text: Span<UInt8>, _ range: Range<Int>) -> Int64? {
    let isNegative = text[range.lowerBound] == JSONByte.minus
    var value: Int64 = 0
    for position in (isNegative ? range.lowerBound + 1 : range.lowerBound)..<range.upperBound {
      let digit = text[position] &- 0x30
      guard digit < 10 else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carried) =
        isNegative
        ? product.subtractingReportingOverflow(Int64(digit)) : product.addingReportingOverflow(Int64(digit))
      if overflow || carried { return nil }
      value = sum
    }
    return isNegative && value == 0 ? nil : value
  }
}
