import ParleyRuntime

/// What XINFO STREAM says of a topic's stream, and how often Parley created it.
struct StreamFacts: Sendable {
  /// Nil when the stream does not exist.
  struct Stream: Sendable {
    let length: Int
    let last: StreamID
    let first: StreamID?
    /// Unknown before Redis 7.
    let added: Int?
  }

  let stream: Stream?
  let generation: Int

  /// Reads the replies of XINFO STREAM and of GET for the generation marker.
  init(info: RedisReply, generation: RedisReply) throws(RedisError) {
    self.generation = generation.number ?? 0
    if case .error(let text) = info {
      guard text == "ERR no such key" else { throw RedisError(text) }
      stream = nil
      return
    }
    let last = info["last-generated-id"]?.text.flatMap { StreamID($0) }
    stream = Stream(
      length: info["length"]?.number ?? 0, last: last ?? .zero,
      first: info["first-entry"]?.elements.first?.text.flatMap { StreamID($0) },
      added: info["entries-added"]?.number)
  }

  /// The place at which a reader who found nothing stands.
  var emptyPlace: LogPlace {
    guard let stream else { return .empty(last: .zero, added: 0, generation: generation) }
    return .empty(last: stream.last, added: stream.added ?? 0, generation: generation)
  }

  /// The oldest place there is.
  var oldest: LogPlace { stream?.first.map { .before($0) } ?? emptyPlace }

  /// Why what came after `place` may be incomplete; nil where loss is ruled out. Asked when its witness is gone, or
  /// when it has none.
  func loss(after place: LogPlace) -> (reason: String, isCertain: Bool)? {
    guard let stream else {
      if case .empty(.zero, _, let known) = place {
        // Created by us since, and gone again.
        guard let known, generation > known else { return nil }
      }
      return ("the stream was deleted", false)
    }
    switch place {
    case .after(let id), .before(let id):
      if case .after = place, stream.last == id { return nil }
      if stream.last < id {
        return ("the log ends before the cursor: it was rolled back by a failover, restored or made anew", false)
      }
      return ("older messages were removed from the stream, or it was made anew", false)
    case .empty(let last, let added, let known):
      if stream.last < last { return ("the log was rolled back, restored or made anew", false) }
      if let known, generation > known + (last == .zero ? 1 : 0) { return ("the stream was made anew", false) }
      guard let now = stream.added else {
        return stream.last == last ? nil : ("this server does not count what was removed (before Redis 7)", false)
      }
      let missing = now - added - stream.length
      if missing == 0 { return nil }
      return missing > 0
        ? ("\(missing) older messages were removed from the stream", true) : ("the stream was made anew", false)
    }
  }
}
