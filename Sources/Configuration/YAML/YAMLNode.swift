/// A value of a YAML 1.2 document with the place where it stands; aliases are already replaced by what they name.
package struct YAMLNode: Sendable {
  /// A place in a file; both numbers begin at 1.
  package struct Mark: Hashable, Sendable {
    package var line: Int
    package var column: Int
  }

  /// One key and its value.
  package struct Entry: Sendable {
    package let key: String
    package let mark: Mark
    package let value: YAMLNode
  }

  /// What stands there.
  package indirect enum Value: Sendable {
    /// Text as it was written, without quotes; `isPlain` when it had none, so that it may mean a number.
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    case mapping([Entry])
  }

  package let value: Value
  package let mark: Mark

  /// The entry of that key, where this is a mapping.
  package subscript(key: String) -> Entry? {
    if case .mapping(let entries) = value { entries.first { $0.key == key } } else { nil }
  }
}

/// A scalar by the core schema of YAML 1.2.2 (section 10.3.2).
package enum YAMLScalar: Equatable, Sendable {
  case null
  case boolean(Bool)
  /// A whole number that fits.
  case integer(Int)
  /// Any other number.
  case number(Double)
  case string(String)

  /// What a plain scalar means.
  package init(plain text: String) {
    switch text {
    case "", "~", "null", "Null", "NULL": self = .null
    case "true", "True", "TRUE": self = .boolean(true)
    case "false", "False", "FALSE": self = .boolean(false)
    default: self = Self.number(text) ?? .string(text)
    }
  }

  private static func number(_ text: String) -> YAMLScalar? {
    if text.hasPrefix("0x") || text.hasPrefix("0o") {
      let digits = text.dropFirst(2)
      guard digits.utf8.allSatisfy(isAlphanumeric) else { return nil }
      return Int(digits, radix: text.hasPrefix("0x") ? 16 : 8).map { .integer($0) }
    }
    let sign = text.utf8.first == UInt8(ascii: "-") || text.utf8.first == UInt8(ascii: "+")
    let unsigned = sign ? text.dropFirst() : text[...]
    if [".inf", ".Inf", ".INF"].contains(unsigned) {
      return .number(text.hasPrefix("-") ? -Double.infinity : Double.infinity)
    }
    if [".nan", ".NaN", ".NAN"].contains(text) { return .number(.nan) }
    // Double(_:) reads more forms than the core schema has: hexadecimal, "inf", "nan", "infinity".
    guard let first = unsigned.utf8.first, isDigit(first) || first == UInt8(ascii: "."),
      unsigned.utf8.contains(where: isDigit), unsigned.utf8.allSatisfy(isNumberByte)
    else { return nil }
    if let value = Int(text) { return .integer(value) }
    return Double(text).map { .number($0) }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }
  private static func isNumberByte(_ byte: UInt8) -> Bool { isDigit(byte) || "+-.eE".utf8.contains(byte) }
}

/// What the parser found wrong, and where.
package struct YAMLError: Error, Equatable, Sendable {
  package let mark: YAMLNode.Mark
  package let reason: String
}
