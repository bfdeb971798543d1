import ParleyRuntime

/// Who did something: the handle, and the account where the backend knows one.
public struct TaskActor: Hashable, Sendable {
  /// The name it goes by.
  public var handle: Handle
  /// What the backend vouches for; nil where it does not authenticate.
  public var account: String?

  init(_ message: Message) {
    handle = message.sender
    account = message.account
  }

  /// Ourselves, whatever the account is called.
  init(_ author: Author) { handle = author.handle }
}

/// The claim that counts: from its place in the log until its lease runs out.
public struct TaskClaim: Hashable, Sendable {
  /// The winning claim's message, which every later word about the task must name.
  public var fence: MessageID
  /// Which claim of the task it is, from 1.
  public var number: Int
  /// Who holds the task.
  public var holder: TaskActor
  /// When it was stored, milliseconds since 1970.
  public var since: Int64
  /// When the lease ends, by the store's clock; at this time another may take it.
  public var until: Int64
  /// What other tool sets keep with it, see `TaskRecord.extra`.
  package var extra: Attributes = [:]
}

/// How a task ended.
public struct TaskEnding: Hashable, Sendable {
  /// The ways.
  public enum Kind: String, Hashable, Sendable {
    /// With a result.
    case done
    /// With a reason.
    case failed
    /// By its poster.
    case cancelled

    var words: String { self == .failed ? "given up as failed" : self == .done ? "done" : "withdrawn" }
  }

  /// Which way.
  public var kind: Kind
  /// Who ended it.
  public var by: TaskActor
  /// When, milliseconds since 1970.
  public var at: Int64
  /// The result or the reason; nil where it had to be let go (the message still has it).
  public var text: String?
  /// The message that says so.
  public var message: MessageID
}

/// One task as the log tells it. A copy is one reference: many are handed on, few are changed.
public struct TaskRecord: Hashable, Sendable {
  /// What state it is in.
  public enum Status: String, Hashable, Sendable {
    /// Anyone may take it (or the one it is for).
    case open
    /// Somebody holds it.
    case claimed
    /// It ended with a result.
    case done
    /// It ended with a reason.
    case failed
    /// Its poster withdrew it.
    case cancelled
    /// It was not done in its time.
    case expired

    /// Nothing more will happen to it.
    public var isFinal: Bool { self != .open && self != .claimed }
  }

  /// Its name.
  public var id: TaskID { fields.storage.value.id }
  /// What people call it: the first digits of the id.
  public var label: String { fields.storage.value.label }
  /// Where it was posted.
  public var topic: Topic { fields.storage.value.topic }
  /// One line.
  public var title: String { fields.storage.value.title }
  /// What is to be done; nil where there is nothing to add, or it had to be let go (`bodyIsGone`).
  public var body: String? {
    get { fields.storage.value.body }
    set { fields.value.body = newValue }
  }
  /// There was a body, which is only in the message any more.
  public var bodyIsGone: Bool {
    get { fields.storage.value.bodyIsGone }
    set { fields.value.bodyIsGone = newValue }
  }
  /// Who posted it.
  public var poster: TaskActor { fields.storage.value.poster }
  /// When, milliseconds since 1970.
  public var postedAt: Int64 { fields.storage.value.postedAt }
  /// The message that posted it.
  public var message: MessageID { fields.storage.value.message }
  /// The one handle that may take it; nil for anyone.
  public var to: Handle? { fields.storage.value.to }
  /// At this time it can no longer be done.
  public var expiresAt: Int64 { fields.storage.value.expiresAt }
  /// The last claim that counted.
  public var claim: TaskClaim? {
    get { fields.storage.value.claim }
    set { fields.value.claim = newValue }
  }
  /// How it ended.
  public var ending: TaskEnding? {
    get { fields.storage.value.ending }
    set { fields.value.ending = newValue }
  }
  /// Attributes of the posting message whose names begin with `x-`: what other tool sets keep with a task.
  package var extra: Attributes { fields.storage.value.extra }

  private var fields: Shared<Fields>

  private struct Fields: Hashable {
    let id: TaskID
    let label: String
    let topic: Topic
    let title: String
    var body: String?
    var bodyIsGone: Bool
    let poster: TaskActor
    let postedAt: Int64
    let message: MessageID
    let to: Handle?
    let expiresAt: Int64
    var claim: TaskClaim?
    var ending: TaskEnding?
    let extra: Attributes
  }

  init(
    id: TaskID, label: String, topic: Topic, title: String, body: String?, bodyIsGone: Bool = false,
    poster: TaskActor, postedAt: Int64, message: MessageID, to: Handle?, expiresAt: Int64, extra: Attributes
  ) {
    fields = Shared(
      Fields(
        id: id, label: label, topic: topic, title: title, body: body, bodyIsGone: bodyIsGone, poster: poster,
        postedAt: postedAt, message: message, to: to, expiresAt: expiresAt, extra: extra))
  }

  /// Its state at a time by the store's clock.
  public func status(at now: Int64) -> Status {
    switch ending?.kind {
    case .done: return .done
    case .failed: return .failed
    case .cancelled: return .cancelled
    case nil: break
    }
    if now >= expiresAt { return .expired }
    return heldClaim(at: now) == nil ? .open : .claimed
  }

  /// The claim that holds it at a time.
  public func heldClaim(at now: Int64) -> TaskClaim? {
    guard ending == nil, let claim, now < claim.until else { return nil }
    return claim
  }

  /// Whether somebody may take it at a time.
  public func isOpen(at now: Int64, for handle: Handle) -> Bool {
    status(at: now) == .open && (to == nil || to == handle)
  }
}
