/// One stored message: the same value live and by fetch (S6).
public struct Message: Hashable, Sendable {
  /// The log it stands in.
  @inlinable public var topic: Topic {
    get { fields.storage.value.topic }
    set { fields.value.topic = newValue }
  }
  /// The handle its sender claims, or the account's where the backend knows no handle.
  @inlinable public var sender: Handle {
    get { fields.storage.value.sender }
    set { fields.value.sender = newValue }
  }
  /// The backend's own name for the sender (Matrix id, bare JID), where the backend authenticates senders.
  @inlinable public var account: String? {
    get { fields.storage.value.account }
    set { fields.value.account = newValue }
  }
  /// How sure the sender is.
  @inlinable public var provenance: Provenance {
    get { fields.storage.value.provenance }
    set { fields.value.provenance = newValue }
  }
  /// The sender's process, where the message says so.
  @inlinable public var instance: String? {
    get { fields.storage.value.instance }
    set { fields.value.instance = newValue }
  }
  /// The text exactly as posted.
  @inlinable public var content: String {
    get { fields.storage.value.content }
    set { fields.value.content = newValue }
  }
  /// ISO 8601 with milliseconds, for people only: never an order, never a cursor.
  @inlinable public var timestamp: String {
    get { fields.storage.value.timestamp }
    set { fields.value.timestamp = newValue }
  }
  /// Milliseconds since 1970, given by the store and clamped to grow with the log.
  @inlinable public var storedAt: Int64 {
    get { fields.storage.value.storedAt }
    set { fields.value.storedAt = newValue }
  }
  /// The backend's id.
  @inlinable public var id: MessageID {
    get { fields.storage.value.id }
    set { fields.value.id = newValue }
  }
  /// The place in the log just after this message, to be passed as `after`.
  @inlinable public var cursor: Cursor {
    get { fields.storage.value.cursor }
    set { fields.value.cursor = newValue }
  }
  /// The message this one answers.
  @inlinable public var inReplyTo: MessageID? {
    get { fields.storage.value.inReplyTo }
    set { fields.value.inReplyTo = newValue }
  }
  /// The one handle it is meant for; everyone may read it.
  @inlinable public var to: Handle? {
    get { fields.storage.value.to }
    set { fields.value.to = newValue }
  }
  /// Flat string map, at most 4 KiB; the prefix `parley.` is Parley's own.
  @inlinable public var attributes: Attributes {
    get { fields.storage.value.attributes }
    set { fields.value.attributes = newValue }
  }
  /// Delivered out of its place because an audit found it after the fact (federated Matrix rooms only).
  @inlinable public var isLate: Bool {
    get { fields.storage.value.isLate }
    set { fields.value.isLate = newValue }
  }
  /// Handles named with `@` in the content, in order of first appearance.
  public var mentions: [Handle] { Mentions.handles(in: content) }

  @usableFromInline var fields: Shared<Fields>

  /// What it consists of.
  @usableFromInline struct Fields: Hashable, Sendable {
    @usableFromInline var topic: Topic
    @usableFromInline var sender: Handle
    @usableFromInline var account: String?
    @usableFromInline var provenance: Provenance
    @usableFromInline var instance: String?
    @usableFromInline var content: String
    @usableFromInline var timestamp: String
    @usableFromInline var storedAt: Int64
    @usableFromInline var id: MessageID
    @usableFromInline var cursor: Cursor
    @usableFromInline var inReplyTo: MessageID?
    @usableFromInline var to: Handle?
    @usableFromInline var attributes: Attributes
    @usableFromInline var isLate: Bool
  }

  /// Makes a message; backends do.
  public init(
    topic: Topic, sender: Handle, account: String? = nil, provenance: Provenance = .claimed, instance: String? = nil,
    content: String, timestamp: String, storedAt: Int64, id: MessageID, cursor: Cursor,
    inReplyTo: MessageID? = nil, to: Handle? = nil, attributes: Attributes = [:], isLate: Bool = false
  ) {
    fields = Shared(
      Fields(
        topic: topic, sender: sender, account: account, provenance: provenance, instance: instance, content: content,
        timestamp: timestamp, storedAt: storedAt, id: id, cursor: cursor, inReplyTo: inReplyTo, to: to,
        attributes: attributes, isLate: isLate))
  }

  /// The kind of a coordination event (attribute `kind`), nil for plain messages.
  public var kind: String? { attributes.isEmpty ? nil : attributes["kind"] }

  /// The attribute of events that coordination keeps for itself.
  package static let quietAttribute = "parley.quiet"
  /// The kind of a message that is no more than a person's sign about another one, which it replies to; its content is
  /// the sign.
  package static let reactionKind = "reaction"

  /// Bookkeeping, such as a checkpoint: fetched like every message, but never pushed, counted as unread or waited for.
  public var isQuiet: Bool { !attributes.isEmpty && attributes[Self.quietAttribute] == "1" }
}

/// How sure it is that a message comes from the handle it names (S12).
public enum Provenance: String, Hashable, Sendable {
  /// The backend authenticated the account, and the handle is tied to it.
  case verified
  /// Anyone who may write to the backend could have written this handle.
  case claimed
}
