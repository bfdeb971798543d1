/// One stored message: the same value live and by fetch (S6).
public struct Message: Hashable, Sendable {
  /// The log it stands in.
  public var topic: Topic
  /// The handle its sender claims, or the account's where the backend knows no handle.
  public var sender: Handle
  /// The backend's own name for the sender (Matrix id, bare JID), where the backend authenticates senders.
  public var account: String?
  /// How sure the sender is.
  public var provenance: Provenance
  /// The sender's process, where the message says so.
  public var instance: String?
  /// The text exactly as posted.
  public var content: String
  /// ISO 8601 with milliseconds, for people only: never an order, never a cursor.
  public var timestamp: String
  /// Milliseconds since 1970, given by the store and clamped to grow with the log.
  public var storedAt: Int64
  /// The backend's id.
  public var id: MessageID
  /// The place in the log just after this message, to be passed as `after`.
  public var cursor: Cursor
  /// Handles named with `@` in the content, in order of first appearance.
  public var mentions: [Handle] { Mentions.handles(in: content) }
  /// The message this one answers.
  public var inReplyTo: MessageID?
  /// The one handle it is meant for; everyone may read it.
  public var to: Handle?
  /// Flat string map, at most 4 KiB; the prefix `parley.` is Parley's own.
  public var attributes: [String: String]
  /// Delivered out of its place because an audit found it after the fact (federated Matrix rooms only).
  public var isLate: Bool

  /// Makes a message; backends do.
  @inlinable
  public init(
    topic: Topic, sender: Handle, account: String? = nil, provenance: Provenance = .claimed, instance: String? = nil,
    content: String, timestamp: String, storedAt: Int64, id: MessageID, cursor: Cursor,
    inReplyTo: MessageID? = nil, to: Handle? = nil, attributes: [String: String] = [:], isLate: Bool = false
  ) {
    self.topic = topic
    self.sender = sender
    self.account = account
    self.provenance = provenance
    self.instance = instance
    self.content = content
    self.timestamp = timestamp
    self.storedAt = storedAt
    self.id = id
    self.cursor = cursor
    self.inReplyTo = inReplyTo
    self.to = to
    self.attributes = attributes
    self.isLate = isLate
  }

  /// The kind of a coordination event (attribute `kind`), nil for plain messages.
  public var kind: String? { attributes["kind"] }

  /// The attribute of events that coordination keeps for itself.
  package static let quietAttribute = "parley.quiet"
  /// The kind of a message that is no more than a person's sign about another one, which it replies to; its content is
  /// the sign.
  package static let reactionKind = "reaction"

  /// Bookkeeping, such as a checkpoint: fetched like every message, but never pushed, counted as unread or waited for.
  public var isQuiet: Bool { attributes[Self.quietAttribute] == "1" }
}

/// How sure it is that a message comes from the handle it names (S12).
public enum Provenance: String, Hashable, Sendable {
  /// The backend authenticated the account, and the handle is tied to it.
  case verified
  /// Anyone who may write to the backend could have written this handle.
  case claimed
}

/// A message on its way into a log.
public struct Draft: Hashable, Sendable {
  /// The log to append to.
  public var topic: Topic
  /// Who posts.
  public var author: Author
  /// The text; NUL is refused, everything else round-trips (S8).
  public var content: String
  /// Makes a retry safe: the same key with the same content is one message (S2).
  public var key: DraftKey
  /// The message this one answers; not checked to exist.
  public var inReplyTo: MessageID?
  /// The one handle it is meant for.
  public var to: Handle?
  /// Flat string map, at most 4 KiB; callers above the core may not use the prefix `parley.`.
  public var attributes: [String: String]

  /// Makes a draft.
  @inlinable
  public init(
    topic: Topic, author: Author, content: String, key: DraftKey, inReplyTo: MessageID? = nil, to: Handle? = nil,
    attributes: [String: String] = [:]
  ) {
    self.topic = topic
    self.author = author
    self.content = content
    self.key = key
    self.inReplyTo = inReplyTo
    self.to = to
    self.attributes = attributes
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
