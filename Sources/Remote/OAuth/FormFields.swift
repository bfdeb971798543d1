import ParleyRuntime

/// Fields of a query or of a form (`application/x-www-form-urlencoded`, WHATWG URL section 5.1).
package struct FormFields: Sendable {
  private static let limit = 64
  package let entries: [(name: String, value: String)]

  /// Nil where it is malformed, not UTF-8, or has more than 64 fields.
  package init?(_ text: some StringProtocol) {
    var found: [(name: String, value: String)] = []
    for pair in text.utf8.split(separator: UInt8(ascii: "&")) {
      let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard found.count < Self.limit, let name = Self.decode(parts[0]),
        let value = Self.decode(parts.count > 1 ? parts[1] : pair[pair.endIndex...])
      else { return nil }
      found.append((name, value))
    }
    entries = found
  }

  package init?(_ body: [UInt8]) {
    guard let text = String(validating: body, as: UTF8.self) else { return nil }
    self.init(text)
  }

  /// The value of a field that is there once; empty counts as absent (RFC 6749 section 3.1).
  package subscript(name: String) -> String? {
    let values = all(name)
    return values.count == 1 && values[0] != "" ? values[0] : nil
  }

  package func all(_ name: String) -> [String] { entries.filter { $0.name.utf8.elementsEqual(name.utf8) }.map(\.value) }

  /// Whether one of these names is there more than once.
  package func repeats(_ names: [String]) -> Bool { names.contains { all($0).count > 1 } }

  private static func decode(_ text: some Collection<UInt8>) -> String? {
    var bytes: [UInt8] = []
    var rest = text[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
      case UInt8(ascii: "%"):
        guard let high = rest.popFirst().flatMap(hex), let low = rest.popFirst().flatMap(hex) else { return nil }
        bytes.append(high << 4 | low)
      default: bytes.append(byte)
      }
    }
    guard !bytes.contains(0) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func hex(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }

  /// Text as it may stand in a query: everything but unreserved characters escaped (RFC 3986 section 2.3).
  package static func encode(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      let isLetter = (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
      if isLetter || "-._~".utf8.contains(byte) {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
