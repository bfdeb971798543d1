/// Remembers the newest message ids of each topic, so that what a session has had is not given to it again.
struct SeenIDs {
  /// Ids kept per topic; the oldest make room.
  static let capacity = 4096

  private struct Ring {
    var members: Set<MessageID> = []
    var order: [MessageID] = []
    var oldest = 0

    /// False when it was there already.
    mutating func insert(_ id: MessageID) -> Bool {
      guard members.insert(id).inserted else { return false }
      if order.count < SeenIDs.capacity {
        order.append(id)
      } else {
        members.remove(order[oldest])
        order[oldest] = id
        oldest = (oldest + 1) % SeenIDs.capacity
      }
      return true
    }
  }

  private var rings: [Topic: Ring] = [:]

  /// Adds an id; false when it was there already.
  @discardableResult
  mutating func insert(_ id: MessageID, on topic: Topic) -> Bool {
    rings[topic, default: Ring()].insert(id)
  }

  /// Adds the ids of messages of one topic.
  mutating func insert(idsOf messages: [Message], on topic: Topic) {
    var ring = rings.removeValue(forKey: topic) ?? Ring()
    for message in messages { _ = ring.insert(message.id) }
    rings[topic] = ring
  }

  func contains(_ id: MessageID, on topic: Topic) -> Bool { rings[topic]?.members.contains(id) ?? false }
}
