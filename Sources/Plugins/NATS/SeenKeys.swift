import ParleyRuntime

/// Recognises later copies of a message: the same key from the same author with the same text, further on in the log.
///
/// The server drops copies within its window; this is for those that it does not (a purge and a restart in between, or
/// another program). Bounded: the oldest of 65,536 is forgotten. Keys are kept as 128 bits of a seeded hash.
struct SeenKeys: Sendable {
  private struct Mark: Hashable, Sendable {
    let first: Int
    let second: Int

    /// By bytes: Swift's own hash of text is of its canonical form.
    init(_ message: Message, key: String, stream: String, generation: String) {
      var hasher = Hasher()
      stream.hashBytes(into: &hasher)
      generation.hashBytes(into: &hasher)
      key.hashBytes(into: &hasher)
      message.sender.name.hashBytes(into: &hasher)
      message.content.hashBytes(into: &hasher)
      // A second half of what the hasher has become, which is wider than one result of it.
      var further = hasher
      further.combine(true)
      (first, second) = (hasher.finalize(), further.finalize())
    }
  }

  static let limit = 65_536
  private var places: [Mark: UInt64] = [:]
  private var order: [Mark] = []
  private var oldest = 0

  /// Whether this is a copy of a message that stands earlier in the same log.
  mutating func isCopy(_ message: Message, key: String?, stream: String, generation: String, at sequence: UInt64)
    -> Bool
  {
    guard let key else { return false }
    let mark = Mark(message, key: key, stream: stream, generation: generation)
    if let known = places[mark] {
      if known < sequence { return true }
      places[mark] = sequence
      return false
    }
    if order.count < Self.limit {
      order.append(mark)
    } else {
      places[order[oldest]] = nil
      order[oldest] = mark
      oldest = (oldest + 1) % Self.limit
    }
    places[mark] = sequence
    return false
  }
}

/// Posts whose outcome was unknown, and since when: their keys come again.
struct DoubtfulKeys: Sendable {
  static let limit = 4096
  private var since: [String: LoopInstant] = [:]
  private var order: [String] = []

  mutating func add(_ key: String, at now: LoopInstant) {
    guard since[key] == nil else { return }
    since[key] = now
    order.append(key)
    if order.count > Self.limit { since[order.removeFirst()] = nil }
  }

  mutating func remove(_ key: String) {
    guard since.removeValue(forKey: key) != nil else { return }
    order.removeAll { $0 == key }
  }

  var isEmpty: Bool { since.isEmpty }

  subscript(key: String) -> LoopInstant? { since[key] }
}
