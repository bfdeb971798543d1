import ParleyRuntime

/// One subscription: where it stands, and whether its sink takes deliveries.
//
// @unchecked: confined to the loop's thread.
final class RedisSubscription: @unchecked Sendable {
  let id: SubscriptionID
  let topic: Topic
  let stream: String
  let sink: Sink
  var place: LogPlace
  var isPaused = false
  /// Its sink does not wait for the next delivery.
  var isPutOff = false
  var isEnded = false

  init(id: SubscriptionID, topic: Topic, stream: String, place: LogPlace, sink: @escaping Sink) {
    self.id = id
    self.topic = topic
    self.stream = stream
    self.place = place
    self.sink = sink
  }

  /// Hands over one delivery, after which it stands at `place`.
  func deliver(_ delivery: Delivery, then place: LogPlace) {
    self.place = place
    let demand = sink(delivery)
    isPutOff = demand == .moreLater
    if demand == .pause, !isEnded { isPaused = true }
  }
}

/// All subscriptions of a session: one blocking read over the streams of all topics, on a connection of its own (in a
/// cluster one for each slot, up to a bound). Confined to its loop.
//
// @unchecked: confined to the loop's thread.
final class RedisTail: @unchecked Sendable {
  let session: RedisSession
  let keys: RedisKeys
  private let lost: (SeamError) -> Void
  private(set) var subscriptions: [SubscriptionID: RedisSubscription] = [:]
  private var lanes: [Int: BlockingLane] = [:]
  private var isEnded = false
  /// What people should know, once it is known: the server does not block.
  private(set) var note: String?

  /// More slots than this are read by turns, without blocking.
  private static let laneLimit = 16

  init(session: RedisSession, keys: RedisKeys, lost: @escaping (SeamError) -> Void) {
    self.session = session
    self.keys = keys
    self.lost = lost
  }

  /// Adds a subscription that stands at a place after which nothing is known to be lost.
  func add(_ subscription: RedisSubscription) {
    subscriptions[subscription.id] = subscription
    lane(of: subscription.stream).add(subscription)
  }

  func resume(_ id: SubscriptionID) {
    guard let subscription = subscriptions[id] else { return }
    let lane = lane(of: subscription.stream)
    subscription.isPutOff = false
    guard subscription.isPaused else { return lane.hurry() }
    subscription.isPaused = false
    lane.changed()
  }

  func remove(_ id: SubscriptionID) {
    guard let subscription = subscriptions.removeValue(forKey: id) else { return }
    subscription.isEnded = true
    lane(of: subscription.stream).remove(subscription)
  }

  /// Closes the connections; sinks are not called again.
  func end() {
    isEnded = true
    for subscription in subscriptions.values { subscription.isEnded = true }
    subscriptions = [:]
    for lane in lanes.values { lane.end() }
    lanes = [:]
  }

  private func lane(of stream: String) -> BlockingLane {
    // A blocking read over several streams needs them in one slot (Redis cluster specification, "multi-key operations").
    let slot = session.isCluster ? RedisKeys.slot(of: stream) : 0
    if let known = lanes[slot] { return known }
    let lane = BlockingLane(
      session: session, keys: keys, blocks: lanes.count < Self.laneLimit, noticed: { [weak self] in self?.note = $0 },
      lost: { [weak self] error in
        guard let self, !isEnded else { return }
        lost(error)
      })
    lanes[slot] = lane
    return lane
  }
}
