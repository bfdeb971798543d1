import ParleyRuntime

/// Reads of one session: pages, and whether anything was lost after a place.
struct StreamReader {
  let session: RedisSession
  let keys: RedisKeys
  let deadline: LoopInstant

  private var loop: EventLoop { session.loop }

  /// Content in one page, at most.
  private static let pageBytes = 1 << 20

  /// What follows a place may be incomplete: why, and where reading goes on.
  struct Loss: Sendable {
    let reason: String
    let isCertain: Bool
    let next: LogPlace
  }

  // MARK: Loss

  /// Whether loss after a place can be ruled out: nil when it can.
  func loss(after place: LogPlace, in stream: String, isolation: isolated (any Actor)? = #isolation)
    async throws(SeamError) -> Loss?
  {
    if let witness = place.witness {
      let reply = try await call(["XRANGE", stream, "\(witness)", "\(witness)", "COUNT", "1"], stream)
      if !reply.elements.isEmpty { return nil }
    }
    let facts = try await facts(of: stream)
    return facts.loss(after: place).map { Loss(reason: $0.reason, isCertain: $0.isCertain, next: facts.oldest) }
  }

  func facts(of stream: String, isolation: isolated (any Actor)? = #isolation) async throws(SeamError) -> StreamFacts {
    let info = try await session.call(["XINFO", "STREAM", stream], key: stream, until: deadline)
    let marker = keys.generation(of: stream)
    let generation = try await session.call(["GET", marker], key: marker, until: deadline)
    do throws(RedisError) { return try StreamFacts(info: info, generation: generation) } catch {
      throw error.seamError("read \(stream)")
    }
  }

  // MARK: Pages

  func page(_ request: FetchRequest, isolation: isolated (any Actor)? = #isolation) async throws(SeamError) -> Page {
    let stream = keys.stream(request.topic.name)
    switch request.position {
    case .latest:
      var (messages, hasMore) = try await collect(request, stream, from: "+", to: "-", newestFirst: true)
      messages.reverse()
      guard let last = messages.last else {
        return Page(messages: [], next: try await facts(of: stream).emptyPlace.cursor, hasMore: false)
      }
      return Page(
        messages: messages, next: last.cursor, previous: hasMore ? messages[0].cursor : nil, hasMore: hasMore)
    case .before(let cursor, let since):
      let place = try LogPlace(cursor)
      let newest: String
      switch place {
      case .after(let id), .before(let id): newest = "(\(id)"
      case .empty(let last, _, _): newest = "\(last)"
      }
      let oldest = since.map { "\(max($0, 0))-0" } ?? "-"
      guard place.position != .zero else { return Page(messages: [], next: cursor, hasMore: false) }
      var (messages, hasMore) = try await collect(request, stream, from: newest, to: oldest, newestFirst: true)
      messages.reverse()
      return Page(
        messages: messages, next: messages.last?.cursor ?? cursor, previous: hasMore ? messages[0].cursor : nil,
        hasMore: hasMore)
    case .after(let cursor):
      return try await page(request, after: cursor, in: stream)
    }
  }

  /// The witness is asked for after the entries: if it exists then, nothing before them can have been trimmed.
  private func page(
    _ request: FetchRequest, after cursor: Cursor, in stream: String, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> Page {
    var place = try LogPlace(cursor)
    var gap: Gap?
    while true {
      let (messages, hasMore) = try await collect(
        request, stream, from: "(\(place.position)", to: "+", newestFirst: false)
      guard let loss = try await loss(after: place, in: stream) else {
        return Page(
          messages: messages, next: messages.last?.cursor ?? (gap?.to ?? cursor), hasMore: hasMore, gap: gap)
      }
      // Read again from the oldest there is, which may have gone too by then.
      place = loss.next
      gap = Gap(
        topic: request.topic, from: cursor, to: place.cursor, reason: loss.reason, isCertain: loss.isCertain)
      guard loop.now < deadline else {
        throw SeamError(.timedOut, operation: "fetch", cause: "the stream is trimmed faster than it can be read")
      }
    }
  }

  /// Entries of a range until the page is full, by messages or by bytes; whether there are more.
  private func collect(
    _ request: FetchRequest, _ stream: String, from start: String, to end: String, newestFirst: Bool,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> ([Message], hasMore: Bool) {
    var messages: [Message] = []
    var bytes = 0
    var start = start
    // Small at first: how large the entries are is not known.
    var count = min(request.limit + 1, 100)
    while true {
      let command = newestFirst ? "XREVRANGE" : "XRANGE"
      let reply = try await call([command, stream, start, end, "COUNT", String(count)], stream)
      for entry in reply.elements {
        guard let (id, message) = StoredEntry.message(entry, on: request.topic) else { continue }
        let size = message.content.utf8.count
        if messages.count == request.limit || (bytes + size > Self.pageBytes && !messages.isEmpty) {
          return (messages, true)
        }
        messages.append(message)
        bytes += size
        start = "(\(id)"
      }
      guard reply.elements.count == count else { return (messages, false) }
      let average = max(bytes / max(messages.count, 1), 64)
      count = min(request.limit + 1 - messages.count, max(1, (Self.pageBytes - bytes) / average + 1))
    }
  }

  private func call(
    _ command: [String], _ stream: String, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisReply {
    let reply = try await session.call(command, key: stream, until: deadline)
    if case .error(let text) = reply { throw RedisError(text).seamError("read \(stream)") }
    return reply
  }
}
