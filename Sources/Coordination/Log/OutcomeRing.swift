import ParleyRuntime

/// Remembers the newest messages of a topic and what each brought; the oldest make room.
struct OutcomeRing<Outcome: Sendable>: Sendable {
  static var capacity: Int { 4096 }

  private var outcomes: [MessageID: Outcome?] = [:]
  private var order: [MessageID] = []
  private var oldest = 0

  /// What a message brought: nil where it was not seen (lately), `.some(nil)` where it was no event.
  subscript(_ id: MessageID) -> Outcome?? { outcomes[id] }

  /// Notes that a message was seen, unless more is known of it.
  mutating func note(_ id: MessageID) {
    if outcomes[id] == nil { insert(id, nil) }
  }

  mutating func insert(_ id: MessageID, _ outcome: Outcome?) {
    guard outcomes.updateValue(outcome, forKey: id) == nil else { return }
    if order.count < Self.capacity {
      order.append(id)
    } else {
      outcomes.removeValue(forKey: order[oldest])
      order[oldest] = id
      oldest = (oldest + 1) % Self.capacity
    }
  }
}
