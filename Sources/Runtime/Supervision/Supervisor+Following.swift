extension Supervisor {
  /// Delivers everything after `cursor` to `sink`, once and in order, over every loss of the session, until `unfollow`.
  ///
  /// All followers of a topic share one backend subscription. One that pauses leaves it and catches up by itself.
  /// As long as no follower of any topic `isUrgent`, the backend may let deliveries gather for a few milliseconds.
  public func follow(
    _ topic: Topic, after cursor: Cursor, isUrgent: Bool = true, sink: @escaping Sink
  ) -> FollowID {
    let id = FollowID(topic: topic, number: nextFollower())
    let feed = feeds[topic] ?? Feed(position: cursor)
    feeds[topic] = feed
    let isAtFeed = feed.position == cursor
    feed.followers[id.number] = Feed.Follower(
      sink: sink, isUrgent: isUrgent, cursor: cursor, state: isAtFeed ? .live : .idle)
    if isUrgent { expect() }
    wakeFeed(of: topic)
    if !isAtFeed { startReading(id) }
    return id
  }

  /// Goes on with a follower whose sink answered `.pause`.
  public func resume(_ id: FollowID) {
    guard let feed = feeds[id.topic], let follower = feed.followers[id.number], follower.state == .paused
    else { return }
    if follower.cursor == feed.position {
      feeds[id.topic]?.followers[id.number]?.state = .live
      wakeFeed(of: id.topic)
    } else {
      feeds[id.topic]?.followers[id.number]?.state = .idle
      wakeFeed(of: id.topic)
      startReading(id)
    }
  }

  /// Ends a follower; its sink is not called again.
  public func unfollow(_ id: FollowID) {
    guard let follower = feeds[id.topic]?.followers.removeValue(forKey: id.number) else { return }
    if follower.isUrgent { expectNoMore() }
    if let feed = feeds[id.topic], feed.followers.isEmpty {
      endSubscription(of: id.topic)
      feed.isEnded = true
      feeds[id.topic] = nil
    }
  }

  // MARK: Urgency

  /// One more waits for what comes, until `expectNoMore`: what was put off comes at once.
  package func expect() {
    waiting += 1
    if waiting == 1 { deliverWhatWasPutOff() }
  }

  /// What was put off comes at once; what comes after it may be put off again.
  package func deliverWhatWasPutOff() {
    for feed in feeds.values where feed.isPutOff {
      feed.isPutOff = false
      if let subscription = feed.subscription { backend.assumeIsolated { $0.resume(subscription) } }
    }
  }

  /// One of those who called `expect` waits no more.
  package func expectNoMore() { waiting -= 1 }

  private func demand(_ feed: Feed) -> Demand {
    feed.isPutOff = waiting == 0
    return feed.isPutOff ? .moreLater : .more
  }

  // MARK: The shared subscription

  /// Starts or resumes the subscription of a feed that has someone to feed.
  private func wakeFeed(of topic: Topic) {
    guard let feed = feeds[topic], !feed.allPaused else { return }
    guard feed.isPaused else { return startSubscription(of: topic) }
    feeds[topic]?.isPaused = false
    // A subscription that is still being made is resumed when its id is known.
    if let subscription = feed.subscription { backend.assumeIsolated { $0.resume(subscription) } }
  }

  func startSubscription(of topic: Topic) {
    guard isLive, let feed = feeds[topic], feed.subscription == nil, !feed.isSubscribing else { return }
    feed.isSubscribing = true
    unsubscribed.append((topic, feed))
    guard subscribers < Self.subscribersAtOnce else { return }
    subscribers += 1
    loop.spawn { await self.subscribeAll() }
  }

  /// Makes subscriptions that wait for it, one after the other, until none does.
  private func subscribeAll() async {
    while let (topic, feed) = unsubscribed.popFirst() {
      if !feed.isEnded { await subscribe(topic, feed, session: sessionNumber) }
    }
    subscribers -= 1
    // What was taken from it keeps its place otherwise.
    if subscribers == 0 { unsubscribed = [] }
  }

  private func subscribe(_ topic: Topic, _ feed: Feed, session: Int) async {
    let result: Result<SubscriptionID, SeamError>
    do throws(SeamError) {
      result = .success(
        try await backend.subscribe(topic, after: feed.position) { [weak self] delivery in
          self?.assumeIsolated { $0.deliver(delivery, on: topic, feed, session: session) } ?? .more
        })
    } catch {
      result = .failure(error)
    }
    let isCurrent = session == sessionNumber && isLive
    guard !feed.isEnded else {
      if isCurrent, case .success(let orphan) = result { await backend.unsubscribe(orphan) }
      return
    }
    feed.isSubscribing = false
    guard isCurrent else {
      // The session this belonged to is gone; the next one starts the subscription anew.
      return startSubscription(of: topic)
    }
    switch result {
    case .success(let subscription):
      feed.subscription = subscription
      if !feed.isPaused { await backend.resume(subscription) }
      if troubledTopics.removeValue(forKey: topic) != nil, troubledTopics.isEmpty { handle(.subscriptionsRecovered) }
    case .failure(let error):
      troubledTopics[topic] = error
      handle(.subscriptionFailed(error))
      loop.schedule(after: .seconds(1)) { [weak self] in
        self?.assumeIsolated { $0.startSubscription(of: topic) }
      }
    }
  }

  func endSubscription(of topic: Topic) {
    guard let subscription = feeds[topic]?.subscription else { return }
    feeds[topic]?.subscription = nil
    backend.assumeIsolated { $0.unsubscribe(subscription) }
  }

  private func deliver(_ delivery: Delivery, on topic: Topic, _ feed: Feed, session: Int) -> Demand {
    guard session == sessionNumber, !feed.isEnded else { return .more }
    let cursor = delivery.cursor
    feed.position = cursor
    if feed.followers.count == 1, let (number, follower) = feed.followers.first {
      deliver(delivery, at: cursor, on: topic, to: follower, number)
      if follower.state != .paused { return demand(feed) }
    } else {
      // Looked up anew each time: a sink may follow or unfollow.
      for number in feed.order {
        if let follower = feed.followers[number] { deliver(delivery, at: cursor, on: topic, to: follower, number) }
      }
    }
    guard !feed.followers.isEmpty, feed.allPaused else { return demand(feed) }
    feed.isPaused = true
    return .pause
  }

  private func deliver(
    _ delivery: borrowing Delivery, at cursor: Cursor, on topic: Topic, to follower: Feed.Follower, _ number: UInt64
  ) {
    switch follower.state {
    case .live:
      follower.cursor = cursor
      if follower.sink(copy delivery) == .pause { follower.state = .paused }
    case .reading: follower.state = .reading(hinted: true)
    case .idle: startReading(FollowID(topic: topic, number: number))
    case .paused: break
    }
  }

  // MARK: Followers that are elsewhere

  private func startReading(_ id: FollowID) {
    feeds[id.topic]?.followers[id.number]?.state = .reading(hinted: false)
    loop.spawn { await self.readOn(id) }
  }

  /// Reads pages for one follower until it stands where the feed stands, or at the end of the log.
  private func readOn(_ id: FollowID) async {
    while case .reading? = feeds[id.topic]?.followers[id.number]?.state,
      let cursor = feeds[id.topic]?.followers[id.number]?.cursor
    {
      if cursor == feeds[id.topic]?.position {
        feeds[id.topic]?.followers[id.number]?.state = .live
        return
      }
      feeds[id.topic]?.followers[id.number]?.state = .reading(hinted: false)
      let page: Page
      do throws(SeamError) {
        let request = FetchRequest(id.topic, .after(cursor), limit: 500)
        page = try await read(request, deadline: loop.now.advanced(by: .seconds(30)))
      } catch {
        guard feeds[id.topic]?.followers[id.number] != nil else { return }
        await loop.sleep(for: .seconds(1))
        continue
      }
      guard case .reading(let hinted)? = feeds[id.topic]?.followers[id.number]?.state else { return }
      guard pass(page, to: id) else { return }
      let stands = feeds[id.topic]?.followers[id.number]?.cursor
      if stands != feeds[id.topic]?.position, !page.hasMore, !hinted, page.messages.isEmpty {
        feeds[id.topic]?.followers[id.number]?.state = .idle
        return
      }
    }
  }

  /// Passes a page to a follower; false when it paused or left meanwhile.
  private func pass(_ page: Page, to id: FollowID) -> Bool {
    func send(_ delivery: Delivery) -> Bool {
      guard let follower = feeds[id.topic]?.followers[id.number] else { return false }
      feeds[id.topic]?.followers[id.number]?.cursor = delivery.cursor
      guard follower.sink(delivery) == .pause else { return feeds[id.topic]?.followers[id.number] != nil }
      feeds[id.topic]?.followers[id.number]?.state = .paused
      return false
    }
    if let gap = page.gap, !send(.gap(gap)) { return false }
    for message in page.messages where !send(.message(message)) { return false }
    feeds[id.topic]?.followers[id.number]?.cursor = page.next
    return true
  }
}
