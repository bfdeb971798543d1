/// ISO 8601 in UTC, as JavaScript's `toISOString` and XEP-0082 write it: `2026-07-12T18:03:11.204Z`.
enum Timestamp {
  /// Writes milliseconds since 1970; years 1970 to 9999.
  static func text(_ milliseconds: Int64) -> String {
    let bounded = min(max(milliseconds, 0), 253_402_300_799_999)
    let days = bounded / 86_400_000
    let time = bounded % 86_400_000
    // Days to a date, counted in eras of 400 years from 1 March (Howard Hinnant, "chrono-Compatible Low-Level Date
    // Algorithms").
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    var bytes: [UInt8] = []
    bytes.reserveCapacity(24)
    func put(_ number: Int64, _ width: Int, _ mark: Character) {
      var divisor: Int64 = 1
      for _ in 1..<width { divisor *= 10 }
      while divisor > 0 {
        bytes.append(UInt8(48 + number / divisor % 10))
        divisor /= 10
      }
      bytes.append(contentsOf: String(mark).utf8)
    }
    put(year, 4, "-")
    put(month, 2, "-")
    put(day, 2, "T")
    put(time / 3_600_000, 2, ":")
    put(time / 60_000 % 60, 2, ":")
    put(time / 1000 % 60, 2, ".")
    put(time % 1000, 3, "Z")
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Reads a DateTime of XEP-0082: `CCYY-MM-DDThh:mm:ss[.sss]TZD`; milliseconds since 1970, nil where it is malformed.
  static func milliseconds(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    func number(_ range: Range<Int>) -> Int64? {
      guard range.upperBound <= bytes.count else { return nil }
      var value: Int64 = 0
      for byte in bytes[range] {
        guard (48...57).contains(byte) else { return nil }
        value = value * 10 + Int64(byte - 48)
      }
      return value
    }
    guard bytes.count >= 20, bytes[4] == UInt8(ascii: "-"), bytes[10] == UInt8(ascii: "T"), let year = number(0..<4),
      let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13), let minute = number(14..<16),
      let second = number(17..<19), (1...12).contains(month), (1...31).contains(day), hour < 25, minute < 60, second < 61
    else { return nil }
    var position = 19
    var fraction: Int64 = 0
    if bytes[position] == UInt8(ascii: ".") {
      position += 1
      var digits = 0
      while position < bytes.count, (48...57).contains(bytes[position]) {
        if digits < 3 { fraction = fraction * 10 + Int64(bytes[position] - 48) }
        digits += 1
        position += 1
      }
      guard digits > 0 else { return nil }
      for _ in min(digits, 3)..<3 { fraction *= 10 }
    }
    var offset: Int64 = 0
    let zone = bytes[position...]
    if !(zone.elementsEqual("Z".utf8)) {
      guard zone.count == 6, let hours = number(position + 1..<position + 3), let minutes = number(position + 4..<position + 6),
        bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-")
      else { return nil }
      offset = (hours * 60 + minutes) * (bytes[position] == UInt8(ascii: "-") ? -1 : 1)
    }
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = shiftedYear / 400
    let yearOfEra = shiftedYear - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    let days = era * 146_097 + dayOfEra - 719_468
    return ((days * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1000 + fraction
  }
}
