import ParleyRuntime

/// One subscription. Confined to the loop.
//
// @unchecked: an object so that a delivery finds it without a look-up; only touched on the backend's loop.
final class Subscription: @unchecked Sendable {
  let id: SubscriptionID
  let topic: Topic
  let sink: Sink
  /// The door's cursor of the place that was delivered last.
  var place: String
  var isPaused = false

  init(id: SubscriptionID, topic: Topic, place: String, sink: @escaping Sink) {
    self.id = id
    self.topic = topic
    self.place = place
    self.sink = sink
  }
}

/// Subscriptions of different topics that share one waiting request; there is one lane unless a topic is subscribed
/// twice. Confined to the loop.
//
// @unchecked: only touched on the backend's loop.
final class WatchLane: @unchecked Sendable {
  var subscriptions: [Topic: Subscription] = [:]
  /// The request under way, or nil while every subscription is paused.
  var request: Task<Void, Never>?
  private(set) var isEnded = false

  /// The request no longer asks for what should be asked for; it is made anew at the end of the turn.
  var isStale = false

  func end() {
    isEnded = true
    request?.cancel()
    subscriptions = [:]
  }
}

extension ParleyBackend {
  public func subscribe(
    _ topic: Topic, after cursor: Cursor, sink: @escaping Sink
  ) async throws(SeamError) -> SubscriptionID {
    try check("subscribe")
    let place = try DoorPlace.theirs(cursor)
    let session = session
    // A cursor that is none is told now, not where nobody waits for an answer.
    _ = try await fetch(FetchRequest(topic, .after(cursor), limit: 1), deadline: loop.now.advanced(by: .seconds(30)))
    guard session == self.session else {
      throw SeamError(.unavailable, operation: "subscribe", cause: "the session with \(options.url) has ended")
    }
    lastSubscription += 1
    let subscription = Subscription(
      id: SubscriptionID(lastSubscription), topic: topic, place: place, sink: sink)
    let lane = lanes.first { $0.subscriptions[topic] == nil } ?? WatchLane()
    if !lanes.contains(where: { $0 === lane }) { lanes.append(lane) }
    lane.subscriptions[topic] = subscription
    refresh(lane)
    return subscription.id
  }

  public func resume(_ subscription: SubscriptionID) {
    guard let (lane, found) = find(subscription), found.isPaused else { return }
    found.isPaused = false
    refresh(lane)
  }

  public func unsubscribe(_ subscription: SubscriptionID) {
    guard let (lane, found) = find(subscription) else { return }
    lane.subscriptions[found.topic] = nil
    guard lane.subscriptions.isEmpty else { return refresh(lane) }
    lanes.removeAll { $0 === lane }
    lane.end()
  }

  private func find(_ id: SubscriptionID) -> (WatchLane, Subscription)? {
    for lane in lanes {
      for subscription in lane.subscriptions.values where subscription.id == id { return (lane, subscription) }
    }
    return nil
  }

  /// Asks anew at the end of the turn, for all that changes in it.
  private func refresh(_ lane: WatchLane) {
    guard !lane.isStale else { return }
    lane.isStale = true
    loop.atEndOfTurn { [weak self] in self?.assumeIsolated { $0.restart(lane) } }
  }

  private func restart(_ lane: WatchLane) {
    lane.isStale = false
    lane.request?.cancel()
    lane.request = nil
    guard !lane.isEnded, isConnected, lane.subscriptions.values.contains(where: { !$0.isPaused }) else { return }
    let session = session
    lane.request = loop.spawn { await self.watch(lane, session: session) }
  }

  /// Asks for news, one request after the other, until what is asked for changes, or the session ends.
  private func watch(_ lane: WatchLane, session: Int) async {
    while !Task.isCancelled, session == self.session, !lane.isEnded {
      let asked = lane.subscriptions.values.filter { !$0.isPaused }
      guard !asked.isEmpty else { return }
      // A list and no object: names that are canonically equivalent are two topics, and one key of a dictionary.
      let body = DoorClient.body { writer in
        writer.key("places")
        writer.beginArray()
        for subscription in asked {
          writer.beginObject()
          writer.member("topic", subscription.topic.name)
          writer.member("after", subscription.place)
          writer.endObject()
        }
        writer.endArray()
      }
      let deadline = loop.now.advanced(by: RelayWire.patience + .seconds(10))
      do throws(SeamError) {
        let json = try await door.ask(.watch, body, deadline: deadline)
        guard !Task.isCancelled, session == self.session else { return }
        guard let news = json.member("news") else { throw DoorClient.misread("watch") }
        for found in news.elements { try deliver(found, on: lane) }
      } catch {
        guard !Task.isCancelled, session == self.session else { return }
        return lose(error)
      }
    }
  }

  private func deliver(_ found: JSONSlice, on lane: WatchLane) throws(SeamError) {
    guard let topic = found.member("topic")?.string, let next = found.member("next")?.string,
      let page = Page(relayed: found, DoorPlace.cursor)
    else { throw DoorClient.misread("watch") }
    // It may have left, or come anew, since the request was made: those of this request are in it no more then.
    guard let subscription = lane.subscriptions[Topic(topic)], !subscription.isPaused else { return }
    var deliveries: [Delivery] = page.gap.map { [.gap($0)] } ?? []
    deliveries += page.messages.map(Delivery.message)
    for delivery in deliveries {
      subscription.place = try DoorPlace.theirs(delivery.cursor)
      guard subscription.sink(delivery) == .pause else {
        guard lane.subscriptions[subscription.topic] === subscription else { return }
        continue
      }
      subscription.isPaused = true
      return
    }
    subscription.place = next
  }
}
