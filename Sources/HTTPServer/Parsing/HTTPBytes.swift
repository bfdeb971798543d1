/// The classes of bytes of RFC 9110 section 5.6 and RFC 3986.
enum HTTPBytes {
  static let cr = UInt8(ascii: "\r")
  static let lf = UInt8(ascii: "\n")
  static let space = UInt8(ascii: " ")
  static let tab = UInt8(ascii: "\t")

  private static let tokens = table("!#$%&'*+-.^_`|~")
  private static let authorities = table("-._~:[]")

  /// Letters, digits and these.
  private static func table(_ others: String) -> [Bool] {
    var table = [Bool](repeating: false, count: 256)
    for byte in (others + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ").utf8 {
      table[Int(byte)] = true
    }
    return table
  }

  /// `tchar`.
  static func isToken(_ byte: UInt8) -> Bool { tokens[Int(byte)] }

  /// `field-vchar`, a space or a tab.
  static func isFieldValue(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == tab }

  static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  static func hexValue(_ byte: UInt8) -> Int? {
    switch byte {
    case 0x30...0x39: Int(byte) - 0x30
    case 0x41...0x46: Int(byte) - 0x37
    case 0x61...0x66: Int(byte) - 0x57
    default: nil
    }
  }

  /// What may stand in a host and port: `reg-name`, IPv4, bracketed IPv6 (RFC 3986 section 3.2.2), without escapes.
  static func isAuthority(_ byte: UInt8) -> Bool { authorities[Int(byte)] }
}
