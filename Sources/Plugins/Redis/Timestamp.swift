/// ISO 8601 in UTC with milliseconds, as JavaScript's `toISOString` writes it: `2026-07-12T18:03:11.204Z`.
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
}
