import ParleyRuntime

/// Cursors of this backend: `parley.` and the door's own, so that those of a file or server that is opened directly are
/// known as foreign.
enum DoorPlace {
  static let name = "parley"

  /// Our cursor for one of the door's.
  static func cursor(_ theirs: String) -> Cursor { Cursor(name + "." + theirs) }

  /// The door's cursor for one of ours, or for a bare native place. Throws `cursorInvalid` for another backend's.
  static func theirs(_ cursor: Cursor) throws(SeamError) -> String {
    let (generation, native) = try cursor.parts(for: name)
    return generation.map { $0 + "." + native } ?? native
  }
}
