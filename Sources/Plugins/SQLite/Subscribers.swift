import ParleyRuntime
import Synchronization

/// Who is subscribed, how far each was given the log, and the hand-over of what the reader and the writer bring.
///
/// Rows that this process stored itself are given from the writer's word, without reading them back: the writer tells
/// the reader of them before it tells anyone else (`SQLiteReader.announce`), and the reader leaves them to this table,
/// which says `gave` when it gave them and `missed` when rows of others come first.
//
// @unchecked: an object, since sinks call back into the backend; confined to the backend's loop.
final class Subscribers: @unchecked Sendable {
  private final class Subscription {
    let id: SubscriptionID
    let topic: Topic
    let sink: Sink
    /// Everything up to here was given; nil while the reader catches it up or its sink has paused it.
    var live: Int64?
    /// Where its sink paused it; nil while it takes deliveries.
    var pausedAt: Int64?
    /// Counts resumptions, so that what was read before one is known to be stale.
    var run: UInt32 = 0
    var isEnded = false

    init(_ id: SubscriptionID, topic: Topic, sink: @escaping Sink) {
      self.id = id
      self.topic = topic
      self.sink = sink
    }
  }

  private var subscriptions: [SubscriptionID: Subscription] = [:]
  private var topics: [ExactText: [Subscription]] = [:]
  /// Every row up to here that concerns a live subscription was given to it.
  private var reach: Int64 = -1
  private var isDelivering = false
  /// Resumed by a sink in the middle of a hand-over: sent after the reader knows that they were paused.
  private var resumedMeanwhile: [(id: SubscriptionID, position: Int64, run: UInt32)] = []
  /// The topic that was looked up last: rows come in runs of one.
  private var recent: (topic: Topic, subscriptions: [Subscription])?
  private var reader: SQLiteReader?

  /// Forgets everything; from now on the subscriptions are those of this reader.
  func start(_ reader: SQLiteReader?) {
    self.reader = reader
    for subscription in subscriptions.values { subscription.isEnded = true }
    subscriptions = [:]
    topics = [:]
    recent = nil
    reach = -1
  }

  func add(_ id: SubscriptionID, topic: Topic, from place: LogPlace, cursor: Cursor, sink: @escaping Sink) {
    let subscription = Subscription(id, topic: topic, sink: sink)
    subscriptions[id] = subscription
    topics[ExactText(topic.name), default: []].append(subscription)
    recent = nil
    tell { $0.subscribe(id, topic: topic, from: place, cursor: cursor) }
  }

  func resume(_ id: SubscriptionID) {
    guard let subscription = subscriptions[id], let position = subscription.pausedAt else { return }
    subscription.pausedAt = nil
    subscription.run &+= 1
    let run = subscription.run
    if isDelivering {
      resumedMeanwhile.append((id, position, run))
    } else {
      tell { $0.resume(id, from: position, run: run) }
    }
  }

  func remove(_ id: SubscriptionID) {
    guard let removed = subscriptions.removeValue(forKey: id) else { return }
    removed.isEnded = true
    let key = ExactText(removed.topic.name)
    recent = nil
    topics[key]?.removeAll { $0 === removed }
    if topics[key]?.isEmpty == true { topics[key] = nil }
    tell { $0.unsubscribe(id) }
  }

  private func tell(_ word: @escaping @Sendable (isolated SQLiteReader) -> Void) {
    guard let reader else { return }
    reader.loop.execute { reader.assumeIsolated(word) }
  }

  // MARK: Deliveries

  /// What the reader has read.
  func take(_ handOver: SQLiteReader.HandOver) {
    var paused: [SubscriptionID] = []
    isDelivering = true
    for item in handOver.items {
      // What follows a pause is dropped, the reader reads it again after `resume`; so is what was given already.
      guard let subscription = subscriptions[item.subscription], subscription.run == item.run,
        subscription.pausedAt == nil, subscription.live.map({ $0 < item.position }) ?? true
      else { continue }
      give(item.delivery, at: item.position, to: subscription, &paused)
    }
    for (id, position, run) in handOver.live {
      guard let subscription = subscriptions[id], subscription.run == run, subscription.pausedAt == nil else {
        continue
      }
      subscription.live = max(subscription.live ?? -1, position)
    }
    isDelivering = false
    reach = max(reach, handOver.reach)
    guard let reader else { return }
    // In this order: the reader says that it wants the word before it looks whether the word is there.
    reader.loop.execute(wakes: false) { [paused] in reader.assumeIsolated { $0.handedOver(paused: paused) } }
    if reader.wantsWord.load(ordering: .sequentiallyConsistent) { reader.loop.wakeUp() }
    sendResumptions()
  }

  /// Rows that this process has just stored: consecutive, in order.
  func take(stored rows: [StoredRow]) {
    guard let first = rows.first?.id, let last = rows.last?.id, let reader, last > reach, !subscriptions.isEmpty
    else { return }
    guard first == reach + 1, rows.allSatisfy({ areLive(on: $0.topic) }) else { return tell { $0.missed() } }
    var paused: [SubscriptionID] = []
    isDelivering = true
    // By index: an element that is taken out is copied with all its texts.
    for index in rows.indices {
      for subscription in subscriptions(of: rows[index].topic) {
        guard !subscription.isEnded, let live = subscription.live, live < rows[index].id else { continue }
        give(.message(rows[index].message), at: rows[index].id, to: subscription, &paused)
      }
    }
    isDelivering = false
    reach = last
    reader.gave(first...last)
    if !paused.isEmpty {
      reader.loop.execute(wakes: false) { [paused] in reader.assumeIsolated { $0.pause(paused) } }
    }
    sendResumptions()
  }

  /// One that the reader still catches up may or may not be given a new row by it: then the reader decides for all.
  private func areLive(on topic: Topic) -> Bool { subscriptions(of: topic).allSatisfy { $0.live != nil } }

  private func subscriptions(of topic: Topic) -> [Subscription] {
    if let recent, recent.topic == topic { return recent.subscriptions }
    let found = topics[ExactText(topic.name)] ?? []
    recent = (topic, found)
    return found
  }

  private func give(
    _ delivery: Delivery, at position: Int64, to subscription: Subscription, _ paused: inout [SubscriptionID]
  ) {
    if subscription.live != nil { subscription.live = position }
    guard subscription.sink(delivery) == .pause, !subscription.isEnded else { return }
    subscription.live = nil
    subscription.pausedAt = position
    paused.append(subscription.id)
  }

  private func sendResumptions() {
    let resumed = resumedMeanwhile
    resumedMeanwhile = []
    for (id, position, run) in resumed { tell { $0.resume(id, from: position, run: run) } }
  }
}

/// A row of our own, as the writer stored it.
struct StoredRow: Sendable {
  let id: Int64
  let call: PostCall
  let receipt: Receipt
  let storedAt: Int64
  /// As it stands in the row, for people.
  let timestamp: String

  var topic: Topic { call.request.draft.topic }

  /// The message that a reader would make of the row.
  var message: Message {
    let draft = call.request.draft
    return Message(
      topic: draft.topic, sender: draft.author.handle, instance: draft.author.instance, content: draft.content,
      timestamp: timestamp, storedAt: storedAt, id: receipt.id, cursor: receipt.cursor,
      inReplyTo: draft.inReplyTo, to: draft.to, attributes: draft.attributes)
  }
}
