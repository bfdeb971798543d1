import ParleyRuntime

/// A place in a topic's stream, with what shows that nothing after it was removed.
enum LogPlace: Hashable, Sendable {
  /// Just after an entry: as long as that entry exists, nothing after it was trimmed.
  case after(StreamID)
  /// Just before an entry that was the oldest when the place was made, the end of a gap: as long as it exists.
  case before(StreamID)
  /// The end of a stream that held nothing: its last id and how many entries it ever had (both zero for one that did
  /// not exist), and how often Parley had created it. As long as all that was added since is there.
  case empty(last: StreamID, added: Int, generation: Int?)

  /// Reads a cursor of ours, or a bare entry id.
  ///
  /// The native part is `ms-seq`, `^ms-seq` (before) or `ms-seq+added` (empty); `0-0` is the start of the log. The
  /// generation is that of `empty`; an entry needs none, since its id is a time that does not come again.
  init(_ cursor: Cursor) throws(SeamError) {
    let (generation, native) = try cursor.parts(for: "redis")
    let number = generation.map { Int($0) }
    guard number != .some(.none), let place = Self.read(native, generation: number ?? nil) else {
      throw SeamError(
        .cursorInvalid, operation: "read cursor", cause: "'\(cursor.text)' is no place in a Redis stream")
    }
    self = place
  }

  private static func read(_ native: String, generation: Int?) -> LogPlace? {
    if native.utf8.first == UInt8(ascii: "^") {
      return StreamID(native.dropFirst()).map { .before($0) }
    }
    if let plus = native.lastIndex(of: "+") {
      guard let last = StreamID(native[..<plus]), let added = Int(native[native.index(after: plus)...]), added >= 0
      else { return nil }
      return .empty(last: last, added: added, generation: generation)
    }
    guard let id = StreamID(native) else { return nil }
    return id == .zero ? .empty(last: .zero, added: 0, generation: generation) : .after(id)
  }

  /// The id that reads are told, which they exclude.
  var position: StreamID {
    switch self {
    case .after(let id): id
    case .before(let id): id.predecessor
    case .empty(let last, _, _): last
    }
  }

  /// The entry whose existence shows that nothing was removed; nil where counts must show it.
  var witness: StreamID? {
    switch self {
    case .after(let id), .before(let id): id
    case .empty: nil
    }
  }

  var cursor: Cursor {
    switch self {
    case .after(let id): Self.cursor(after: id.description)
    case .before(let id): Cursor(backend: "redis", generation: "0", native: "^\(id)")
    case .empty(let last, let added, let generation):
      switch (last == .zero ? "0-0" : "\(last)+\(added)", generation) {
      case (let native, let generation?): Cursor(backend: "redis", generation: "\(generation)", native: native)
      // A bare one says nothing of the generation.
      case (let native, nil): Cursor(native)
      }
    }
  }

  /// The cursor just after an entry whose id's text is at hand.
  static func cursor(after id: String) -> Cursor { Cursor(backend: "redis", generation: "0", native: id) }
}
