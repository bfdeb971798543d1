import Glibc

/// An IPv6 address, or an IPv4 one as the IPv6 address it is mapped to (RFC 4291 section 2.5.5.2).
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// The 16 bytes, in network order.
  package let bytes: [UInt8]

  /// Takes 16 bytes in network order.
  package init(bytes: [UInt8]) {
    precondition(bytes.count == 16, "an address has 16 bytes")
    self.bytes = bytes
  }

  /// A numeric address without brackets, zone or port; nil for anything else.
  package init?(_ text: String) {
    var four = in_addr()
    var six = in6_addr()
    if unsafe inet_pton(AF_INET, text, &four) == 1 {
      let last = unsafe withUnsafeBytes(of: &four) { unsafe Array($0) }
      bytes = Self.mapped + last
    } else if unsafe inet_pton(AF_INET6, text, &six) == 1 {
      bytes = unsafe withUnsafeBytes(of: &six) { unsafe Array($0) }
    } else {
      return nil
    }
  }

  private static let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]

  /// It is an IPv4 address.
  package var isFour: Bool { bytes.starts(with: Self.mapped) }

  /// It leads to this machine: 127.0.0.0/8 or ::1.
  package var isLoopback: Bool { isFour ? bytes[12] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1 }

  /// It belongs to a machine on the public network, by the registries of special addresses (RFC 6890, IANA): none of
  /// this machine, of private networks, of one link, of translators, of documentation, multicast or the future.
  package var isPublic: Bool {
    guard !isFour else { return !Self.special.contains { $0.contains(self) } }
    // All that is given out so far (2000::/3).
    return bytes[0] >> 5 == 1 && !Self.special.contains { $0.contains(self) }
  }

  private static let special = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/3", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
  ].compactMap(AddressRange.init)

  package var description: String {
    if isFour { return bytes[12...].map(String.init).joined(separator: ".") }
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    let found = unsafe bytes.withUnsafeBytes { unsafe inet_ntop(AF_INET6, $0.baseAddress, &text, UInt32(text.count)) }
    guard unsafe found != nil else { return "?" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// Addresses that share their first bits, written `10.0.0.0/8`, `fd00::/8`, or as a single address (RFC 4632).
package struct AddressRange: Hashable, Sendable {
  private let base: IPAddress
  private let bits: Int

  /// Reads a range; nil where the text is none. Bits behind the prefix are ignored.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard let first = parts.first, let base = IPAddress(first), parts.count <= 2 else { return nil }
    let width = base.isFour && !first.contains(":") ? 32 : 128
    var length = width
    if parts.count == 2 {
      guard let given = Int(parts[1]), (0...width).contains(given), String(given) == parts[1] else { return nil }
      length = given
    }
    self.base = base
    bits = length + 128 - width
  }

  /// Whether the address is one of them.
  package func contains(_ address: IPAddress) -> Bool {
    let (whole, rest) = bits.quotientAndRemainder(dividingBy: 8)
    guard address.bytes[..<whole] == base.bytes[..<whole] else { return false }
    guard rest > 0 else { return true }
    return (address.bytes[whole] ^ base.bytes[whole]) >> UInt8(8 - rest) == 0
  }
}
