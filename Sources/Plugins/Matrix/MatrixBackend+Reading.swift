import ParleyRuntime

extension MatrixBackend {
  /// A page holds at most so much content, in bytes, but at least one message.
  private static let pageBytes = 1 << 20
  /// Events asked for in one request: as many messages at their largest fit into a bounded answer.
  private static let requestLimit = 300

  /// Reads one page from the homeserver; see `Backend.fetch`.
  public func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    _ = try connected("fetch")
    guard (1...1000).contains(request.limit) else {
      throw SeamError(.invalidRequest, operation: "fetch", cause: "limit \(request.limit) is not in 1 to 1000")
    }
    guard loop.now < deadline else {
      throw SeamError(.timedOut, operation: "fetch", cause: "the deadline had passed already")
    }
    // A cursor is judged before anything is asked.
    switch request.position {
    case .latest: break
    case .after(let cursor), .before(let cursor, _): _ = try LogPlace(cursor)
    }
    var isSecondTry = false
    while true {
      guard let room = try await room(of: request.topic, creating: false, operation: "fetch", deadline: deadline)
      else { return try emptyPage(request) }
      let result: Result<Page, SeamError>
      do throws(MatrixFailure) { result = try await page(request, in: room, deadline: deadline) } catch {
        guard error.status == 403 || error.status == 404, !isSecondTry else { throw error.seamError("fetch") }
        isSecondTry = true
        forget(room)
        continue
      }
      return try result.get()
    }
  }

  /// The topic has no room: nothing was posted yet, or all of it is gone.
  private func emptyPage(_ request: FetchRequest) throws(SeamError) -> Page {
    let start = LogPlace(generation: nil, native: .start).cursor
    switch request.position {
    case .latest: return Page(messages: [], next: start, hasMore: false)
    case .after(let cursor):
      let place = try LogPlace(cursor)
      if place.native == .start, place.generation == "none" { return Page(messages: [], next: cursor, hasMore: false) }
      let gap = Gap(
        topic: request.topic, from: cursor, to: start, reason: "the topic's room is gone", isCertain: true)
      return Page(messages: [], next: start, hasMore: false, gap: gap)
    case .before(let cursor, _): return Page(messages: [], next: cursor, hasMore: false)
    }
  }

  private func page(
    _ request: FetchRequest, in room: Room, deadline: LoopInstant
  ) async throws(MatrixFailure) -> Result<Page, SeamError> {
    switch request.position {
    case .latest:
      return .success(
        try await readBack(
          room, from: nil, passing: nil, next: nil, since: nil, limit: request.limit, deadline: deadline))
    case .before(let cursor, let since):
      guard let place = try? LogPlace(cursor) else { return .failure(Self.noPlace(cursor)) }
      guard let token = try await tokenBefore(place, cursor, in: room, deadline: deadline) else {
        return .success(Page(messages: [], next: cursor, hasMore: false))
      }
      return .success(
        try await readBack(
          room, from: token, passing: place.event, next: cursor, since: since, limit: request.limit, deadline: deadline)
      )
    case .after(let cursor):
      guard let place = try? LogPlace(cursor) else { return .failure(Self.noPlace(cursor)) }
      return .success(try await readOn(room, from: place, cursor, limit: request.limit, deadline: deadline))
    }
  }

  private static func noPlace(_ cursor: Cursor) -> SeamError {
    SeamError(.cursorInvalid, operation: "read cursor", cause: "'\(cursor.text)' names no place in a room")
  }

  // MARK: Backward

  /// The token just after a place's event, from which to read back past it; nil where nothing older can be had.
  private func tokenBefore(
    _ place: LogPlace, _ cursor: Cursor, in room: Room, deadline: LoopInstant
  ) async throws(MatrixFailure) -> String? {
    if let generation = place.generation, generation != room.generation { return nil }
    guard case .after(let id) = place.native else { return nil }
    if let known = backwardTokens[cursor.text] { return known }
    guard let token = try await context(of: id, in: room, deadline: deadline)?.end else { return nil }
    backwardTokens[cursor.text] = token
    return token
  }

  /// The newest messages before a token (nil: before the end), ascending, without the event `passing`. One more
  /// than wanted is looked for, so that it is known whether there is an older one.
  private func readBack(
    _ room: Room, from token: String?, passing passedOver: String?, next: Cursor?, since: Int64?, limit: Int,
    deadline: LoopInstant
  ) async throws(MatrixFailure) -> Page {
    var newestFirst: [EventReader.Entry] = []
    var place = token
    var reachedEnd = false
    while newestFirst.count <= limit, !reachedEnd {
      let wanted = min(Self.requestLimit, limit + 2 - newestFirst.count)
      let page = try await history(of: room, from: place, backwards: true, limit: wanted, deadline)
      for event in page.events {
        guard let entry = session?.reader.entry(event, in: room), entry.id != passedOver else { continue }
        if let since, entry.message.storedAt < since {
          reachedEnd = true
          break
        }
        newestFirst.append(entry)
      }
      place = page.next
      if place == nil { reachedEnd = true }
      let isFull = Self.bytes(newestFirst) > Self.pageBytes
      if newestFirst.count > limit || reachedEnd || isFull {
        newestFirst = Array(try await withoutCopies(newestFirst.reversed(), in: room, deadline: deadline).reversed())
      }
      if isFull { break }
    }
    var kept: [EventReader.Entry] = []
    var bytes = 0
    for entry in newestFirst.prefix(limit) {
      bytes += entry.message.content.utf8.count
      if bytes > Self.pageBytes, !kept.isEmpty { break }
      kept.append(entry)
    }
    for entry in kept { remember(entry.message) }
    let hasOlder = kept.count < newestFirst.count || !reachedEnd
    let messages = kept.reversed().map(\.message)
    return Page(
      messages: messages, next: next ?? messages.last?.cursor ?? room.start,
      previous: hasOlder ? messages.first?.cursor : nil, hasMore: hasOlder)
  }

  private static func bytes(_ entries: [EventReader.Entry]) -> Int {
    entries.reduce(0) { $0 + $1.message.content.utf8.count }
  }

  // MARK: Forward

  /// Reads what comes after a place, in the order of arrival where the server tells it.
  func readOn(
    _ room: Room, from place: LogPlace, _ cursor: Cursor, limit: Int, deadline: LoopInstant
  ) async throws(MatrixFailure) -> Page {
    var token: String?
    var gapReason: String?
    var checksStart = false
    if let generation = place.generation, generation != room.generation, generation != "none" || place.native != .start
    {
      gapReason = "the cursor belongs to another room than topic '\(room.topic)' has now"
    } else {
      switch place.native {
      case .start: checksStart = true
      case .oldest: break
      case .after(let id), .before(let id):
        if let known = forwardTokens[cursor.text] {
          token = known
        } else if let found = try await context(of: id, in: room, deadline: deadline) {
          let isBefore = if case .before = place.native { true } else { false }
          token = isBefore ? found.start : Self.arrivalToken(found.end)
        } else {
          gapReason = "the message at the cursor is gone: the room's history was cut, or is not shown to this account"
        }
      }
    }
    return try await readOn(
      room, from: token, cursor, gapReason: gapReason, checksStart: checksStart, limit: limit, deadline: deadline)
  }

  private func readOn(
    _ room: Room, from token: String?, _ cursor: Cursor, gapReason: String?, checksStart: Bool, limit: Int,
    deadline: LoopInstant
  ) async throws(MatrixFailure) -> Page {
    var gapReason = gapReason
    var entries: [EventReader.Entry] = []
    var tokenAfter: [String: String] = [:]
    var place = token
    var isFirst = true
    var firstEvent: String?
    var reachedEnd = false
    while !reachedEnd {
      let wanted = min(Self.requestLimit, limit + 1 - entries.count + (checksStart && isFirst ? 1 : 0))
      let page = try await history(of: room, from: place, backwards: false, limit: max(wanted, 1), deadline)
      if isFirst {
        firstEvent = page.events.first?.member("event_id")?.string
        if checksStart, page.events.first?.member("type")?.isString("m.room.create") != true {
          gapReason = "the room's first messages are gone, or not shown to this account"
        }
      }
      isFirst = false
      entries += page.events.compactMap { session?.reader.entry($0, in: room) }
      if let last = entries.last, last.id == page.events.last?.member("event_id")?.string, let next = page.next {
        tokenAfter[last.id] = next
      }
      place = page.next
      reachedEnd = place == nil
      if entries.count > limit || reachedEnd || Self.bytes(entries) > Self.pageBytes {
        entries = try await withoutCopies(entries, in: room, deadline: deadline)
        if entries.count > limit || Self.bytes(entries) > Self.pageBytes { break }
      }
    }
    return page(
      entries, of: room, after: cursor, gapReason: gapReason, firstEvent: firstEvent, reachedEnd: reachedEnd,
      tokenAfter: tokenAfter, limit: limit)
  }

  private func page(
    _ entries: [EventReader.Entry], of room: Room, after cursor: Cursor, gapReason: String?, firstEvent: String?,
    reachedEnd: Bool, tokenAfter: [String: String], limit: Int
  ) -> Page {
    var kept: [EventReader.Entry] = []
    var bytes = 0
    for entry in entries.prefix(limit) {
      bytes += entry.message.content.utf8.count
      if bytes > Self.pageBytes, !kept.isEmpty { break }
      kept.append(entry)
    }
    for entry in kept { remember(entry.message) }
    let hasMore = kept.count < entries.count || !reachedEnd
    // Within the log reading goes on where the server stopped; at its end the next read asks for the order of arrival.
    if hasMore, let last = kept.last, let token = tokenAfter[last.id] {
      forwardTokens[last.message.cursor.text] = token
    }
    var gap: Gap?
    if let gapReason {
      let native = firstEvent.flatMap { LogPlace.isEventID($0) ? LogPlace.Native.before($0) : nil } ?? .oldest
      gap = Gap(
        topic: room.topic, from: cursor, to: LogPlace(generation: room.generation, native: native).cursor,
        reason: gapReason, isCertain: false)
    }
    return Page(
      messages: kept.map(\.message), next: kept.last?.message.cursor ?? gap?.to ?? cursor,
      previous: kept.first?.message.cursor, hasMore: hasMore, gap: gap)
  }
}
