import ParleyRuntime

/// A place in a room's archive. Ids are opaque and unordered: the order is the archive's, and whether a place still
/// exists only the archive can say.
enum LogPlace: Hashable, Sendable {
  /// Just after an entry.
  case after(String)
  /// Just before an entry that was the oldest when the place was made, the end of a gap.
  case before(String)
  /// The start of a log that was empty then (milliseconds since 1970, by our clock).
  case start(Int64)
  /// The end of a log that had been emptied by then, the end of a gap.
  case emptied(Int64)

  /// Reads a cursor of ours, or a bare entry id.
  init(_ cursor: Cursor) throws(SeamError) {
    let (kind, native) = try cursor.parts(for: "xmpp")
    let number = Int64(native)
    switch kind {
    case "a" where !native.isEmpty: self = .after(native)
    case "b" where !native.isEmpty: self = .before(native)
    case "s" where number != nil: self = .start(number ?? 0)
    case "z" where number != nil: self = .emptied(number ?? 0)
    case nil where !native.hasPrefix("xmpp.") && XMLText.isFaithful(native): self = .after(native)
    default:
      throw SeamError(
        .cursorInvalid, operation: "read cursor", cause: "'\(cursor.text)' is no place in a room's archive")
    }
  }

  var cursor: Cursor {
    switch self {
    case .after(let id): Cursor(backend: "xmpp", generation: "a", native: id)
    case .before(let id): Cursor(backend: "xmpp", generation: "b", native: id)
    case .start(let time): Cursor(backend: "xmpp", generation: "s", native: String(time))
    case .emptied(let time): Cursor(backend: "xmpp", generation: "z", native: String(time))
    }
  }
}
