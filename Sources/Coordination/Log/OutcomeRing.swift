import ParleyRuntime

/// Remembers the newest messages of a topic and what each brought; the oldest make room.
///
/// What is asked for has just come, so it is searched from the newest on.
struct OutcomeRing<Outcome: Sendable>: Sendable {
  static var capacity: Int { 4096 }

  private var newest: [(id: MessageID, outcome: Outcome?)] = []
  /// How many were inserted ever; the place that the next takes, modulo the capacity.
  private(set) var count = 0

  /// What a message brought that was inserted when `count` was at least `mark`: nil where it was not seen (lately),
  /// `.some(nil)` where it was no event.
  func outcome(of id: MessageID, since mark: Int = 0) -> Outcome?? {
    var place = count
    while place > max(mark, count - newest.count) {
      place -= 1
      let entry = newest[place % Self.capacity]
      if entry.id == id { return .some(entry.outcome) }
    }
    return nil
  }

  mutating func insert(_ id: MessageID, _ outcome: Outcome?) {
    if newest.count < Self.capacity {
      newest.append((id, outcome))
    } else {
      newest[count % Self.capacity] = (id, outcome)
    }
    count += 1
  }
}
