import ParleyRuntime

extension NATSBackend {
  /// Reads one page in at most two round trips, but where messages were deleted inside it; see `Backend.fetch`.
  public func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    let session = try connected("fetch")
    guard (1...1000).contains(request.limit) else {
      throw SeamError(.invalidRequest, operation: "fetch", cause: "limit \(request.limit) is not in 1 to 1000")
    }
    guard loop.now < deadline else {
      throw SeamError(.timedOut, operation: "fetch", cause: "the deadline has passed")
    }
    let names = names(of: request.topic)
    let reading = Reading(
      names: names, session: session, topic: request.topic, limit: request.limit, deadline: deadline)
    switch request.position {
    case .latest: return try await latest(reading)
    case .after(let cursor): return try await after(cursor, try LogPlace(cursor), reading)
    case .before(let cursor, let since):
      return try await before(cursor, try LogPlace(cursor), storedSince: since, reading)
    }
  }

  /// What stays the same during one fetch.
  private struct Reading {
    let names: TopicNames
    let session: NATSSession
    let topic: Topic
    let limit: Int
    let deadline: LoopInstant
  }

  // MARK: Forward

  private func after(_ cursor: Cursor, _ place: LogPlace, _ reading: Reading) async throws(SeamError) -> Page {
    let session = reading.session
    // What is known of the stream lets both requests go at once.
    let early = try askEarly(place, reading)
    let found: StreamFacts?
    do throws(SeamError) {
      found = try await stream(reading.names, session, deadline: reading.deadline)
    } catch {
      if let early { session.forget(early.ticket) }
      throw error
    }
    guard var facts = found else {
      if let early { session.forget(early.ticket) }
      return Page(messages: [], next: place.cursor(in: nil), hasMore: false)
    }
    if ResolvedPlace.isBehind(place, in: facts), try await !staysBehind(place, &facts, reading) {
      return Page(messages: [], next: cursor, hasMore: false)
    }
    let start = ResolvedPlace(place, in: facts)
    var messages: [StoredMessage] = []
    if let early {
      let batch = try await batch(session, early.ticket, deadline: reading.deadline)
      if start.loss == nil, early.from == start.start { messages = batch }
    }
    var page = ForwardPage(reading.topic, from: cursor, start, facts, limit: reading.limit)
    if !messages.isEmpty { page.take(messages, copies: &seenKeys, subject: reading.names) }
    while page.wantsMore {
      let range = ReadRange(from: page.next, through: facts.last, count: page.room)
      let more = try await read(reading.names, session, facts, range, deadline: reading.deadline)
      if more.isEmpty {
        page.reachEnd()
        break
      }
      page.take(more, copies: &seenKeys, subject: reading.names)
    }
    return page.page(place)
  }

  private func askEarly(_ place: LogPlace, _ reading: Reading) throws(SeamError) -> (ticket: UInt64, from: UInt64)? {
    guard reading.session.hasBatches, let known = reading.session.streams[reading.names.streamName],
      known.allowsDirect
    else { return nil }
    let range = ReadRange(from: place.sequence + 1, through: .max - 1, count: reading.limit)
    return (try askBatch(reading.names, reading.session, range), range.from)
  }

  /// Looks again before a log is called rolled back: a new leader may not have caught up with itself.
  private func staysBehind(
    _ place: LogPlace, _ facts: inout StreamFacts, _ reading: Reading
  ) async throws(SeamError) -> Bool {
    await loop.sleep(for: .milliseconds(250))
    guard let again = try await stream(reading.names, reading.session, deadline: reading.deadline) else { return false }
    facts = again
    return true
  }

  // MARK: Backward

  private func latest(_ reading: Reading) async throws(SeamError) -> Page {
    guard let facts = try await stream(reading.names, reading.session, deadline: reading.deadline) else {
      return Page(messages: [], next: LogPlace.cursor(LogPlace.unborn, 0), hasMore: false)
    }
    let page = try await backward(reading, facts, end: facts.last, storedSince: nil)
    let next = page.messages.last?.cursor ?? LogPlace.cursor(facts.generation, facts.last)
    return Page(messages: page.messages, next: next, previous: page.previous, hasMore: false)
  }

  private func before(
    _ cursor: Cursor, _ place: LogPlace, storedSince: Int64?, _ reading: Reading
  ) async throws(SeamError) -> Page {
    guard let facts = try await stream(reading.names, reading.session, deadline: reading.deadline) else {
      return Page(messages: [], next: cursor, hasMore: false)
    }
    let loss = ResolvedPlace(place, in: facts).loss
    // In another incarnation, or after a roll-back, everything there is may be older.
    let isElsewhere =
      place.generation != nil && place.generation != facts.generation && place.generation != LogPlace.unborn
    let end = isElsewhere || place.sequence > facts.last ? facts.last : max(place.sequence, 1) - 1
    var page = try await backward(reading, facts, end: end, storedSince: storedSince)
    page.next = cursor
    page.hasMore = page.previous != nil
    if isElsewhere, let loss {
      page.gap = Gap(
        topic: reading.topic, from: cursor, to: LogPlace.cursor(facts.generation, facts.last), reason: loss.reason,
        isCertain: loss.isCertain)
    }
    return page
  }

  /// The newest messages up to a sequence number, ascending; `previous` is set where older ones are left.
  private func backward(
    _ reading: Reading, _ facts: StreamFacts, end: UInt64, storedSince: Int64?
  ) async throws(SeamError) -> Page {
    var newest: [Message] = []
    var bytes = 0
    var end = end
    var isOver = false
    let average = max(1, Int(facts.bytes / max(facts.messages, 1)))
    while !isOver, newest.count < reading.limit, end >= facts.first, end > 0 {
      let fitting = max(1, Self.pageBytes * 5 / 4 / average)
      let span = UInt64(min(reading.limit - newest.count, fitting))
      let start = max(facts.first, end >= span ? end - span + 1 : 1)
      var stretch: [StoredMessage] = []
      var next = start
      while next <= end {
        let range = ReadRange(from: next, through: end, count: reading.limit)
        let part = try await read(reading.names, reading.session, facts, range, deadline: reading.deadline)
        guard let last = part.last else { break }
        stretch += part
        next = last.sequence + 1
      }
      var kept: [Message] = []
      for stored in stretch where stored.belongs(to: reading.names) {
        let message = WireFormat.message(stored, reading.topic, generation: facts.generation)
        let isCopy = seenKeys.isCopy(
          message, key: stored.headers.key, stream: reading.names.stream, generation: facts.generation,
          at: stored.sequence)
        if !isCopy { kept.append(message) }
      }
      var taken: [Message] = []
      for message in kept.reversed() {
        if let storedSince, message.storedAt < storedSince {
          isOver = true
          end = 0
          break
        }
        bytes += message.content.utf8.count
        guard newest.count + taken.count < reading.limit, bytes <= Self.pageBytes || newest.count + taken.count == 0
        else {
          isOver = true
          break
        }
        taken.append(message)
      }
      newest = taken.reversed() + newest
      if !isOver { end = start - 1 }
    }
    let hasOlder = end >= facts.first && end > 0 && (newest.first?.id.text).flatMap(UInt64.init) ?? 0 > facts.first
    return Page(
      messages: newest, next: LogPlace.cursor(facts.generation, facts.last),
      previous: hasOlder ? newest.first?.cursor : nil, hasMore: false)
  }
}

extension StoredMessage {
  /// Another subject's messages in a stream that somebody else made are not the topic's.
  func belongs(to names: TopicNames) -> Bool { subject.isExactly(names.subject) }
}

/// A page that grows in the direction of the log: up to its limit, to 1 MiB, to the stream's end, or to a hole.
struct ForwardPage {
  private let topic: Topic
  private let facts: StreamFacts
  private let limit: Int
  private let from: Cursor
  private var messages: [Message] = []
  private var gap: Gap?
  private var bytes = 0
  private var isFull = false
  /// The next sequence number to read.
  private(set) var next: UInt64

  init(_ topic: Topic, from cursor: Cursor, _ start: ResolvedPlace, _ facts: StreamFacts, limit: Int) {
    self.topic = topic
    self.facts = facts
    self.limit = limit
    from = cursor
    next = start.start
    gap = start.gap(topic, from: cursor, in: facts)
  }

  var wantsMore: Bool { !isFull && messages.count < limit && next <= facts.last }
  var room: Int { limit - messages.count }

  /// Takes what follows, as far as it belongs on this page.
  mutating func take(_ stored: [StoredMessage], copies: inout SeenKeys, subject names: TopicNames) {
    for message in stored where !isFull && messages.count < limit {
      if message.sequence < next { continue }
      if message.sequence > next, !passHole(before: message.sequence) { return }
      let readable = WireFormat.message(message, topic, generation: facts.generation)
      let size = readable.content.utf8.count
      guard messages.isEmpty || bytes + size <= NATSBackend.pageBytes else {
        isFull = true
        return
      }
      next = message.sequence + 1
      let isCopy = copies.isCopy(
        readable, key: message.headers.key, stream: names.stream, generation: facts.generation, at: message.sequence)
      guard message.belongs(to: names), !isCopy else { continue }
      bytes += size
      messages.append(readable)
    }
  }

  /// Messages inside the log are gone. Only before the first message of a page can a gap be told: a later one ends it.
  private mutating func passHole(before sequence: UInt64) -> Bool {
    guard messages.isEmpty else {
      isFull = true
      return false
    }
    let certain = gap?.isCertain ?? true
    gap = Gap(
      topic: topic, from: from, to: LogPlace.cursor(facts.generation, sequence - 1),
      reason: gap?.reason ?? "messages \(next) to \(sequence - 1) were deleted", isCertain: certain)
    next = sequence
    return true
  }

  /// Nothing is left up to the end that the stream names: the last messages were deleted.
  mutating func reachEnd() {
    _ = passHole(before: facts.last + 1)
  }

  /// The page, for a reader that stood at `place`.
  func page(_ place: LogPlace) -> Page {
    let isUnmoved = messages.isEmpty && gap == nil && next == place.sequence + 1
    return Page(
      messages: messages,
      next: isUnmoved ? place.cursor(in: facts) : LogPlace.cursor(facts.generation, next - 1),
      previous: messages.first.flatMap { $0.id.text == String(facts.first) ? nil : $0.cursor },
      hasMore: next <= facts.last, gap: gap)
  }
}
