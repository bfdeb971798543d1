/// Keeps participants from answering each other for ever while no person takes part.
///
/// Each message of a session carries its hop: 1 more than the highest that was delivered to the session since its last
/// post. What a person says begins a new count. A pure state: messages in, a verdict out.
public struct LoopGuard: Hashable, Sendable {
  /// The attribute that carries a hop; absent for 1, and 0 where a person says of itself that it is one.
  static let attribute = "parley.hop"
  /// The kind of the line that says that somebody stops.
  static let kind = "loop.guard"
  /// What was stored longer ago, in milliseconds, belongs to no loop that still runs.
  static let memory: Int64 = 3_600_000

  /// What becomes of the next post.
  public enum Verdict: Hashable, Sendable {
    /// It goes out with this hop.
    case passes(hop: Int)
    /// It is refused; a line says so where nobody has said it yet.
    case stops(hop: Int, tells: Bool)
  }

  /// What was delivered to the session since its last post.
  struct Delivered: Hashable, Sendable {
    /// The highest hop.
    var highest = 0
    /// When a message of that hop was stored last.
    var storedAt: Int64 = 0
  }

  private let author: Author
  /// The highest hop that passes; 0 for no limit.
  private let limit: Int
  private(set) var delivered = Delivered()
  /// Somebody has said that it stops here.
  private var isTold = false

  /// A guard for a session of the author, to which nothing was delivered yet.
  public init(author: Author, limit: Int) {
    self.author = author
    self.limit = limit
  }

  /// The hop of a stored message: what it says, 0 for what no process of ours or its like posted, else 1.
  static func hop(of message: Message) -> Int {
    if let hop = message.attributes[attribute].flatMap({ Int($0) }), (0...1_000_000).contains(hop) { return hop }
    return message.instance == nil ? 0 : 1
  }

  /// Takes note of a message that was given to the session.
  public mutating func note(_ message: Message) {
    guard message.instance != author.instance, !message.isQuiet else { return }
    let hop = Self.hop(of: message)
    if hop == 0 {
      (delivered.highest, isTold) = (0, false)
    } else {
      if message.kind == Self.kind { isTold = true }
      if hop >= delivered.highest {
        delivered = Delivered(highest: hop, storedAt: max(delivered.storedAt, message.storedAt))
      }
    }
  }

  /// What becomes of a post now, by the store's clock.
  public func verdict(at now: Int64) -> Verdict {
    let hop = 1 + (now - delivered.storedAt < Self.memory ? delivered.highest : 0)
    return limit == 0 || hop <= limit ? .passes(hop: hop) : .stops(hop: hop, tells: !isTold)
  }

  /// The session has posted.
  public mutating func notePosted() { delivered.highest = 0 }

  /// The post failed: what was delivered before it counts again.
  mutating func takeBack(_ before: Delivered) {
    if before.highest > delivered.highest { delivered = before }
  }

  /// The session has said that it stops.
  public mutating func noteTold() { isTold = true }

  /// What a refused post is told.
  static func refusal(hop: Int, limit: Int) -> HubError {
    .refused(
      code: "loopGuard",
      reason: "not posted: it would be message \(hop) in a row that participants answered each other with, without a "
        + "person; limits.hops is \(limit). Wait for a person to say something")
  }

  /// The line that others see.
  static func line(by handle: Handle, limit: Int) -> String {
    "\(VisibleText.visible(handle.name, keepsLines: false)) stops here: \(limit) messages answered each other without a "
      + "person; what a person says lets it go on"
  }
}
