import ParleyRuntime

/// Reads of one session: pages, and whether anything was lost after a place.
struct StreamReader {
  let session: RedisSession
  let keys: RedisKeys
  let deadline: LoopInstant

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
      let reply = try await call(Self.existence(of: witness, in: stream), stream)
      if !reply.elements.isEmpty { return nil }
    }
    let facts = try await facts(of: stream)
    return facts.loss(after: place).map { Loss(reason: $0.reason, isCertain: $0.isCertain, next: facts.oldest) }
  }

  /// Whether an entry exists, asked without having its content sent; false also where that may not be asked.
  func exists(_ witness: StreamID, in stream: String, isolation: isolated (any Actor)? = #isolation) async -> Bool {
    let command = RedisScript.exists.command(keys: [stream], arguments: ["\(witness)"])
    return (try? await session.call(command, key: stream, until: deadline)) == .integer(1)
  }

  func facts(of stream: String, isolation: isolated (any Actor)? = #isolation) async throws(SeamError) -> StreamFacts {
    // The marker first: a stream that is made in between counts as new, never as gone.
    let marker = keys.generation(of: stream)
    let replies = try await session.callAll(
      [["GET", marker], ["XINFO", "STREAM", stream]], key: stream, until: deadline)
    do throws(RedisError) { return try StreamFacts(info: replies[1], generation: replies[0]) } catch {
      throw error.seamError("read \(stream)")
    }
  }

  // MARK: Pages

  func page(_ request: FetchRequest, isolation: isolated (any Actor)? = #isolation) async throws(SeamError) -> Page {
    let stream = keys.stream(request.topic.name)
    switch request.position {
    case .latest:
      let collector = PageCollector(request, stream: stream, from: "+", to: "-", isNewestFirst: true)
      let (messages, hasMore) = try await backwards(collector)
      guard let last = messages.last else {
        return Page(messages: [], next: try await facts(of: stream).emptyPlace.cursor, hasMore: false)
      }
      return Page(
        messages: messages, next: last.cursor, previous: hasMore ? messages[0].cursor : nil, hasMore: hasMore)
    case .before(let cursor, let since):
      let place = try LogPlace(cursor)
      guard place.position != .zero else { return Page(messages: [], next: cursor, hasMore: false) }
      // What stands at the end of an emptied stream is not in it any more, so excluding it excludes nothing.
      let newest = place.witness ?? place.position
      let collector = PageCollector(
        request, stream: stream, from: "(\(newest)", to: since.map { "\(max($0, 0))-0" } ?? "-", isNewestFirst: true)
      let (messages, hasMore) = try await backwards(collector)
      return Page(
        messages: messages, next: messages.last?.cursor ?? cursor, previous: hasMore ? messages[0].cursor : nil,
        hasMore: hasMore)
    case .after(let cursor): return try await page(request, after: cursor, in: stream)
    }
  }

  /// Pages back, and puts what was found into the log's order.
  private func backwards(
    _ collector: PageCollector, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> ([Message], hasMore: Bool) {
    var collector = collector
    while true {
      let reply = try await call(collector.command, collector.stream)
      if let hasMore = collector.take(reply) { return (collector.messages.reversed(), hasMore) }
    }
  }

  /// The witness is asked for after the entries: if it exists then, nothing before them can have been trimmed.
  private func page(
    _ request: FetchRequest, after cursor: Cursor, in stream: String, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> Page {
    var place = try LogPlace(cursor)
    var gap: Gap?
    while true {
      var collector = PageCollector(request, stream: stream, from: "(\(place.position)", to: "+")
      let (hasMore, isSound) = try await forwards(&collector, after: place)
      guard !isSound, let loss = try await loss(after: place, in: stream) else {
        let next = collector.messages.last?.cursor ?? (gap?.to ?? cursor)
        return Page(messages: collector.messages, next: next, hasMore: hasMore, gap: gap)
      }
      // Read again from the oldest there is, which may have gone too by then.
      place = loss.next
      gap = Gap(
        topic: request.topic, from: cursor, to: place.cursor, reason: loss.reason, isCertain: loss.isCertain)
      guard session.loop.now < deadline else {
        throw SeamError(.timedOut, operation: "fetch", cause: "the stream is trimmed faster than it can be read")
      }
    }
  }

  /// Whether there is more, and whether the witness, asked for in the same write where one piece suffices, exists.
  private func forwards(
    _ collector: inout PageCollector, after place: LogPlace, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> (hasMore: Bool, isSound: Bool) {
    var isSound = false
    if let witness = place.witness {
      let replies = try await session.callAll(
        [collector.command, Self.existence(of: witness, in: collector.stream)], key: collector.stream, until: deadline)
      for case .error(let text) in replies { throw RedisError(text).seamError("read \(collector.stream)") }
      isSound = !replies[1].elements.isEmpty
      if let hasMore = collector.take(replies[0]) { return (hasMore, isSound) }
    }
    while true {
      let reply = try await call(collector.command, collector.stream)
      // Later pieces need a later answer.
      if let hasMore = collector.take(reply) { return (hasMore, false) }
    }
  }

  static func existence(of witness: StreamID, in stream: String) -> [String] {
    ["XRANGE", stream, "\(witness)", "\(witness)", "COUNT", "1"]
  }

  private func call(
    _ command: [String], _ stream: String, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisReply {
    let reply = try await session.call(command, key: stream, until: deadline)
    if case .error(let text) = reply { throw RedisError(text).seamError("read \(stream)") }
    return reply
  }
}
