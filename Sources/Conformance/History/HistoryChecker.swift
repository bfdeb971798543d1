import ParleyRuntime

/// Judges what writers were told and readers saw against the log that is left at the end.
///
/// A pure value, fed by suite, simulation, chaos tests and bench alike. Every post's content must be unique to its key:
/// messages carry no key, so the content is what tells two copies of one post from two posts. Events of one writer and
/// of one reader are fed in their own order; between them no order is needed, so logs of several processes can be fed
/// one after the other. Cursors play no part: order is the position in the final log.
public struct HistoryChecker: Sendable {
  /// One entry of the log as it is known at the end, oldest first.
  public struct Entry: Hashable, Sendable {
    /// Its id.
    public var id: MessageID
    /// Its text.
    public var content: String
    /// It was taken away on purpose (trimmed, expired, lost with a failover), at its place in the order.
    public var isRemoved: Bool

    /// Makes an entry.
    public init(id: MessageID, content: String, isRemoved: Bool = false) {
      self.id = id
      self.content = content
      self.isRemoved = isRemoved
    }
  }

  /// Names a post in the checker.
  public struct Post: Hashable, Sendable {
    let number: Int
  }

  /// Names a reader in the checker.
  public struct Reader: Hashable, Sendable {
    let number: Int
  }

  enum Outcome {
    case open
    case acknowledged(id: Int)
    case failed
    case unknown
  }

  struct PostRecord {
    let writer: String
    let key: String
    let content: Int
    var outcome: Outcome = .open
    /// Places in the sequence of fed events; meaningful within one writer only.
    let attemptedAt: Int
    var acknowledgedAt = 0
  }

  struct ReaderRecord {
    let name: String
    let after: Int?
    /// Interned id and content, or nil for a gap.
    var events: [(id: Int, content: Int)?] = []
    var mustBeComplete = false
  }

  private(set) var posts: [PostRecord] = []
  private(set) var readers: [ReaderRecord] = []
  private(set) var earlyOffences: [String] = []
  private var sequence = 0
  private var postOfKey: [String: Int] = [:]
  private(set) var contents = Interner<String>()
  private(set) var ids = Interner<MessageID>()

  /// Makes an empty history.
  public init() {}

  // MARK: Writers

  /// A writer tries to post. The same writer and key again is a retry of the same post.
  public mutating func attempt(writer: String, key: String, content: String) -> Post {
    sequence += 1
    let scoped = writer + "\u{1f}" + key
    if let number = postOfKey[scoped] {
      posts[number].outcome = .open
      return Post(number: number)
    }
    postOfKey[scoped] = posts.count
    posts.append(
      PostRecord(writer: writer, key: key, content: contents.number(of: content), attemptedAt: sequence))
    return Post(number: posts.count - 1)
  }

  /// The attempt was acknowledged with this id.
  public mutating func acknowledge(_ post: Post, id: MessageID) {
    sequence += 1
    if case .unknown = posts[post.number].outcome {
      earlyOffences.append("\(label(post.number)): unknown, then acknowledged without another attempt")
    }
    posts[post.number].outcome = .acknowledged(id: ids.number(of: id))
    posts[post.number].acknowledgedAt = sequence
  }

  /// The attempt failed in a way that promises that nothing is stored.
  public mutating func fail(_ post: Post) {
    sequence += 1
    posts[post.number].outcome = .failed
  }

  /// The attempt's outcome is unknown: stored or not, both are right.
  public mutating func leaveUnknown(_ post: Post) {
    sequence += 1
    posts[post.number].outcome = .unknown
  }

  // MARK: Readers

  /// Adds a reader that begins after an entry, or at the very beginning of the log.
  public mutating func addReader(_ name: String, after id: MessageID? = nil) -> Reader {
    readers.append(ReaderRecord(name: name, after: id.map { ids.number(of: $0) }))
    return Reader(number: readers.count - 1)
  }

  /// The reader was given a message.
  public mutating func deliver(id: MessageID, content: String, to reader: Reader) {
    readers[reader.number].events.append((ids.number(of: id), contents.number(of: content)))
  }

  /// The reader was told that messages are missing here.
  public mutating func tellGap(to reader: Reader) { readers[reader.number].events.append(nil) }

  /// The reader was given a message or told of a gap.
  public mutating func deliver(_ delivery: Delivery, to reader: Reader) {
    switch delivery {
    case .message(let message): deliver(id: message.id, content: message.content, to: reader)
    case .gap: tellGap(to: reader)
    }
  }

  /// The reader had time to read to the end: whatever it has not seen by now, it missed.
  public mutating func expectComplete(_ reader: Reader) { readers[reader.number].mustBeComplete = true }

  func label(_ post: Int) -> String { "\(posts[post].writer)'s post \(posts[post].key)" }
}

/// Gives equal values equal small numbers, so that judging works on integers.
struct Interner<Value: Hashable & Sendable>: Sendable {
  private var numbers: [Value: Int] = [:]
  private(set) var values: [Value] = []

  var count: Int { values.count }

  mutating func number(of value: Value) -> Int {
    if let known = numbers[value] { return known }
    numbers[value] = values.count
    values.append(value)
    return values.count - 1
  }
}
