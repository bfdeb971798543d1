import ParleyRuntime

/// A place in a room's log, as a cursor names it: `matrix.<room>.<native>`, or a bare event id.
///
/// The generation is a digest of the room's id, `none` where there was no room yet. The native part is an event id
/// (just after it), `<` and an event id (just before it), `start` (before everything) or `oldest` (before everything
/// that is left, a gap having been told).
struct LogPlace: Hashable {
  enum Native: Hashable {
    case start
    case oldest
    case after(String)
    case before(String)
  }

  /// The room it was made in; nil for a bare event id.
  let generation: String?
  let native: Native

  init(generation: String?, native: Native) {
    self.generation = generation
    self.native = native
  }

  init(_ cursor: Cursor) throws(SeamError) {
    let parts = try cursor.parts(for: "matrix")
    generation = parts.generation
    switch parts.native {
    case "start" where parts.generation != nil: native = .start
    case "oldest" where parts.generation != nil: native = .oldest
    case let text where Self.isEventID(text): native = .after(text)
    case let text where parts.generation != nil && text.hasPrefix("<") && Self.isEventID(String(text.dropFirst())):
      native = .before(String(text.dropFirst()))
    default:
      throw SeamError(.cursorInvalid, operation: "read cursor", cause: "'\(cursor.text)' names no place in a room")
    }
  }

  /// The event it lies beside.
  var event: String? {
    switch native {
    case .start, .oldest: nil
    case .after(let id), .before(let id): id
    }
  }

  /// The cursor's text.
  var cursor: Cursor {
    let text =
      switch native {
      case .start: "start"
      case .oldest: "oldest"
      case .after(let id): id
      case .before(let id): "<" + id
      }
    return Cursor(backend: "matrix", generation: generation ?? "none", native: text)
  }

  /// Event ids begin with `$` and have at most 255 bytes (Matrix specification, Appendices); ours are visible ASCII.
  static func isEventID(_ text: String) -> Bool {
    text.utf8.first == UInt8(ascii: "$") && (2...255).contains(text.utf8.count)
      && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
  }
}
