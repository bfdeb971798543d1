/// What one topic brought while a caller waited.
public struct News: Hashable, Sendable {
  /// In log order.
  public var messages: [Message]
  /// Where reading goes on.
  public var next: Cursor
  /// There may be more now than was taken.
  public var hasMore: Bool
  /// A gap that came up.
  public var gap: Gap?
}

extension Supervisor {
  /// Waits until any of the topics has a wanted message (or a gap) after its cursor, and returns what came in that
  /// loop turn, at most `limit` messages; topics without news are absent. Empty at the deadline or on cancellation.
  ///
  /// Messages that are not `wanted` are passed over. The first wanted one that does not `fit` ends the answer as the
  /// limit does: it and what follows is not taken.
  public func awaitNews(
    _ places: [Topic: Cursor], limit: Int, until deadline: LoopInstant,
    fits: @escaping @Sendable (Message) -> Bool = { _ in true }, wanted: @escaping @Sendable (Message) -> Bool
  ) async -> [Topic: News] {
    let collector = NewsCollector(loop: loop, limit: limit, fits: fits, wanted: wanted)
    let follows = places.sorted { $0.key < $1.key }.map { topic, cursor in
      follow(topic, after: cursor) { collector.take($0, on: topic) }
    }
    defer { for id in follows { unfollow(id) } }
    if !collector.isDone { _ = await collector.done.wait(collector.ticket, until: deadline) }
    return collector.found
  }
}

/// Gathers deliveries of one loop turn for a waiting caller.
//
// @unchecked: sinks are called on the loop, where the waiting supervisor runs too.
private final class NewsCollector: @unchecked Sendable {
  private let loop: EventLoop
  private let limit: Int
  private let fits: @Sendable (Message) -> Bool
  private let wanted: @Sendable (Message) -> Bool
  let done: Waiters<Void>
  let ticket: UInt64
  private(set) var found: [Topic: News] = [:]
  private(set) var isDone = false
  private var isEnding = false
  private var count = 0
  private var isFull = false

  init(
    loop: EventLoop, limit: Int, fits: @escaping @Sendable (Message) -> Bool,
    wanted: @escaping @Sendable (Message) -> Bool
  ) {
    self.loop = loop
    self.limit = limit
    self.fits = fits
    self.wanted = wanted
    done = Waiters(loop: loop)
    ticket = done.ticket()
  }

  func take(_ delivery: Delivery, on topic: Topic) -> Demand {
    if isDone { return .pause }
    switch delivery {
    case .gap(let gap):
      if found[topic]?.messages.isEmpty == false {
        // A page's gap stands before its messages: this one begins the next page.
        found[topic]?.hasMore = true
        return .pause
      }
      found[topic, default: News(messages: [], next: gap.to, hasMore: false)].gap = gap
      found[topic]?.next = gap.to
    case .message(let message):
      guard wanted(message) else { return .more }
      if isFull || count >= limit || !fits(message) {
        isFull = true
        // A topic that got no place in this answer keeps its cursor: it is simply absent.
        found[topic]?.hasMore = true
        return .pause
      }
      count += 1
      found[topic, default: News(messages: [], next: message.cursor, hasMore: false)].messages.append(message)
      found[topic]?.next = message.cursor
    }
    end()
    return count >= limit ? .pause : .more
  }

  /// Lets the rest of this turn's deliveries come in, then wakes the caller.
  private func end() {
    guard !isEnding else { return }
    isEnding = true
    loop.atEndOfTurn { [self] in
      isDone = true
      done.resume(ticket, ())
    }
  }
}
