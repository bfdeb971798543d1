/// Base 64 (RFC 4648): the usual form with padding, and the one for addresses and file names without.
package enum Base64 {
  private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let address = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// Section 4, with padding.
  package static func encode(_ bytes: [UInt8]) -> String { encode(bytes, standard, isPadded: true) }

  /// Section 5, without padding, as OAuth and JWTs carry it.
  package static func encodeURL(_ bytes: [UInt8]) -> String { encode(bytes, address, isPadded: false) }

  /// Section 4, with padding; nil where it is malformed.
  package static func decode(_ text: String) -> [UInt8]? { decode(text, standard, isPadded: true) }

  /// Section 5, without padding; nil where it is malformed, or another text would mean the same bytes.
  package static func decodeURL(_ text: String) -> [UInt8]? {
    guard let bytes = decode(text, address, isPadded: false), encodeURL(bytes) == text else { return nil }
    return bytes
  }

  private static func encode(_ bytes: [UInt8], _ alphabet: [UInt8], isPadded: Bool) -> String {
    var output: [UInt8] = []
    output.reserveCapacity((bytes.count + 2) / 3 * 4)
    var start = 0
    while start < bytes.count {
      let count = min(3, bytes.count - start)
      var word = Int(bytes[start]) << 16
      if count > 1 { word |= Int(bytes[start + 1]) << 8 }
      if count > 2 { word |= Int(bytes[start + 2]) }
      output.append(alphabet[word >> 18])
      output.append(alphabet[word >> 12 & 63])
      if count > 1 { output.append(alphabet[word >> 6 & 63]) }
      if count > 2 { output.append(alphabet[word & 63]) }
      start += 3
    }
    while isPadded, output.count % 4 != 0 { output.append(UInt8(ascii: "=")) }
    return String(decoding: output, as: UTF8.self)
  }

  private static func decode(_ text: String, _ alphabet: [UInt8], isPadded: Bool) -> [UInt8]? {
    var output: [UInt8] = []
    output.reserveCapacity(text.utf8.count * 3 / 4)
    var (word, bits): (UInt32, UInt32) = (0, 0)
    var (count, padding) = (0, 0)
    for byte in text.utf8 {
      if byte == UInt8(ascii: "="), isPadded {
        padding += 1
        continue
      }
      guard padding == 0, let value = value(of: byte, alphabet) else { return nil }
      word = word << 6 | UInt32(value)
      bits += 6
      count += 1
      guard bits >= 8 else { continue }
      bits -= 8
      output.append(UInt8(truncatingIfNeeded: word >> bits))
    }
    guard (count + padding) % 4 == 0 || !isPadded, count % 4 != 1, padding <= 2 else { return nil }
    return output
  }

  private static func value(of byte: UInt8, _ alphabet: [UInt8]) -> UInt8? {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
    case alphabet[62]: 62
    case alphabet[63]: 63
    default: nil
    }
  }
}
