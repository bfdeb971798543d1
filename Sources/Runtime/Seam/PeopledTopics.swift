/// A backend that can tell who is in a topic's room, also of those who say nothing; those that cannot do not conform.
public protocol PeopledTopics: Backend {
  /// Who is in the topic's room by another account than ours, in no order; nobody where there is no room, or where that is
  /// not known without entering it.
  func occupants(of topic: Topic, deadline: LoopInstant) async throws(SeamError) -> [Occupant]
}

/// Somebody in a topic's room.
public struct Occupant: Hashable, Sendable {
  /// What its messages go by, or would.
  public var handle: Handle
  /// The backend's name for it; nil where the room hides that.
  public var account: String?
  /// When it was last heard of, milliseconds since 1970; nil where it is there at this moment.
  public var seenAt: Int64?

  /// Makes one.
  public init(handle: Handle, account: String?, seenAt: Int64?) {
    self.handle = handle
    self.account = account
    self.seenAt = seenAt
  }
}
