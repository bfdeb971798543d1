import ParleyRuntime

/// A task as its poster wants it.
public struct TaskPost: Hashable, Sendable {
  /// How long a task lives unless its poster says otherwise, and the least and most it may.
  public static let defaultLifetime: Duration = .seconds(86_400)
  /// See `defaultLifetime`.
  public static let lifetimes: ClosedRange<Duration> = .seconds(60)...(.seconds(30 * 86_400))

  /// Where to.
  public var topic: Topic
  /// One line, at most 256 bytes.
  public var title: String
  /// What is to be done, as long as a message may be.
  public var body: String?
  /// The one handle that may take it.
  public var to: Handle?
  /// How long it can be done.
  public var lifetime: Duration
  /// The same key with the same content is one task.
  public var key: String?
  /// What other tool sets keep with it: names begin with `x-`, see `TaskRecord.extra`.
  package var extra: Attributes = [:]

  /// Makes a request.
  public init(
    topic: Topic, title: String, body: String? = nil, to: Handle? = nil, lifetime: Duration = defaultLifetime,
    key: String? = nil
  ) {
    self.topic = topic
    self.title = title
    self.body = body
    self.to = to
    self.lifetime = lifetime
    self.key = key
  }
}

/// What a holder, or the poster, says about a task.
public enum TaskUpdate: Hashable, Sendable {
  /// The holder needs it so much longer, from now.
  case extend(Duration)
  /// It is done.
  case done(result: String)
  /// It cannot be done.
  case fail(reason: String)
  /// The holder gives it back.
  case release(reason: String)
  /// Its poster withdraws it.
  case cancel(reason: String)

  /// How long a claim holds unless it says otherwise, and the least and most it may.
  public static let defaultLease: Duration = .seconds(600)
  /// See `defaultLease`.
  public static let leases: ClosedRange<Duration> = .seconds(30)...(.seconds(86_400))

  /// The words that tools and commands use.
  public static let names = ["extend", "done", "fail", "release", "cancel"]

  /// The text of a result or reason; nil where there is none.
  var text: String? {
    switch self {
    case .extend: nil
    case .done(let text), .fail(let text), .release(let text), .cancel(let text): text
    }
  }
}

extension TaskUpdate {
  func event(_ id: TaskID, fence: MessageID) -> TaskEvent {
    switch self {
    case .extend(let lease): .extend(id, fence: fence, lease: lease.milliseconds)
    case .done(let result): .done(id, fence: fence, result: result)
    case .fail(let reason): .fail(id, fence: fence, reason: reason)
    case .release(let reason): .release(id, fence: fence, reason: reason)
    case .cancel(let reason): .cancel(id, reason: reason)
    }
  }
}
