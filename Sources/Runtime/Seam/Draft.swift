/// A message on its way into a log.
public struct Draft: Hashable, Sendable {
  /// The log to append to.
  @inlinable public var topic: Topic {
    get { fields.storage.value.topic }
    set { fields.value.topic = newValue }
  }
  /// Who posts.
  @inlinable public var author: Author {
    get { fields.storage.value.author }
    set { fields.value.author = newValue }
  }
  /// The text; NUL is refused, everything else round-trips (S8).
  @inlinable public var content: String {
    get { fields.storage.value.content }
    set { fields.value.content = newValue }
  }
  /// Makes a retry safe: the same key with the same content is one message (S2).
  @inlinable public var key: DraftKey {
    get { fields.storage.value.key }
    set { fields.value.key = newValue }
  }
  /// The message this one answers; not checked to exist.
  @inlinable public var inReplyTo: MessageID? {
    get { fields.storage.value.inReplyTo }
    set { fields.value.inReplyTo = newValue }
  }
  /// The one handle it is meant for.
  @inlinable public var to: Handle? {
    get { fields.storage.value.to }
    set { fields.value.to = newValue }
  }
  /// Flat string map, at most 4 KiB; callers above the core may not use the prefix `parley.`.
  @inlinable public var attributes: Attributes {
    get { fields.storage.value.attributes }
    set { fields.value.attributes = newValue }
  }

  @usableFromInline var fields: Shared<Fields>

  /// What it consists of.
  @usableFromInline struct Fields: Hashable, Sendable {
    @usableFromInline var topic: Topic
    @usableFromInline var author: Author
    @usableFromInline var content: String
    @usableFromInline var key: DraftKey
    @usableFromInline var inReplyTo: MessageID?
    @usableFromInline var to: Handle?
    @usableFromInline var attributes: Attributes
  }

  /// Makes a draft.
  public init(
    topic: Topic, author: Author, content: String, key: DraftKey, inReplyTo: MessageID? = nil, to: Handle? = nil,
    attributes: Attributes = [:]
  ) {
    fields = Shared(
      Fields(
        topic: topic, author: author, content: content, key: key, inReplyTo: inReplyTo, to: to, attributes: attributes))
  }

  /// Whether a stored message has the content of this draft, so that the same key means the same post.
  public func matches(content: String, inReplyTo: MessageID?, to: Handle?, attributes: Attributes) -> Bool {
    self.content == content && self.inReplyTo == inReplyTo && self.to == to && self.attributes == attributes
  }
}

/// What makes a post idempotent, scoped to topic and author.
public struct DraftKey: Hashable, Sendable {
  /// 1 to 255 bytes.
  public let text: String
  /// Chosen by the caller (may repeat over processes and days), or generated (unique, so the first attempt needs no
  /// search).
  public let isChosen: Bool

  /// A key that the caller chose.
  public static func chosen(_ text: String) -> DraftKey { DraftKey(text: text, isChosen: true) }
  /// A key that was made for one post: it comes again only when this process retries after `outcomeUnknown`, so a
  /// backend searches for it then, and not on the first attempt.
  public static func generated(_ text: String) -> DraftKey { DraftKey(text: text, isChosen: false) }
}

/// What `post` returns once the backend has stored the message.
public struct Receipt: Hashable, Sendable {
  /// The id of the earliest stored copy.
  public let id: MessageID
  /// The place just after it.
  public let cursor: Cursor
  /// When the store says it was stored, milliseconds since 1970; nil where its acknowledgement does not say.
  public let storedAt: Int64?
  /// How durable this post is.
  public let durability: Durability
  /// The key had been posted before: nothing was added now.
  public let isDuplicate: Bool

  /// Makes a receipt; backends do.
  public init(id: MessageID, cursor: Cursor, storedAt: Int64?, durability: Durability, isDuplicate: Bool = false) {
    self.id = id
    self.cursor = cursor
    self.storedAt = storedAt
    self.durability = durability
    self.isDuplicate = isDuplicate
  }
}

/// How durable a post is: a label of our own post, never a claim about other writers.
public enum Durability: Hashable, Sendable, CustomStringConvertible {
  /// On stable storage: survives power loss.
  case synced
  /// Handed to the operating system: survives a crash of the process, not of the machine.
  case written
  /// Acknowledged by this many servers.
  case replicated(Int)
  /// The backend does not say.
  case unknown

  public var description: String {
    switch self {
    case .synced: "synced"
    case .written: "written"
    case .replicated(let count): "replicated(\(count))"
    case .unknown: "unknown"
    }
  }
}
