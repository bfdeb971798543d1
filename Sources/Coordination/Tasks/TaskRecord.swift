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

/// One task as the log tells it.
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
  public var id: TaskID
  /// What people call it: the first digits of the id.
  public var label: String
  /// Where it was posted.
  public var topic: Topic
  /// One line.
  public var title: String
  /// What is to be done; nil where there is nothing to add, or it had to be let go (`bodyIsGone`).
  public var body: String?
  /// There was a body, which is only in the message any more.
  public var bodyIsGone = false
  /// Who posted it.
  public var poster: TaskActor
  /// When, milliseconds since 1970.
  public var postedAt: Int64
  /// The message that posted it.
  public var message: MessageID
  /// The one handle that may take it; nil for anyone.
  public var to: Handle?
  /// At this time it can no longer be done.
  public var expiresAt: Int64
  /// The last claim that counted.
  public var claim: TaskClaim?
  /// How it ended.
  public var ending: TaskEnding?
  /// Attributes of the posting message whose names begin with `x-`: what other tool sets keep with a task.
  package var extra: Attributes = [:]

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
