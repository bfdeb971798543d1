/// A place in a log: opaque to everyone but the backend that made it; equal or not, never ordered (S3).
///
/// Text form `backend.generation.native`, for example `sqlite.5f1c09ab.1042`; a bare native position is accepted too.
public struct Cursor: Hashable, Sendable, CustomStringConvertible {
  /// What callers store and pass back.
  public let text: String

  /// Wraps text from a caller; it is judged by the backend it is passed to.
  public init(_ text: String) { self.text = text }

  /// Makes a backend's own cursor. `backend` and `generation` contain no dot.
  public init(backend: String, generation: String, native: String) {
    text = String(joining: [backend, ".", generation, ".", native])
  }

  public var description: String { text }

  /// Byte by byte.
  public static func == (a: Cursor, b: Cursor) -> Bool { a.text.isExactly(b.text) }

  /// The parts of a cursor as `backend` reads it: its own full form, or a bare native position (generation nil).
  ///
  /// Throws `cursorInvalid` for the empty text and for a cursor that another of `knownBackends` made. A text with two
  /// dots whose first part is no backend's name counts as bare, since native ids may contain dots.
  public func parts(
    for backend: String, knownBackends: Set<String> = Cursor.backends
  ) throws(SeamError) -> (generation: String?, native: String) {
    let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    guard !text.isEmpty else {
      throw SeamError(.cursorInvalid, operation: "read cursor", cause: "the cursor is empty")
    }
    guard parts.count == 3, parts[0] == backend || knownBackends.contains(String(parts[0])) else { return (nil, text) }
    guard parts[0] == backend else {
      throw SeamError(
        .cursorInvalid, operation: "read cursor",
        cause: "cursor '\(text)' was made by the \(parts[0]) backend, this topic lives on \(backend)")
    }
    return (String(parts[1]), String(parts[2]))
  }

  /// The tags that the first part of a full cursor may have.
  public static let backends: Set<String> = ["sqlite", "redis", "nats", "matrix", "xmpp", "parley", "sim"]
}
