import ParleyHTTPClient
import ParleyRuntime

extension MatrixBackend {
  /// Delivers what follows the cursor: pages first, then what /sync brings; see `Backend.subscribe`.
  public func subscribe(
    _ topic: Topic, after cursor: Cursor, sink: @escaping Sink
  ) async throws(SeamError) -> SubscriptionID {
    _ = try connected("subscribe")
    _ = try LogPlace(cursor)
    let deadline = loop.now.advanced(by: options.requestTimeout)
    let epoch = epoch
    let found = try await room(of: topic, creating: false, operation: "subscribe", deadline: deadline)
    guard epoch == self.epoch else { throw SeamError(.unavailable, operation: "subscribe", cause: "disconnected") }
    lastSubscription += 1
    let id = SubscriptionID(lastSubscription)
    if feeds[topic] == nil {
      let feed = Feed(topic: topic)
      feed.roomID = found?.id
      feeds[topic] = feed
      scheduleAudit(of: feed)
      syncDiffers()
    }
    subscriptions[id] = Subscription(
      id: id, topic: topic, sink: sink, cursor: cursor, state: found == nil ? .waitingForRoom : .reading)
    startSync()
    if found != nil { startReading(id) } else { returnToRoom(topic, isNew: true) }
    return id
  }

  /// Reads on from where the sink paused.
  public func resume(_ subscription: SubscriptionID) {
    guard subscriptions[subscription]?.state == .paused else { return }
    subscriptions[subscription]?.state = .reading
    startReading(subscription)
  }

  /// Ends the subscription; with a topic's last one, /sync leaves its room out, with the last of all it ends.
  public func unsubscribe(_ subscription: SubscriptionID) {
    guard let topic = subscriptions.removeValue(forKey: subscription)?.topic else { return }
    guard !subscriptions.values.contains(where: { $0.topic == topic }) else { return }
    if let timer = feeds[topic]?.auditTimer { loop.cancel(timer) }
    feeds.removeValue(forKey: topic)?.end()
    if feeds.isEmpty { syncRequest?.cancel() } else { syncDiffers() }
  }

  // MARK: Reading up to the feed

  private func startReading(_ id: SubscriptionID) {
    let epoch = epoch
    loop.spawn { await self.read(id, epoch: epoch) }
  }

  private func isReading(_ id: SubscriptionID, _ epoch: UInt64) -> Bool {
    epoch == self.epoch && subscriptions[id]?.state == .reading
  }

  private func read(_ id: SubscriptionID, epoch: UInt64) async {
    guard let topic = subscriptions[id]?.topic, let feed = feeds[topic] else { return }
    while isReading(id, epoch) {
      // Everything before this token is read by pages, everything after it is brought by /sync.
      guard await syncHasBegun(epoch) else { return }
      let (number, breaks) = (feed.nextNumber, feed.breaks)
      guard let cursor = subscriptions[id]?.cursor, isReading(id, epoch) else { return }
      let page: Page
      do throws(SeamError) {
        let deadline = loop.now.advanced(by: options.requestTimeout)
        page = try await fetch(FetchRequest(topic, .after(cursor), limit: 200), deadline: deadline)
      } catch {
        guard isReading(id, epoch) else { return }
        if error.code == .unsupported || error.code == .forbidden { return tellUnreadable(id, error) }
        if case .rateLimited(let wait) = error.code {
          await loop.sleep(for: wait)
        } else {
          await loop.sleep(for: .seconds(1))
        }
        continue
      }
      guard isReading(id, epoch) else { return }
      if let gap = page.gap, !give(.gap(gap), to: id) { return }
      for message in page.messages where !give(.message(message), to: id) { return }
      if page.hasMore || !page.messages.isEmpty && page.messages.count >= 200 { continue }
      guard feed.breaks == breaks, let entries = feed.entries(from: number) else { continue }
      for entry in entries where !give(.message(entry.message), to: id) { return }
      subscriptions[id]?.state = .live
      return
    }
  }

  /// Gives a delivery to a subscription unless it had it; false when it no longer takes any.
  private func give(_ delivery: Delivery, to id: SubscriptionID) -> Bool {
    guard let subscription = subscriptions[id] else { return false }
    if case .message(let message) = delivery {
      if subscription.delivered[message.id.text] == true { return true }
      subscriptions[id]?.delivered[message.id.text] = true
    }
    subscriptions[id]?.cursor = delivery.cursor
    guard subscription.sink(delivery) == .pause else { return subscriptions[id] != nil }
    subscriptions[id]?.state = .paused
    return false
  }

  /// The room has become one that cannot be read: told as a gap, since nothing else will come of it.
  private func tellUnreadable(_ id: SubscriptionID, _ error: SeamError) {
    guard let subscription = subscriptions[id] else { return }
    subscriptions[id]?.state = .waitingForRoom
    let gap = Gap(
      topic: subscription.topic, from: subscription.cursor, to: subscription.cursor, reason: error.cause,
      isCertain: false)
    if subscription.sink(.gap(gap)) == .pause { subscriptions[id]?.state = .paused }
    if error.code == .forbidden { returnToRoom(subscription.topic, isNew: false) }
  }

  // MARK: What /sync brings

  /// Gives new messages to a topic's subscriptions that are up to date, and keeps them for those that are not.
  func deliver(_ entries: [EventReader.Entry], on feed: Feed) {
    for entry in entries {
      remember(entry.message)
      feed.append(entry)
      for id in liveSubscriptions(of: feed.topic) { _ = give(.message(entry.message), to: id) }
    }
  }

  /// /sync did not bring everything: who was up to date reads pages again, from where it stands.
  func breakOff(_ feed: Feed) {
    feed.breakOff()
    for id in liveSubscriptions(of: feed.topic) {
      subscriptions[id]?.state = .reading
      startReading(id)
    }
  }

  func liveSubscriptions(of topic: Topic) -> [SubscriptionID] {
    subscriptions.values.filter { $0.topic == topic && $0.state == .live }.map(\.id).sorted { $0.number < $1.number }
  }

  // MARK: Rooms that come and go

  /// A topic's room was found or made: who waited for it reads it from where it stands.
  func roomFound(_ room: Room) {
    guard let feed = feeds[room.topic] else { return }
    feed.isAway = false
    feed.roomID = room.id
    syncDiffers()
    for (id, subscription) in subscriptions.sorted(by: { $0.key.number < $1.key.number })
    where subscription.topic == room.topic && subscription.state == .waitingForRoom {
      subscriptions[id]?.state = .reading
      startReading(id)
    }
  }

  /// We are no longer in a topic's room.
  func leftRoom(of feed: Feed) {
    rooms[feed.topic] = nil
    joined = nil
    for (id, subscription) in subscriptions where subscription.topic == feed.topic {
      if subscription.state == .live || subscription.state == .reading { subscriptions[id]?.state = .waitingForRoom }
    }
    feed.awaySince = loop.now
    notes["away " + feed.topic.name] = "we are not in the room of topic '\(feed.topic.name)' any more"
    returnToRoom(feed.topic, isNew: false)
  }

  /// Tries to enter a topic's room again, soon, then every half minute, and whenever /sync shows a new room.
  func returnToRoom(_ topic: Topic, isNew: Bool) {
    guard let feed = feeds[topic] else { return }
    feed.isAway = true
    syncDiffers()
    guard !feed.isReturning else { return }
    feed.isReturning = true
    let epoch = epoch
    loop.spawn { await self.keepLooking(for: feed, first: isNew ? .seconds(30) : .milliseconds(500), epoch: epoch) }
  }

  private func keepLooking(for feed: Feed, first: Duration, epoch: UInt64) async {
    var delay = first
    while epoch == self.epoch, !feed.isOver, feed.isAway {
      await loop.sleep(for: delay)
      guard epoch == self.epoch, !feed.isOver, feed.isAway else { break }
      await lookForRoom(of: feed)
      delay = min(delay * 2, .seconds(30))
    }
    feed.isReturning = false
  }

  /// One look; `roomFound` does the rest.
  func lookForRoom(of feed: Feed) async {
    let deadline = loop.now.advanced(by: options.requestTimeout)
    do throws(SeamError) {
      guard let room = try await room(of: feed.topic, creating: false, operation: "look for room", deadline: deadline)
      else { return }
      if feed.awaySince != nil {
        feed.awaySince = nil
        await tellAbsence(from: room, deadline: deadline)
      }
      // A post or a fetch may have come back before us.
      if feed.isAway, !feed.isOver { roomFound(room) }
    } catch {
      notes["away " + feed.topic.name] = error.cause
    }
  }

  /// What was said while we were out is shown to us afterwards only where the room shares its history.
  private func tellAbsence(from room: Room, deadline: LoopInstant) async {
    let path = "\(room.path)/state/m.room.history_visibility/"
    let answer = try? await call(.get, path, deadline: deadline)
    let visibility = answer?.member("history_visibility")?.string ?? "shared"
    guard visibility != "shared", visibility != "world_readable" else { return }
    for (id, subscription) in subscriptions where subscription.topic == room.topic {
      let gap = Gap(
        topic: room.topic, from: subscription.cursor, to: subscription.cursor,
        reason: "this account was out of the room, which shows its history to members alone", isCertain: false)
      _ = give(.gap(gap), to: id)
    }
  }
}
