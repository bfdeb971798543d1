import ParleyRuntime

/// Which resources a client wants to hear of, and which of them changed since it was last told.
///
/// Changes of one loop turn are told once, and while the client is slow they wait for it. Confined to its loop.
//
// @unchecked: confined to the loop's thread.
package final class ResourceSubscriptions: @unchecked Sendable {
  /// Who asked: `resources/subscribe`, or one `subscriptions/listen` request.
  enum Subscriber: Hashable {
    case session
    case listener(RequestID)
  }

  private let loop: EventLoop
  private let output: ([UInt8]) -> Void
  private var topics: [Topic: [String: Set<Subscriber>]] = [:]
  private var count = 0
  private var changedTopics: Set<Topic> = []
  private var isTellingDue = false
  private var isCongested = false

  /// Makes an empty table; `output` takes each notification.
  package init(loop: EventLoop, output: @escaping ([UInt8]) -> Void) {
    self.loop = loop
    self.output = output
  }

  /// Adds an interest; false when `limit` interests are there already.
  func add(_ uri: String, of topic: Topic, for subscriber: Subscriber, limit: Int) -> Bool {
    if topics[topic]?[uri]?.contains(subscriber) == true { return true }
    guard count < limit else { return false }
    topics[topic, default: [:]][uri, default: []].insert(subscriber)
    count += 1
    return true
  }

  /// Ends interests of a subscriber: in one resource, or in all. No effect where there is none.
  func remove(_ subscriber: Subscriber, uri: String? = nil) {
    for (topic, uris) in topics {
      for (candidate, subscribers) in uris where subscribers.contains(subscriber) && candidate == uri ?? candidate {
        count -= 1
        topics[topic]?[candidate]?.remove(subscriber)
        if subscribers.count == 1 { topics[topic]?[candidate] = nil }
      }
      if topics[topic]?.isEmpty == true { topics[topic] = nil }
    }
  }

  /// A message was added to a topic.
  package func changed(_ topic: Topic) {
    guard topics[topic] != nil else { return }
    changedTopics.insert(topic)
    tellSoon()
  }

  /// The client does not take what it is sent: changes wait.
  package func congested() { isCongested = true }

  /// The client takes what it is sent again.
  package func drained() {
    isCongested = false
    if !changedTopics.isEmpty { tellSoon() }
  }

  private func tellSoon() {
    guard !isTellingDue, !isCongested else { return }
    isTellingDue = true
    loop.execute { [self] in
      isTellingDue = false
      tell()
    }
  }

  private func tell() {
    let changed = changedTopics.sorted()
    changedTopics = []
    for topic in changed {
      for (uri, subscribers) in topics[topic] ?? [:] {
        for subscriber in subscribers { tell(uri, subscriber) }
      }
    }
  }

  private func tell(_ uri: String, _ subscriber: Subscriber) {
    var line = JSONWriter(capacity: 256)
    line.notification("notifications/resources/updated") { line in
      line.member("uri", uri)
      if case .listener(let id) = subscriber { line.subscriptionMeta(id) }
    }
    output(line.bytes)
  }
}

extension JSONWriter {
  /// Writes the `_meta` member that names the `subscriptions/listen` request a message belongs to.
  mutating func subscriptionMeta(_ id: RequestID) {
    key("_meta")
    beginObject()
    key("io.modelcontextprotocol/subscriptionId")
    raw(id.slice)
    endObject()
  }
}
