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
    entries.filter { isNamed($0, name) }.map { text($0.value) }
  }

  /// The members of a comma-separated list, over all its lines, in lower case.
  package func list(_ name: String) -> [String] {
    all(name).flatMap { $0.split(separator: ",") }.map { Self.trimmed($0).lowercased() }.filter { !$0.isEmpty }
  }

  /// Text without spaces and tabs at its ends.
  package static func trimmed(_ text: some StringProtocol) -> String {
    let isSpace = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    var bytes = Array(text.utf8)[...]
    while let first = bytes.first, isSpace(first) { bytes.removeFirst() }
    while let last = bytes.last, isSpace(last) { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
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
