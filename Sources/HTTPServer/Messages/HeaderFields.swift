/// The header section of a request as it came: names in any case, values without the white space around them.
///
/// Values are visible ASCII, spaces, tabs and bytes from 0x80 (RFC 9110 section 5.5), checked by the parser.
package struct HeaderFields: Sendable {
  struct Entry: Sendable {
    let name: Range<Int>
    let value: Range<Int>
  }

  /// The whole head of the request, into which the entries point.
  let bytes: [UInt8]
  let entries: [Entry]

  /// How many lines there are.
  package var count: Int { entries.count }

  /// The value of the first line with this name, in any case.
  package subscript(name: String) -> String? {
    for entry in entries where isNamed(entry, name) { return text(entry.value) }
    return nil
  }

  /// The values of all lines with this name, in order.
  package func all(_ name: String) -> [String] {
    var values: [String] = []
    for entry in entries where isNamed(entry, name) { values.append(text(entry.value)) }
    return values
  }

  /// The value of the one line with this name, as it came; nil where there is none, or more than one.
  package func only(_ name: String) -> ArraySlice<UInt8>? {
    var found: ArraySlice<UInt8>?
    for entry in entries where isNamed(entry, name) {
      guard found == nil else { return nil }
      found = bytes[entry.value]
    }
    return found
  }

  /// Calls `body` with each member of a comma-separated list, over all its lines, without the white space around it;
  /// stops where it returns false.
  func forEachMember(of name: String, _ body: (ArraySlice<UInt8>) -> Bool) {
    for entry in entries where isNamed(entry, name) {
      var rest = bytes[entry.value]
      while !rest.isEmpty {
        let end = rest.firstIndex(of: UInt8(ascii: ",")) ?? rest.endIndex
        let member = Self.trimmed(rest[..<end])
        if !member.isEmpty, !body(member) { return }
        rest = end < rest.endIndex ? rest[(end + 1)...] : []
      }
    }
  }

  /// The members of a comma-separated list, over all its lines, in lower case.
  package func list(_ name: String) -> [String] {
    all(name).flatMap { $0.split(separator: ",") }.map { Self.trimmed($0).lowercased() }.filter { !$0.isEmpty }
  }

  /// Text without spaces and tabs at its ends.
  package static func trimmed(_ text: some StringProtocol) -> String {
    String(decoding: trimmed(Array(text.utf8)[...]), as: UTF8.self)
  }

  /// Bytes without spaces and tabs at their ends.
  package static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let isSpace = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    var rest = bytes
    while let first = rest.first, isSpace(first) { rest = rest.dropFirst() }
    while let last = rest.last, isSpace(last) { rest = rest.dropLast() }
    return rest
  }

  /// Whether bytes are this text, in any case.
  package static func isSame(_ bytes: ArraySlice<UInt8>, _ text: String) -> Bool {
    bytes.count == text.utf8.count && bytes.elementsEqual(text.utf8) { lower($0) == lower($1) }
  }

  private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  private func isNamed(_ entry: Entry, _ name: String) -> Bool {
    entry.name.count == name.utf8.count
      && bytes[entry.name].elementsEqual(name.utf8) { Self.lower($0) == Self.lower($1) }
  }

  private static func lower(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
  }
}
