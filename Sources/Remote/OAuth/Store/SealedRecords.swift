import ParleyRuntime
import ParleyTLS

/// The records of a store as text: a line for each, before it the record's code under the server's key. A record whose
/// code is wrong does not count: nothing is granted by it.
package struct SealedRecords {
  package static let header = "parley auth 1"

  /// What could be read.
  package private(set) var state = AuthState()
  /// Lines that are not this server's.
  package private(set) var refused = 0

  /// Reads a text; none at all is an empty store. Throws where it is of another version: nothing is written over what
  /// cannot be read.
  package init(_ bytes: [UInt8], at place: String, key: ServerKey) throws(AuthStoreError) {
    let lines = bytes.split(separator: UInt8(ascii: "\n"))
    guard let first = lines.first else { return }
    guard first.elementsEqual(Self.header.utf8) else {
      throw AuthStoreError("\(place): it is of another version, or damaged")
    }
    for line in lines.dropFirst() where !take(line, key) { refused += 1 }
    if refused > 0 {
      Log.write(.error, "records of the auth store are not this server's", [("store", place), ("count", "\(refused)")])
    }
  }

  private mutating func take(_ line: ArraySlice<UInt8>, _ key: ServerKey) -> Bool {
    guard let space = line.firstIndex(of: UInt8(ascii: " ")),
      let code = Base64.decodeURL(String(decoding: line[..<space], as: UTF8.self))
    else { return false }
    let text = Array(line[(space + 1)...])
    guard code.isIdentical(to: key.code(text, for: .record)), let record = StoredRecord(text) else { return false }
    return state.take(record)
  }

  /// The text of a state.
  package static func bytes(of state: AuthState, key: ServerKey) -> [UInt8] {
    var bytes = Array((header + "\n").utf8)
    for record in state.records {
      let text = Array(record.text.utf8)
      bytes += Base64.encodeURL(key.code(text, for: .record)).utf8
      bytes.append(UInt8(ascii: " "))
      bytes += text
      bytes.append(UInt8(ascii: "\n"))
    }
    return bytes
  }
}
