/// Which part of a log to read.
public enum Position: Hashable, Sendable {
  /// The newest messages, ascending.
  case latest
  /// What comes after a place, exclusive, ascending.
  case after(Cursor)
  /// What comes just before a place, exclusive, ascending; pages back to the oldest, or to `storedSince`
  /// (milliseconds since 1970) where the caller needs nothing older.
  case before(Cursor, storedSince: Int64? = nil)
}

/// One read of a log.
public struct FetchRequest: Hashable, Sendable {
  /// The log to read.
  public var topic: Topic
  /// Where to read.
  public var position: Position
  /// At most this many messages, 1 to 1,000; a page also ends at 1 MiB of content, but holds at least one message.
  public var limit: Int

  /// Makes a request.
  public init(_ topic: Topic, _ position: Position = .latest, limit: Int = 100) {
    self.topic = topic
    self.position = position
    self.limit = limit
  }
}

/// What a fetch found.
public struct Page: Hashable, Sendable {
  /// Ascending in log order.
  public var messages: [Message]
  /// Where reading goes on (`after`): behind the last message, or where the reader stood when there is none.
  public var next: Cursor
  /// Where paging back goes on (`before`); nil when nothing older is left.
  public var previous: Cursor?
  /// There is more in the direction of reading now.
  public var hasMore: Bool
  /// Loss between the request's cursor and the first message, certain or not to be ruled out.
  public var gap: Gap?

  /// Makes a page; backends do.
  public init(messages: [Message], next: Cursor, previous: Cursor? = nil, hasMore: Bool, gap: Gap? = nil) {
    self.messages = messages
    self.next = next
    self.previous = previous
    self.hasMore = hasMore
    self.gap = gap
  }
}

/// Messages that a reader will never get, or may not get: told, never silent (S4).
public struct Gap: Hashable, Sendable {
  /// The log that has the gap.
  public var topic: Topic
  /// The last place before the gap.
  public var from: Cursor
  /// Where reading goes on: the oldest there is.
  public var to: Cursor
  /// Why, in words for people.
  public var reason: String
  /// Messages are known to be lost; otherwise loss merely cannot be ruled out.
  public var isCertain: Bool

  /// Makes a gap.
  public init(topic: Topic, from: Cursor, to: Cursor, reason: String, isCertain: Bool) {
    self.topic = topic
    self.from = from
    self.to = to
    self.reason = reason
    self.isCertain = isCertain
  }
}
