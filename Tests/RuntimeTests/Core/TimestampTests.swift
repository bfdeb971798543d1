import ParleyRuntime
import Testing

struct TimestampTests {
  @Test(arguments: [
    (0, "1970-01-01T00:00:00.000Z"), (1_783_879_391_204, "2026-07-12T18:03:11.204Z"),
    (951_782_400_000, "2000-02-29T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
    (253_402_300_799_999, "9999-12-31T23:59:59.999Z"), (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
  ])
  func bothWays(_ milliseconds: Int64, _ text: String) {
    #expect(Timestamp.text(milliseconds) == text)
    #expect(Timestamp.milliseconds(text) == milliseconds)
  }

  @Test func everyDayOfFourCenturiesComesBack() {
    for day in stride(from: -10_957, to: 146_097, by: 1) as StrideTo<Int64> {
      let time = day * 86_400_000 + 12_345_678
      #expect(Timestamp.milliseconds(Timestamp.text(time)) == time)
    }
  }

  @Test func decimals() {
    #expect(Timestamp.nanoseconds("2026-07-12T18:03:11.204123456Z") == 1_783_879_391_204_123_456)
    #expect(Timestamp.nanoseconds("2026-07-12T18:03:11.2Z") == 1_783_879_391_200_000_000)
    #expect(Timestamp.nanoseconds("2026-07-12T18:03:11Z") == 1_783_879_391_000_000_000)
    #expect(Timestamp.milliseconds("2026-07-12T18:03:11.2049999999Z") == 1_783_879_391_204)
    #expect(Timestamp.nanoseconds("9999-12-31T23:59:59Z") == nil)
  }

  @Test(arguments: [
    "", "2026-07-12", "2026-07-12T18:03:11", "2026-07-12 18:03:11Z", "2026-13-12T18:03:11Z", "2026-07-32T18:03:11Z",
    "2026-07-12T24:03:11Z", "2026-07-12T18:60:11Z", "2026-07-12T18:03:61Z", "2026-07-12T18:03:11.Z",
    "2026-07-12T18:03:11.2x4Z", "2026-07-12T18:03:11.204+02:00", "x026-07-12T18:03:11.204Z",
  ])
  func anythingElseIsRefused(_ text: String) {
    #expect(Timestamp.milliseconds(text) == nil)
  }
}
