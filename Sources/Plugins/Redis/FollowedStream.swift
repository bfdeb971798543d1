import ParleyRuntime

/// One stream that a lane reads: who listens, and what the read under way asks of it.
//
// @unchecked: confined to the loop's thread.
final class FollowedStream: @unchecked Sendable {
  /// What shows that nothing was removed before what a read brings, asked for in the same write.
  enum Question {
    case none
    /// How many entries the stream has, which must have grown by those that the read brought and by no others.
    case length
    /// Whether the entry before them exists.
    case witness
  }

  /// How many entries a stream had when its readers stood at `position`, with no loss before it untold.
  struct Measure {
    let position: StreamID
    let length: Int
  }

  let name: String
  let topic: Topic
  /// Its name as an argument, and the question how long it is, as the server reads them.
  let argument: [UInt8]
  let lengthCommand: [UInt8]
  private(set) var subscriptions: [RedisSubscription] = []
  /// Where the read under way reads it from; nil where it does not.
  private(set) var readFrom: StreamID?
  private(set) var question = Question.none
  /// What the question about its length was answered with.
  var length: Int?
  private var measure: Measure?
  /// Reads that brought something of others and nothing of it, since its own last one.
  private(set) var outruns = 0
  /// So many reads more are checked by the witness, since the length was of no use lately.
  private var distrust = 0

  /// Below, the length is not believed, see `isSound`.
  private static let leastLength = 64
  private static let distrustedReads = 16

  init(name: String, topic: Topic) {
    self.name = name
    self.topic = topic
    argument = RESP.bulk(name)
    var command: [UInt8] = []
    RESP.encode(["XLEN", name], into: &command)
    lengthCommand = command
  }

  func add(_ subscription: RedisSubscription) { subscriptions.append(subscription) }

  /// False when nobody is left.
  func remove(_ subscription: RedisSubscription) -> Bool {
    subscriptions.removeAll { $0 === subscription }
    return !subscriptions.isEmpty
  }

  /// The place of the subscription that stands earliest and takes deliveries; nil when all pause.
  var earliestPlace: LogPlace? {
    var earliest: LogPlace?
    for subscription in subscriptions where !subscription.isPaused {
      let place = subscription.place
      if earliest.map({ place.position < $0.position }) ?? true { earliest = place }
    }
    return earliest
  }

  /// Nobody waits for what comes next.
  var isPutOff: Bool { !subscriptions.isEmpty && subscriptions.allSatisfy(\.isPutOff) }

  /// What the read under way covers is enough.
  var isCovered: Bool {
    guard let wanted = earliestPlace?.position else { return true }
    return readFrom.map { $0 <= wanted } ?? false
  }

  /// A new read begins, from where the earliest subscription stands; false where nobody takes anything.
  func arm() -> Bool {
    readFrom = earliestPlace?.position
    question = .none
    length = nil
    return readFrom != nil
  }

  /// Chooses how the read is checked; with `measures`, the length may be asked for.
  func ask(measures: Bool) -> Question {
    let isMeasured = measure.map { $0.position == readFrom && $0.length >= Self.leastLength } ?? false
    if earliestPlace?.witness == nil {
      question = .none
    } else {
      question = measures && isMeasured && distrust == 0 ? .length : .witness
    }
    if distrust > 0 { distrust -= 1 }
    return question
  }

  /// Whether the length alone shows that nothing was removed before the `count` entries of a read that brought all there
  /// were.
  ///
  /// Redis trims from the old end: to lose an unread entry, all that our readers know must go with it. Then the stream
  /// holds the new entries alone, and only if at least as many as it had before, all unread, come between the read and
  /// the question, which the server answers in the same turn, can its length look as if it had grown by `count`.
  func isSound(_ count: Int) -> Bool {
    guard let measure, let length, length == measure.length + count else {
      distrust = Self.distrustedReads
      return false
    }
    return true
  }

  /// A read is over that brought something, perhaps of this stream.
  func isRead(bringing: Bool) { outruns = bringing ? 0 : outruns + 1 }

  /// A read is over that brought everything up to `position`, and nothing was lost.
  func settle(at position: StreamID) {
    measure = length.map { Measure(position: position, length: $0) }
  }
}
