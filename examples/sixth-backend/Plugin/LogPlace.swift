import ParleyRuntime

/// A place in a topic's log: after the message with this number, in the log of this generation.
struct LogPlace: Hashable, Sendable {
  /// Eight hexadecimal digits, drawn when a topic's file is made.
  var generation: String
  /// Messages count from 1 and are never numbered anew, so nothing is before 0.
  var number: Int

  /// Where a topic stands that has no file yet.
  static let beginning = LogPlace(generation: "00000000", number: 0)

  /// As callers keep it.
  var cursor: Cursor { Cursor(backend: "filelog", generation: generation, native: String(number)) }
  /// The id of the message just before this place.
  var id: MessageID { MessageID("\(generation)-\(number)") }

  init(generation: String, number: Int) {
    self.generation = generation
    self.number = number
  }

  /// Judges a caller's cursor, or an id used as one. Throws `cursorInvalid` when it is neither.
  init(_ cursor: Cursor) throws(SeamError) {
    let parts = try cursor.parts(for: "filelog")
    let bare = parts.native.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    let generation = parts.generation ?? (bare.count == 2 ? String(bare[0]) : "")
    let digits = parts.generation == nil ? String(bare.last ?? "") : parts.native
    guard Self.isGeneration(generation), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let number = Int(digits)
    else {
      throw SeamError(
        .cursorInvalid, operation: "read cursor", cause: "cursor '\(cursor)' names no place in a file log")
    }
    self.init(generation: generation, number: number)
  }

  static func isGeneration(_ text: String) -> Bool {
    text.utf8.count == 8 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
  }
}
