import CFloors

/// What was sent and answered in a timed exchange, as it came: judged afterwards, since to read answers closely takes
/// a driver longer than the floor takes to give them.
struct Transcript {
  private enum Event {
    case sent(Int)
    /// The answer to an index, up to this place in `bytes`.
    case answered(Int, end: Int)
  }

  private var events: [Event] = []
  private var bytes: [UInt8] = []

  init(count: Int) {
    events.reserveCapacity(2 * count)
    bytes.reserveCapacity(400 * count)
  }

  /// Notes a post that is about to be written.
  mutating func sent(_ index: Int) { events.append(.sent(index)) }

  /// Keeps the answer to a post.
  mutating func answered(_ index: Int, _ line: UnsafeBufferPointer<UInt8>) {
    unsafe bytes.append(contentsOf: line)
    events.append(.answered(index, end: bytes.count))
  }

  /// Tells it all to a history.
  func tell(_ history: inout History, _ posts: Posts) {
    var start = 0
    for event in events {
      switch event {
      case .sent(let index): history.sent(posts, index)
      case .answered(let index, let end):
        let line = String(decoding: bytes[start..<end], as: UTF8.self)
        start = end
        history.answered(posts, index, id: Self.messageID(in: line), line: line)
      }
    }
  }

  /// The id in the answer to a post; nil where it was refused.
  static func messageID(in line: String) -> String? {
    line.firstRange(of: "\"backendMsgId\":\"").flatMap { found in
      let rest = line[found.upperBound...]
      return rest.firstIndex(of: "\"").map { String(rest[..<$0]) }
    }
  }
}
