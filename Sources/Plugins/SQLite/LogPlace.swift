import ParleyRuntime

/// Where a reader stands, as this file understands its cursor.
enum LogPlace: Sendable {
  /// After the row with this id.
  case after(Int64)
  /// In another file: this one was replaced since.
  case elsewhere

  /// Judges a caller's cursor. Throws `cursorInvalid` when it is malformed or another backend's.
  init(_ cursor: Cursor, generation: String) throws(SeamError) {
    let parts = try cursor.parts(for: "sqlite")
    let digits = parts.native.utf8
    guard !digits.isEmpty, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let id = Int64(parts.native) else {
      throw SeamError(
        .cursorInvalid, operation: "read cursor",
        cause: "cursor '\(cursor)' does not end in a row number of a SQLite log")
    }
    self = parts.generation.map { $0 != generation } == true ? .elsewhere : .after(id)
  }
}

/// Text that is equal byte by byte, as SQLite compares it; Swift's own equality is canonical equivalence.
struct ExactText: Hashable, Sendable {
  private let text: String?

  init(_ text: String?) { self.text = text }

  static func == (a: ExactText, b: ExactText) -> Bool {
    switch (a.text, b.text) {
    case (nil, nil): true
    case (let a?, let b?): a.isExactly(b)
    default: false
    }
  }

  func hash(into hasher: inout Hasher) {
    // Canonically equivalent texts hash alike, which is coarser than `==` and therefore sound.
    hasher.combine(text)
  }
}
