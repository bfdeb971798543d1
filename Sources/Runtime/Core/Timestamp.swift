/// Times as messages and servers write them: RFC 3339 in UTC.
public enum Timestamp {
  /// Milliseconds since 1970 as JavaScript's `toISOString` writes them, `2026-07-12T18:03:11.204Z`; years 0 to 9999.
  public static func text(_ milliseconds: Int64) -> String {
    let bounded = min(max(milliseconds, -62_167_219_200_000), 253_402_300_799_999)
    let days = bounded.flooredQuotient(86_400_000)
    let time = bounded - days * 86_400_000
    let (year, month, day) = civil(days)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(24)
    func put(_ value: Int64, digits: Int, then mark: Unicode.Scalar) {
      var divisor: Int64 = digits == 4 ? 1000 : digits == 3 ? 100 : 10
      while divisor > 0 {
        bytes.append(0x30 + UInt8(truncatingIfNeeded: value / divisor % 10))
        divisor /= 10
      }
      bytes.append(UInt8(ascii: mark))
    }
    put(year, digits: 4, then: "-")
    put(month, digits: 2, then: "-")
    put(day, digits: 2, then: "T")
    put(time / 3_600_000, digits: 2, then: ":")
    put(time / 60_000 % 60, digits: 2, then: ":")
    put(time / 1000 % 60, digits: 2, then: ".")
    put(time % 1000, digits: 3, then: "Z")
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Milliseconds since 1970 of that form, with any number of decimals up to nineteen or none; nil for anything else.
  public static func milliseconds(_ text: String) -> Int64? {
    parts(text).map { $0.seconds * 1000 + $0.nanoseconds / 1_000_000 }
  }

  /// Nanoseconds since 1970; nil for anything else, and for years that 64 bits do not reach (1677 to 2262 they do).
  public static func nanoseconds(_ text: String) -> Int64? {
    guard let (seconds, nanoseconds) = parts(text) else { return nil }
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? nil : whole + nanoseconds
  }

  private static func parts(_ text: String) -> (seconds: Int64, nanoseconds: Int64)? {
    let bytes = Array(text.utf8)
    guard (20...40).contains(bytes.count), bytes.last == UInt8(ascii: "Z") else { return nil }
    func number(_ range: Range<Int>) -> Int64? {
      var value: Int64 = 0
      for byte in bytes[range] {
        guard byte >= 0x30, byte <= 0x39 else { return nil }
        value = value * 10 + Int64(byte - 0x30)
      }
      return value
    }
    for (index, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")] as [(Int, Unicode.Scalar)] {
      guard bytes[index] == UInt8(ascii: mark) else { return nil }
    }
    guard
      let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
      let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month), (1...31).contains(day),
      hour < 24, minute < 60, second < 61
    else { return nil }
    var fraction: Int64 = 0
    if bytes.count > 20 {
      let decimals = 20..<bytes.count - 1
      guard bytes[19] == UInt8(ascii: "."), !decimals.isEmpty else { return nil }
      for byte in bytes[decimals] where byte < 0x30 || byte > 0x39 { return nil }
      for index in 20..<29 { fraction = fraction * 10 + (decimals.contains(index) ? Int64(bytes[index] - 0x30) : 0) }
    }
    return (((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second, fraction)
  }

  // Days since 1970 and back in the proleptic Gregorian calendar, counted in eras of 400 years from 1 March
  // (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").

  private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = shifted.flooredQuotient(146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }

  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let year = month <= 2 ? year - 1 : year
    let era = year.flooredQuotient(400)
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

extension Int64 {
  fileprivate func flooredQuotient(_ divisor: Int64) -> Int64 {
    let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}
