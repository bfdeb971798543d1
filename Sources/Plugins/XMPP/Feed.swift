import ParleyRuntime

/// One subscription: where it stands, and how it comes by what follows; confined to its loop.
//
// @unchecked: confined to the loop's thread.
final class Feed: @unchecked Sendable {
  enum State {
    /// It reads the archive; what comes live meanwhile only says that there is more.
    case reading(isDirty: Bool)
    /// It stands at the end of the archive: what comes live follows at once.
    case live
    /// Its sink takes nothing.
    case paused
    case ended
  }

  let id: SubscriptionID
  let room: Room
  let sink: Sink
  var place: LogPlace
  var state = State.reading(isDirty: false)
  /// Reading goes on already.
  var isReading = false
  /// The newest entries that were delivered: a server may push what it has told by the archive already.
  private var recent: [String] = []

  init(id: SubscriptionID, room: Room, place: LogPlace, sink: @escaping Sink) {
    self.id = id
    self.room = room
    self.place = place
    self.sink = sink
  }

  var isEnded: Bool {
    if case .ended = state { true } else { false }
  }

  var isPaused: Bool {
    if case .paused = state { true } else { false }
  }

  func knows(_ id: String) -> Bool { recent.contains(id) }

  /// Hands over one delivery, after which it stands at `place`; whether it takes more.
  func deliver(_ delivery: Delivery, then place: LogPlace) -> Bool {
    self.place = place
    if case .after(let id) = place {
      recent.append(id)
      if recent.count > 128 { recent.removeFirst(64) }
    }
    let demand = sink(delivery)
    if isEnded { return false }
    guard demand == .pause else { return true }
    state = .paused
    return false
  }
}
