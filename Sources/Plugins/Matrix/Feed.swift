import ParleyRuntime

/// One topic's live end, as /sync brings it, shared by the topic's subscriptions. Confined to the backend's loop.
///
/// It holds the newest messages for subscriptions that are still reading pages. When /sync did not bring everything it
/// is broken: then every subscription reads pages again from where it stands.
//
// @unchecked: only touched on the backend's loop.
final class Feed: @unchecked Sendable {
  let topic: Topic
  /// Numbers entries in the order of arrival.
  private(set) var nextNumber = 0
  /// How often the feed was broken; a reader that began before a break has to read again.
  private(set) var breaks = 0
  private var entries: [EventReader.Entry] = []
  private(set) var isOver = false
  /// The room that was found last, also while we are out of it.
  var roomID: String?
  /// We were put out of the room, or there is none.
  var isAway = false
  /// A gap to tell before reading goes on, because we were away.
  var awaySince: LoopInstant?
  var auditTimer: LoopTimer?
  /// A task that tries to come back to the room is under way.
  var isReturning = false

  private static let limit = 1024

  init(topic: Topic) { self.topic = topic }

  /// The number of the oldest entry that is held.
  var firstNumber: Int { nextNumber - entries.count }

  func append(_ entry: EventReader.Entry) {
    entries.append(entry)
    nextNumber += 1
    if entries.count > 2 * Self.limit { entries.removeFirst(Self.limit) }
  }

  /// The entries from a number on; nil where some of them are no longer held.
  func entries(from number: Int) -> ArraySlice<EventReader.Entry>? {
    number < firstNumber ? nil : entries[(number - firstNumber)...]
  }

  /// An entry among those held.
  func entry(_ id: String) -> EventReader.Entry? { entries.last { $0.id == id } }

  /// Something was not brought by /sync.
  func breakOff() { breaks += 1 }

  func end() { isOver = true }
}

/// One subscription of a session.
struct Subscription {
  enum State: Hashable {
    /// Reads pages until it stands where the feed stands.
    case reading
    /// Gets each message as it comes.
    case live
    /// Its sink paused it.
    case paused
    /// The topic has no room that we are in.
    case waitingForRoom
  }

  let id: SubscriptionID
  let topic: Topic
  let sink: Sink
  var cursor: Cursor
  var state: State
  /// What it was given lately, so that a page and the feed do not give it twice.
  var delivered = BoundedTable<String, Bool>(limit: 4096)
}
