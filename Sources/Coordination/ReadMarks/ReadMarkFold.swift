import ParleyRuntime

/// The read marks of one participant as its own topic tells them: log order and `storedAt`, nothing else.
///
/// Marks are monotonic: one whose `storedAt` lies before the current one of its topic changes nothing, so that a
/// process that lags behind cannot make others read again.
public struct ReadMarkFold: Hashable, Sendable {
  /// The participant; events that anyone else posted change nothing.
  public let owner: Handle
  /// The account that it writes from, where the backend has accounts.
  public let account: String?
  /// How far each topic was read.
  public private(set) var marks: [Topic: ReadMark] = [:]
  /// The marks of the TypeScript Parley were taken over.
  public private(set) var hasImported = false
  /// Marks since the last checkpoint.
  public private(set) var marksSinceCheckpoint = 0
  /// `storedAt` of the newest checkpoint, or of the first mark where there is none: what the state stands on.
  private(set) var since: Int64?
  /// Messages that were no events of ours, of a later version, or damaged.
  public private(set) var ignoredEvents = 0

  /// Nothing read yet.
  public init(owner: Handle, account: String? = nil) {
    self.owner = owner
    self.account = account
  }

  /// Whether the participant itself wrote a message.
  func isOwn(_ message: Message) -> Bool { message.isFrom(owner, account: account) }

  /// Takes the next message of the log.
  public mutating func apply(_ message: Message) {
    // What the owner's topic says besides is told by `OwnFold`.
    guard !OwnEvent.owns(message) else { return }
    guard isOwn(message) else {
      ignoredEvents += 1
      return
    }
    do throws(EventRefusal) {
      switch try ReadMarkEvent(message) {
      case .mark(let topic, let mark):
        marksSinceCheckpoint += 1
        since = since ?? message.storedAt
        advance(topic, to: mark)
      case .checkpoint(let all, let imported, _):
        marksSinceCheckpoint = 0
        since = message.storedAt
        for (topic, mark) in all { advance(topic, to: mark) }
        hasImported = hasImported || imported
      case .imported(let all):
        since = since ?? message.storedAt
        adopt(all)
      }
    } catch {
      ignoredEvents += 1
    }
  }

  /// Moves one mark, unless it stands at a later place; false when nothing changed.
  @discardableResult
  mutating func advance(_ topic: Topic, to mark: ReadMark) -> Bool {
    if let current = marks[topic], mark.storedAt < current.storedAt || mark == current { return false }
    marks[topic] = mark
    return true
  }

  /// Takes marks from elsewhere, where there are none yet.
  mutating func adopt(_ imported: [Topic: ReadMark]) {
    hasImported = true
    for (topic, mark) in imported where marks[topic] == nil { marks[topic] = mark }
  }

  /// A checkpoint of this state was stored.
  mutating func noteCheckpoint(at storedAt: Int64) {
    marksSinceCheckpoint = 0
    since = max(since ?? 0, storedAt)
  }

  /// Takes over what another fold of the same topic knows more of.
  mutating func merge(_ other: ReadMarkFold) {
    for (topic, mark) in other.marks { advance(topic, to: mark) }
    hasImported = hasImported || other.hasImported
    marksSinceCheckpoint = other.marksSinceCheckpoint
    since = other.since ?? since
    ignoredEvents = max(ignoredEvents, other.ignoredEvents)
  }
}
