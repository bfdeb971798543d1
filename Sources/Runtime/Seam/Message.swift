/// One stored message: the same value live and by fetch (S6).
public struct Message: Hashable, Sendable {
  /// The log it stands in.
  @inlinable public var topic: Topic {
    get { storage.topic }
    set { change { $0.topic = newValue } }
  }
  /// The handle its sender claims, or the account's where the backend knows no handle.
  @inlinable public var sender: Handle {
    get { storage.sender }
    set { change { $0.sender = newValue } }
  }
  /// The backend's own name for the sender (Matrix id, bare JID), where the backend authenticates senders.
  @inlinable public var account: String? {
    get { storage.account }
    set { change { $0.account = newValue } }
  }
  /// How sure the sender is.
  @inlinable public var provenance: Provenance {
    get { storage.provenance }
    set { change { $0.provenance = newValue } }
  }
  /// The sender's process, where the message says so.
  @inlinable public var instance: String? {
    get { storage.instance }
    set { change { $0.instance = newValue } }
  }
  /// The text exactly as posted.
  @inlinable public var content: String {
    get { storage.content }
    set { change { $0.content = newValue } }
  }
  /// ISO 8601 with milliseconds, for people only: never an order, never a cursor.
  @inlinable public var timestamp: String {
    get { storage.timestamp }
    set { change { $0.timestamp = newValue } }
  }
  /// Milliseconds since 1970, given by the store and clamped to grow with the log.
  @inlinable public var storedAt: Int64 {
    get { storage.storedAt }
    set { change { $0.storedAt = newValue } }
  }
  /// The backend's id.
  @inlinable public var id: MessageID {
    get { storage.id }
    set { change { $0.id = newValue } }
  }
  /// The place in the log just after this message, to be passed as `after`.
  @inlinable public var cursor: Cursor {
    get { storage.cursor }
    set { change { $0.cursor = newValue } }
  }
  /// The message this one answers.
  @inlinable public var inReplyTo: MessageID? {
    get { storage.inReplyTo }
    set { change { $0.inReplyTo = newValue } }
  }
  /// The one handle it is meant for; everyone may read it.
  @inlinable public var to: Handle? {
    get { storage.to }
    set { change { $0.to = newValue } }
  }
  /// Flat string map, at most 4 KiB; the prefix `parley.` is Parley's own.
  @inlinable public var attributes: [String: String] {
    get { storage.attributes }
    set { change { $0.attributes = newValue } }
  }
  /// Delivered out of its place because an audit found it after the fact (federated Matrix rooms only).
  @inlinable public var isLate: Bool {
    get { storage.isLate }
    set { change { $0.isLate = newValue } }
  }
  /// Handles named with `@` in the content, in order of first appearance.
  public var mentions: [Handle] { Mentions.handles(in: content) }

  /// Makes a message; backends do.
  @inlinable
  public init(
    topic: Topic, sender: Handle, account: String? = nil, provenance: Provenance = .claimed, instance: String? = nil,
    content: String, timestamp: String, storedAt: Int64, id: MessageID, cursor: Cursor,
    inReplyTo: MessageID? = nil, to: Handle? = nil, attributes: [String: String] = [:], isLate: Bool = false
  ) {
    storage = Storage(
      topic: topic, sender: sender, account: account, provenance: provenance, instance: instance,
      content:
        content, timestamp: timestamp, storedAt: storedAt, id: id, cursor: cursor, inReplyTo: inReplyTo,
      to:
        to, attributes: attributes, isLate: isLate)
  }

  /// What it consists of: a copy is one reference, however many layers hand it on.
  //
  // @unchecked: changed by `change` alone, as long as nobody else has it.
  @usableFromInline final class Storage: @unchecked Sendable {
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
    @usableFromInline var attributes: [String: String]
    @usableFromInline var isLate: Bool

    @inlinable init(
      topic: Topic, sender: Handle, account: String?, provenance: Provenance, instance: String?,
      content:
        String, timestamp: String, storedAt: Int64, id: MessageID, cursor: Cursor, inReplyTo: MessageID?,
      to:
        Handle?, attributes: [String: String], isLate: Bool
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

    func copy() -> Storage {
      Storage(
        topic: topic, sender: sender, account: account, provenance: provenance, instance: instance,
        content:
          content, timestamp: timestamp, storedAt: storedAt, id: id, cursor: cursor, inReplyTo: inReplyTo,
        to:
          to, attributes: attributes, isLate: isLate)
    }
  }

  @usableFromInline var storage: Storage

  @usableFromInline mutating func change(_ body: (Storage) -> Void) {
    let changed = storage.copy()
    body(changed)
    storage = changed
  }

  public static func == (a: Message, b: Message) -> Bool {
    a.storage === b.storage
      || (a.topic == b.topic
        && a.sender == b.sender
        && a.account == b.account
        && a.provenance == b.provenance
        && a.instance == b.instance
        && a.content == b.content
        && a.timestamp == b.timestamp
        && a.storedAt == b.storedAt
        && a.id == b.id
        && a.cursor == b.cursor
        && a.inReplyTo == b.inReplyTo
        && a.to == b.to
        && a.attributes == b.attributes
        && a.isLate == b.isLate)
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(topic)
    hasher.combine(sender)
    hasher.combine(account)
    hasher.combine(provenance)
    hasher.combine(instance)
    hasher.combine(content)
    hasher.combine(timestamp)
    hasher.combine(storedAt)
    hasher.combine(id)
    hasher.combine(cursor)
    hasher.combine(inReplyTo)
    hasher.combine(to)
    hasher.combine(attributes)
    hasher.combine(isLate)
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
