import ParleyRuntime

/// One subscription: where it stands, and how it gets what follows.
//
// @unchecked: only touched on its backend's loop; tasks and timers there refer to it.
final class LiveReader: @unchecked Sendable {
  enum State {
    /// Its consumer is being made; `attempt` names this try, so that a late one knows that it is over.
    case starting(attempt: UInt64)
    /// Its topic has no stream; it starts when there is one.
    case absent
    /// A consumer of ours delivers.
    case reading(LiveConsumer)
    /// Its sink answered `.pause`.
    case paused
    /// Unsubscribed, or the session is over.
    case ended
  }

  let id: SubscriptionID
  let topic: Topic
  let names: TopicNames
  let sink: Sink
  /// After the last delivery.
  var place: LogPlace
  /// The cursor it began with, until it has delivered something.
  var cursor: Cursor
  var state = State.absent
  /// Attempts so far.
  var attempts: UInt64 = 0
  /// So often, after word that its stream was made, "there is none" is not believed: nats-server sends the word a moment
  /// before it finds the stream itself (seen on 2.15.1), and the word may overtake an earlier answer.
  var promises = 0
  static let promisesOfWord = 8
  /// Attempts that failed since something was delivered.
  var failures = 0

  init(id: SubscriptionID, topic: Topic, names: TopicNames, after cursor: Cursor, sink: @escaping Sink)
    throws(SeamError)
  {
    place = try LogPlace(cursor)
    self.cursor = cursor
    self.id = id
    self.topic = topic
    self.names = names
    self.sink = sink
  }

  var isAbsent: Bool { if case .absent = state { true } else { false } }
  /// Its place is in a stream that was there.
  var hasSeenStream: Bool { place.generation.map { $0 != LogPlace.unborn } ?? false }
  var consumer: LiveConsumer? { if case .reading(let consumer) = state { consumer } else { nil } }

  /// Whether this attempt to start is still the one that counts.
  func isStarting(_ attempt: UInt64) -> Bool {
    if case .starting(attempt) = state { true } else { false }
  }
}

/// A consumer that delivers one subscription's messages, and what has come of them.
final class LiveConsumer {
  let number: UInt64
  let name: String
  let generation: String
  /// How often the server says that it is there when it has nothing to deliver.
  let heartbeat: Duration
  var progress: ConsumerProgress
  /// Messages that were asked for and have not come.
  var outstanding = 0
  /// When it was last asked, and last heard.
  var asked: LoopInstant
  var heard: LoopInstant

  init(
    number: UInt64, name: String, generation: String, expecting sequence: UInt64, heartbeat: Duration, now: LoopInstant
  ) {
    self.number = number
    self.name = name
    self.generation = generation
    self.heartbeat = heartbeat
    progress = ConsumerProgress(expected: sequence)
    heard = now
    asked = now
  }
}

/// Judges a consumer's deliveries by their numbers: a pure value.
struct ConsumerProgress: Hashable, Sendable {
  enum Step: Hashable, Sendable {
    /// The next message of the stream.
    case next
    /// The stream has none with the numbers before this one any more.
    case afterHole
    /// It came before.
    case repeated
    /// A delivery did not arrive: the consumer must be made again.
    case missed
  }

  /// The stream's number that comes next, if nothing was deleted.
  private(set) var expected: UInt64
  /// The consumer's number of the last delivery.
  private(set) var delivered: UInt64 = 0

  init(expected: UInt64) { self.expected = expected }

  /// A delivery with these numbers has come.
  mutating func arrived(_ sequence: UInt64, consumerSequence: UInt64) -> Step {
    guard consumerSequence == delivered + 1 else { return consumerSequence <= delivered ? .repeated : .missed }
    guard sequence >= expected else {
      delivered = consumerSequence
      return .repeated
    }
    let step: Step = sequence == expected ? .next : .afterHole
    delivered = consumerSequence
    expected = sequence + 1
    return step
  }
}
