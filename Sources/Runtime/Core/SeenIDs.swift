/// Remembers the newest message ids of each topic, so that what a session has had is not given to it again.
struct SeenIDs {
  /// Ids kept per topic; the oldest make room.
  static let capacity = 4096

  private struct Ring {
    var members: Set<MessageID> = []
    var order: [MessageID] = []
    var oldest = 0

    mutating func add(_ id: MessageID) {
      if order.count < SeenIDs.capacity {
        order.append(id)
      } else {
        members.remove(order[oldest])
        order[oldest] = id
        oldest = (oldest + 1) % SeenIDs.capacity
      }
    }
  }

  private var rings: [Topic: Ring] = [:]

  /// Adds an id; false when it was there already.
  @discardableResult
  mutating func insert(_ id: MessageID, on topic: Topic) -> Bool {
    guard rings[topic, default: Ring()].members.insert(id).inserted else { return false }
    rings[topic]?.add(id)
    return true
  }

  func contains(_ id: MessageID, on topic: Topic) -> Bool { rings[topic]?.members.contains(id) ?? false }
}
