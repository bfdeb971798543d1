/// Random UUIDs (RFC 9562, version 4), which name one process's instance of a handle.
public enum UUIDv4 {
  /// A new one, from the system's random numbers, in the usual lower-case form of 36 characters.
  public static func make() -> String {
    var generator = SystemRandomNumberGenerator()
    return make(&generator)
  }

  /// A new one from a given generator, so that simulations replay.
  public static func make(_ generator: inout some RandomNumberGenerator) -> String {
    let high = generator.next() & 0xffff_ffff_ffff_0fff | 0x4000
    let low = generator.next() & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
    let digits = Array((hex(high) + hex(low)).utf8)
    var text: [UInt8] = []
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { text.append(UInt8(ascii: "-")) }
      text.append(digit)
    }
    return String(decoding: text, as: UTF8.self)
  }

  private static func hex(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
