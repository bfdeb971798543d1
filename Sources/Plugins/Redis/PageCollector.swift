import ParleyRuntime

/// A page that grows by pieces until it is full, by messages or by bytes, or the range is read to its end.
struct PageCollector {
  let topic: Topic
  let limit: Int
  let stream: String
  let isNewestFirst: Bool
  private var start: String
  private let end: String
  private(set) var messages: [Message] = []
  private var bytes = 0
  /// Small at first: how large the entries are is not known.
  private var count: Int

  /// Content in one page, at most, unless one message is larger.
  private static let pageBytes = 1 << 20

  init(_ request: FetchRequest, stream: String, from start: String, to end: String, isNewestFirst: Bool = false) {
    topic = request.topic
    limit = request.limit
    self.stream = stream
    self.start = start
    self.end = end
    self.isNewestFirst = isNewestFirst
    count = min(request.limit + 1, 100)
  }

  /// The command for the next piece.
  var command: [String] {
    [isNewestFirst ? "XREVRANGE" : "XRANGE", stream, start, end, "COUNT", String(count)]
  }

  /// Takes a piece: nil when another is needed, else whether there is more beyond the page.
  mutating func take(_ reply: RedisReply) -> Bool? {
    let entries = reply.elements
    for entry in entries {
      guard let (id, message) = StoredEntry.message(entry, on: topic) else { continue }
      let size = message.content.utf8.count
      if messages.count == limit || (bytes + size > Self.pageBytes && !messages.isEmpty) { return true }
      messages.append(message)
      bytes += size
      start = "(\(id)"
    }
    guard entries.count == count else { return false }
    let average = max(bytes / max(messages.count, 1), 64)
    count = min(limit + 1 - messages.count, max(1, (Self.pageBytes - bytes) / average + 1))
    return nil
  }
}
