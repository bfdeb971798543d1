/// How a backend is doing, since when, and why: for tools, `doctor` and metrics.
public struct Health: Hashable, Sendable {
  /// The supervision state.
  public enum State: String, Hashable, Sendable {
    /// A session is being opened.
    case connecting
    /// Posts, fetches and subscriptions work.
    case live
    /// Posts and fetches work; a subscription could not be resumed and is tried again.
    case degraded
    /// The last attempt failed, the next one is scheduled.
    case waitingToRetry
    /// Not started, or ended on purpose.
    case stopped
  }

  /// The state now.
  public var state: State
  /// When the state was entered, milliseconds since 1970.
  public var since: Int64
  /// The failure that led here; nil while live.
  public var cause: SeamError?
  /// How often the session was opened anew after a loss.
  public var reconnects: Int

  /// Makes a health record.
  public init(state: State, since: Int64, cause: SeamError? = nil, reconnects: Int = 0) {
    self.state = state
    self.since = since
    self.cause = cause
    self.reconnects = reconnects
  }
}
