import ParleyRuntime

extension XMPPBackend {
  /// Joins the room and delivers what follows the cursor: from the archive until its end, then live.
  public func subscribe(
    _ topic: Topic, after cursor: Cursor, sink: @escaping Sink
  ) async throws(SeamError) -> SubscriptionID {
    let session = try connected("subscribe")
    let place = try LogPlace(cursor)
    let room = room(of: topic)
    try await enter(room, until: loop.now.advanced(by: options.timeout * 3))
    guard live?.session === session else {
      throw SeamError(.unavailable, operation: "subscribe", cause: "the session ended meanwhile")
    }
    lastSubscription += 1
    let feed = Feed(id: SubscriptionID(lastSubscription), room: room, place: place, sink: sink)
    room.feeds.append(feed)
    wake(feed)
    return feed.id
  }

  /// Reads on from where the sink paused.
  public func resume(_ subscription: SubscriptionID) {
    guard let feed = feed(subscription), feed.isPaused else { return }
    feed.state = .reading(isDirty: false)
    wake(feed)
  }

  /// Ends the subscription; its sink is not called again.
  public func unsubscribe(_ subscription: SubscriptionID) {
    guard let feed = feed(subscription) else { return }
    feed.state = .ended
    feed.room.feeds.removeAll { $0 === feed }
  }

  private func feed(_ subscription: SubscriptionID) -> Feed? {
    for room in rooms.values {
      if let feed = room.feeds.first(where: { $0.id == subscription }) { return feed }
    }
    return nil
  }

  // MARK: From the archive

  /// Begins to read the archive for a feed, unless it does, or takes nothing.
  func wake(_ feed: Feed) {
    guard case .reading = feed.state, !feed.isReading else { return }
    feed.isReading = true
    loop.spawn { await self.read(feed) }
  }

  private func read(_ feed: Feed) async {
    defer { feed.isReading = false }
    let session = live?.session
    while case .reading = feed.state, let session, live?.session === session {
      feed.state = .reading(isDirty: false)
      let page: Page
      do throws(SeamError) { page = try await readPage(for: feed) } catch {
        // The session's end ends the feed too; anything else may pass.
        guard live?.session === session, !feed.isEnded else { return }
        feed.room.trouble = error
        await loop.sleep(for: .seconds(1))
        continue
      }
      guard case .reading(let isDirty) = feed.state, live?.session === session else { continue }
      if feed.room.trouble != nil, case .joined = feed.room.state { feed.room.trouble = nil }
      guard pass(page, to: feed) else { continue }
      // Whoever is not in the room hears nothing live: coming back into it wakes the feed again.
      guard case .joined = feed.room.state else { return }
      if !page.hasMore, !isDirty { feed.state = .live }
    }
  }

  private func readPage(for feed: Feed) async throws(SeamError) -> Page {
    guard await reads.enter() else {
      throw SeamError(.cancelled, operation: "read the archive", cause: "the caller cancelled")
    }
    defer { reads.leave() }
    return try await page(
      feed.room, feed.room.topic, after: feed.place.cursor, limit: 200,
      deadline: loop.now.advanced(by: options.timeout * 3))
  }

  /// Delivers a page; false where the feed paused or ended meanwhile.
  private func pass(_ page: Page, to feed: Feed) -> Bool {
    if let gap = page.gap {
      guard let place = try? LogPlace(gap.to), feed.deliver(.gap(gap), then: place) else { return false }
    }
    for message in page.messages {
      guard feed.deliver(.message(message), then: .after(message.id.text)) else { return false }
    }
    if let place = try? LogPlace(page.next) { feed.place = place }
    return true
  }

  // MARK: Live

  /// A message that the room reflects to all who are in it.
  func takeLive(_ stanza: XMLElement, from: JID, in room: Room) {
    let arrival = loop.wallClockMilliseconds
    room.lastHeard = loop.now
    let id = room.stanzaID(of: stanza)
    if from.resource == room.nick, !from.isBare,
      let originID = stanza.child("origin-id", Namespace.stanzaID)?["id"] ?? stanza["id"]
    {
      land(id, originID: originID, in: room)
    }
    if from.isBare, let user = stanza.child("x", Namespace.mucUser) {
      room.takeStatus(user.all("status", Namespace.mucUser).compactMap { $0["code"] })
    }
    // What has no id is in no archive: subjects, states of typing.
    guard let id else { return }
    room.lastID = id
    room.isEmpty = false
    room.note(author: stanza["from"], of: id)
    guard !room.feeds.isEmpty else { return }
    let message = message(ofLive: stanza, id: id, arrival: arrival, in: room)
    if message == nil {
      if room.arrivals.count >= 256 { room.arrivals = [:] }
      room.arrivals[id] = arrival
    }
    for feed in room.feeds where !feed.knows(id) {
      switch feed.state {
      case .live:
        if let message {
          _ = feed.deliver(.message(message), then: .after(id))
        } else {
          feed.state = .reading(isDirty: false)
          wake(feed)
        }
      case .reading: feed.state = .reading(isDirty: true)
      case .paused, .ended: break
      }
    }
  }

  /// The message, where it is certain to be the same as the archive will give: its time is known (which that of people's
  /// messages is not), its sender is, and it is no possible copy.
  private func message(ofLive stanza: XMLElement, id: String, arrival: Int64, in room: Room) -> Message? {
    guard case .joined = room.state, stanza.child("x", Namespace.mucUser) == nil,
      stanza.child("delay", Namespace.delay) == nil, let content = WireFormat.content(of: stanza), !content.isMarked,
      let time = clock.time(ofLive: content, arrival: arrival), let account = room.account(ofLive: stanza)
    else { return nil }
    return message(
      content, id: id, storedAt: time, from: stanza["from"], account: account, topic: room.topic)
  }
}
