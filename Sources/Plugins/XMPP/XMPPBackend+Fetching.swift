import ParleyRuntime

extension XMPPBackend {
  /// What a stretch of the archive holds, read in one direction.
  struct Stretch {
    var messages: [Message] = []
    /// The oldest entry that was looked at, read or not.
    var first: ArchiveEntry?
    /// The place after the newest entry that was looked at, but for the one that showed that there is more.
    var last: String?
    var hasMore = false
    var bytes = 0
  }

  /// A page ends at so many bytes of content.
  private static let pageBytes = 1 << 20

  /// How many entries to ask for next: as many as are wanted, and more where those before were hardly messages.
  private static func size(_ stretch: Stretch, _ limit: Int) -> Int {
    stretch.first == nil ? limit : max(limit - stretch.messages.count, 100)
  }

  func page(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    let room = room(of: request.topic)
    switch request.position {
    case .after(let cursor):
      return try await page(room, request.topic, after: cursor, limit: request.limit, deadline: deadline)
    case .latest:
      guard let stretch = try await backwards(room, request, before: "", deadline: deadline) else {
        return Page(messages: [], next: LogPlace.start(loop.wallClockMilliseconds).cursor, hasMore: false)
      }
      let next = stretch.last.map { LogPlace.after($0) } ?? .start(loop.wallClockMilliseconds)
      return Page(
        messages: stretch.messages, next: next.cursor,
        previous: stretch.hasMore ? stretch.messages.first?.cursor : nil, hasMore: stretch.hasMore)
    case .before(let cursor, let since):
      let place = try LogPlace(cursor)
      let id: String
      switch place {
      case .after(let entry): id = entry
      // Nothing older was left when these were made.
      case .before, .start, .emptied: return Page(messages: [], next: cursor, hasMore: false)
      }
      guard let stretch = try await backwards(room, request, before: id, storedSince: since, deadline: deadline) else {
        let gap = Gap(
          topic: request.topic, from: cursor, to: cursor,
          reason: "the message is not in the room's archive any more, so what was older has probably gone too",
          isCertain: false)
        return Page(messages: [], next: cursor, hasMore: false, gap: gap)
      }
      return Page(
        messages: stretch.messages, next: stretch.messages.last?.cursor ?? cursor,
        previous: stretch.hasMore ? stretch.messages.first?.cursor : nil, hasMore: stretch.hasMore)
    }
  }

  // MARK: Forwards

  func page(
    _ room: Room, _ topic: Topic, after cursor: Cursor, limit: Int, deadline: LoopInstant
  ) async throws(SeamError) -> Page {
    let place = try LogPlace(cursor)
    guard try await know(room, cameFromIt: place.isEntry, until: deadline) else {
      return Page(messages: [], next: cursor, hasMore: false)
    }
    var gap: Gap?
    var stretch: Stretch
    do throws(SeamError) {
      stretch = try await forwards(room, topic, after: place.entry, limit: limit, deadline: deadline)
      gap = try await loss(in: room, topic, after: place, cursor, stretch, deadline: deadline)
      if gap != nil, place.entry != nil {
        stretch = try await forwards(room, topic, after: nil, limit: limit, deadline: deadline)
      }
    } catch {
      guard error.code == .noSuchTopic, place.entry != nil else { throw error }
      // The entry is gone, and with it perhaps others that came after it.
      stretch = try await forwards(room, topic, after: nil, limit: limit, deadline: deadline)
      gap = tell(topic, cursor, stretch.first, "the message at this place is not in the room's archive any more", false)
    }
    let next = stretch.last.map { LogPlace.after($0).cursor } ?? gap?.to ?? cursor
    return Page(messages: stretch.messages, next: next, hasMore: stretch.hasMore, gap: gap)
  }

  private func tell(
    _ topic: Topic, _ cursor: Cursor, _ first: ArchiveEntry?, _ reason: String, _ isCertain: Bool
  ) -> Gap {
    let place = first.map { LogPlace.before($0.id) } ?? .emptied(loop.wallClockMilliseconds)
    return Gap(topic: topic, from: cursor, to: place.cursor, reason: reason, isCertain: isCertain)
  }

  /// What the archive's answer, read after a place, says about loss; nil where loss can be ruled out.
  private func loss(
    in room: Room, _ topic: Topic, after place: LogPlace, _ cursor: Cursor, _ stretch: Stretch, deadline: LoopInstant
  ) async throws(SeamError) -> Gap? {
    switch place {
    case .after(let id):
      guard try await !exists(id, before: stretch.first, in: room, until: deadline) else { return nil }
      let oldest = try await archive(room, max: 1, until: deadline).entries.first
      return tell(topic, cursor, oldest, "the message at this place is not in the room's archive any more", false)
    case .before(let id):
      guard stretch.first?.id != id else { return nil }
      return tell(topic, cursor, stretch.first, "the message at this place has expired", true)
    case .emptied: return nil
    case .start(let time):
      guard let first = stretch.first else { return nil }
      // The log was empty. Its first message says so itself; otherwise only a day is too short for anything to expire.
      let content = WireFormat.content(of: first.stanza)
      if content?.isFirst == true { return nil }
      let isRecent = loop.wallClockMilliseconds - time < KeyLedger.window
      guard content?.isParley == true || !isRecent else { return nil }
      return tell(topic, cursor, first, "the archive does not begin with the room's first message", false)
    }
  }

  /// Whether the entry at a place exists. Archives that answer an unknown id with an error have said so already; others
  /// are asked for what precedes the first entry after it.
  private func exists(
    _ id: String, before first: ArchiveEntry?, in room: Room, until deadline: LoopInstant
  ) async throws(SeamError) -> Bool {
    if isArchiveStrict == nil {
      do throws(SeamError) {
        _ = try await archive(room, after: "parley-\(String(loop.random(), radix: 36))", max: 1, until: deadline)
        isArchiveStrict = false
      } catch {
        guard error.code == .noSuchTopic else { throw error }
        isArchiveStrict = true
      }
    }
    if isArchiveStrict == true { return true }
    return try await archive(room, before: first?.id ?? "", max: 1, until: deadline).entries.last?.id == id
  }

  /// Reads ascending until there are enough messages, or no more.
  func forwards(
    _ room: Room, _ topic: Topic, after: String?, limit: Int, deadline: LoopInstant
  ) async throws(SeamError) -> Stretch {
    var stretch = Stretch()
    stretch.last = after
    while true {
      let page: ArchivePage
      do throws(SeamError) {
        page = try await archive(room, after: stretch.last, max: Self.size(stretch, limit), until: deadline)
      } catch {
        // Trimmed between two pages: what was read is good, the next read tells the gap.
        guard error.code == .noSuchTopic, stretch.first != nil else { throw error }
        return stretch
      }
      for entry in page.entries {
        stretch.first = stretch.first ?? entry
        if let message = try await message(entry, in: room, topic, until: deadline) {
          guard take(message, into: &stretch, limit: limit) else { return stretch }
        }
        stretch.last = entry.id
      }
      if page.isComplete { return stretch }
      if stretch.messages.count == limit {
        stretch.hasMore = true
        return stretch
      }
    }
  }

  /// Takes a message that still fits on the page; otherwise there is more.
  private func take(_ message: Message, into stretch: inout Stretch, limit: Int) -> Bool {
    stretch.bytes += message.content.utf8.count
    guard stretch.messages.count < limit, stretch.messages.isEmpty || stretch.bytes <= Self.pageBytes else {
      stretch.hasMore = true
      return false
    }
    stretch.messages.append(message)
    return true
  }

  // MARK: Backwards

  /// Reads descending, and puts what was found into the log's order; nil where there is no room, or no such entry.
  private func backwards(
    _ room: Room, _ request: FetchRequest, before: String, storedSince: Int64? = nil, deadline: LoopInstant
  ) async throws(SeamError) -> Stretch? {
    guard try await know(room, cameFromIt: !before.isEmpty, until: deadline) else { return nil }
    var stretch = Stretch()
    var before = before
    while true {
      let page: ArchivePage
      do throws(SeamError) {
        page = try await archive(room, before: before, max: Self.size(stretch, request.limit), until: deadline)
      } catch {
        guard error.code == .noSuchTopic else { throw error }
        return stretch.first == nil ? nil : stretch
      }
      for entry in page.entries.reversed() {
        if let storedSince, entry.storedAt < storedSince {
          stretch.messages.reverse()
          return stretch
        }
        stretch.first = entry
        stretch.last = stretch.last ?? entry.id
        guard let message = try await message(entry, in: room, request.topic, until: deadline) else { continue }
        guard take(message, into: &stretch, limit: request.limit) else {
          stretch.messages.reverse()
          return stretch
        }
      }
      stretch.hasMore = !page.isComplete && stretch.messages.count == request.limit
      guard !page.isComplete, !stretch.hasMore, let first = page.entries.first else {
        stretch.messages.reverse()
        return stretch
      }
      before = first.id
    }
  }

  // MARK: Rooms and messages

  /// Learns what the room is, without joining it; false where there is none.
  ///
  /// A service that was killed may have forgotten a room whose archive it still has: joining brings it back, which is
  /// done for rooms that are known to have been there.
  private func know(_ room: Room, cameFromIt: Bool, until deadline: LoopInstant) async throws(SeamError) -> Bool {
    if case .joined = room.state { return true }
    do throws(SeamError) {
      room.features = try await features(of: room, until: deadline)
    } catch {
      guard error.code == .noSuchTopic else { throw error }
      guard cameFromIt || room.isKnown else { return false }
      try await enter(room, until: deadline)
    }
    try requireArchive(room)
    return true
  }

  /// The message of an archive's entry; nil for what is none, and for a later copy of another.
  private func message(
    _ entry: ArchiveEntry, in room: Room, _ topic: Topic, until deadline: LoopInstant
  ) async throws(SeamError) -> Message? {
    if let arrival = room.arrivals.removeValue(forKey: entry.id) {
      clock.learn(arrival: arrival, stamp: entry.stamp)
    }
    guard let content = WireFormat.content(of: entry.stanza) else { return nil }
    room.note(author: entry.stanza["from"], of: entry.id)
    if content.isMarked, try await isCopy(content, entry, in: room, until: deadline) { return nil }
    return message(
      content, id: entry.id, storedAt: ArchiveClock.time(of: content, stamp: entry.stamp), from: entry.stanza["from"],
      account: room.account(ofArchived: entry.stanza), topic: topic)
  }

  func message(
    _ content: WireFormat.Content, id: String, storedAt: Int64, from: String?, account: String?, topic: Topic
  ) -> Message {
    let nick = from.flatMap { JID($0) }?.resource ?? ""
    let tied = account.flatMap { account in
      options.accounts.first { $0.value.description == account && (content.sender == nil || content.sender == $0.key) }?
        .key
    }
    let sender = content.sender ?? tied ?? Handle(nick.isEmpty ? options.username : nick)
    if let account, content.isParley || tied != nil { remember(sender, account) }
    return Message(
      topic: topic, sender: sender, account: account, provenance: tied == nil ? .claimed : .verified,
      instance: content.instance, content: content.text, timestamp: Timestamp.text(storedAt), storedAt: storedAt,
      id: MessageID(id), cursor: LogPlace.after(id).cursor, inReplyTo: content.inReplyTo, to: content.to,
      attributes: content.attributes)
  }

  /// Real addresses only: an occupant id means nothing outside its room. At most so many handles are kept.
  private func remember(_ handle: Handle, _ account: String) {
    guard !account.hasPrefix("occupant-id:") else { return }
    if seen.count >= 4096, seen[handle] == nil, let other = seen.keys.first { seen[other] = nil }
    seen[handle] = account
  }
}

extension LogPlace {
  /// The entry that it stands behind.
  var entry: String? {
    if case .after(let id) = self { id } else { nil }
  }

  /// It was made from an entry, so that its room existed.
  var isEntry: Bool {
    switch self {
    case .after, .before: true
    case .start, .emptied: false
    }
  }
}
