/// A message on its way into a log.
public struct Draft: Hashable, Sendable {
  /// The log to append to.
  @inlinable public var topic: Topic {
    get { storage.topic }
    set { change { $0.topic = newValue } }
  }
  /// Who posts.
  @inlinable public var author: Author {
    get { storage.author }
    set { change { $0.author = newValue } }
  }
  /// The text; NUL is refused, everything else round-trips (S8).
  @inlinable public var content: String {
    get { storage.content }
    set { change { $0.content = newValue } }
  }
  /// Makes a retry safe: the same key with the same content is one message (S2).
  @inlinable public var key: DraftKey {
    get { storage.key }
    set { change { $0.key = newValue } }
  }
  /// The message this one answers; not checked to exist.
  @inlinable public var inReplyTo: MessageID? {
    get { storage.inReplyTo }
    set { change { $0.inReplyTo = newValue } }
  }
  /// The one handle it is meant for.
  @inlinable public var to: Handle? {
    get { storage.to }
    set { change { $0.to = newValue } }
  }
  /// Flat string map, at most 4 KiB; callers above the core may not use the prefix `parley.`.
  @inlinable public var attributes: [String: String] {
    get { storage.attributes }
    set { change { $0.attributes = newValue } }
  }

  /// Makes a draft.
  @inlinable
  public init(
    topic: Topic, author: Author, content: String, key: DraftKey, inReplyTo: MessageID? = nil, to: Handle? = nil,
    attributes: [String: String] = [:]
  ) {
    storage = Storage(
      topic: topic, author: author, content: content, key: key, inReplyTo: inReplyTo, to: to,
      attributes: attributes)
  }

  /// What it consists of: a copy is one reference, however many layers hand it on.
  //
  // @unchecked: changed by `change` alone, as long as nobody else has it.
  @usableFromInline final class Storage: @unchecked Sendable {
    @usableFromInline var topic: Topic
    @usableFromInline var author: Author
    @usableFromInline var content: String
    @usableFromInline var key: DraftKey
    @usableFromInline var inReplyTo: MessageID?
    @usableFromInline var to: Handle?
    @usableFromInline var attributes: [String: String]

    @inlinable init(
      topic: Topic, author: Author, content: String, key: DraftKey, inReplyTo: MessageID?, to: Handle?,
      attributes: [String: String]
    ) {
      self.topic = topic
      self.author = author
      self.content = content
      self.key = key
      self.inReplyTo = inReplyTo
      self.to = to
      self.attributes = attributes
    }

    func copy() -> Storage {
      Storage(
        topic: topic, author: author, content: content, key: key, inReplyTo: inReplyTo, to: to,
        attributes: attributes)
    }
  }

  @usableFromInline var storage: Storage

  @usableFromInline mutating func change(_ body: (Storage) -> Void) {
    let changed = storage.copy()
    body(changed)
    storage = changed
  }

  public static func == (a: Draft, b: Draft) -> Bool {
    a.storage === b.storage
      || (a.topic == b.topic
        && a.author == b.author
        && a.content == b.content
        && a.key == b.key
        && a.inReplyTo == b.inReplyTo
        && a.to == b.to
        && a.attributes == b.attributes)
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(topic)
    hasher.combine(author)
    hasher.combine(content)
    hasher.combine(key)
    hasher.combine(inReplyTo)
    hasher.combine(to)
    hasher.combine(attributes)
  }

  /// Whether a stored message has the content of this draft, so that the same key means the same post.
  public func matches(content: String, inReplyTo: MessageID?, to: Handle?, attributes: [String: String]) -> Bool {
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
