/// When to try again.
public struct RestartPolicy: Hashable, Sendable {
  /// The first delay; each further failure doubles it.
  public var initialDelay: Duration
  /// The longest delay; it never gives up.
  public var maximumDelay: Duration
  /// A session that lived this long counts as a success, so the next loss starts at the first delay again.
  public var settledAfter: Duration

  /// Makes a policy.
  public init(initialDelay: Duration, maximumDelay: Duration, settledAfter: Duration) {
    self.initialDelay = initialDelay
    self.maximumDelay = maximumDelay
    self.settledAfter = settledAfter
  }

  /// 100 ms to 30 s, settled after 5 s.
  public static let standard = RestartPolicy(
    initialDelay: .milliseconds(100), maximumDelay: .seconds(30), settledAfter: .seconds(5))

  /// The delay before attempt number `failures` + 1, with full jitter over its upper half; `jitter` is any number.
  package func delay(failures: Int, jitter: UInt64) -> Duration {
    let base = initialDelay.nanoseconds
    let doubled =
      failures > 40 ? maximumDelay.nanoseconds : base.multipliedReportingOverflow(by: 1 << failures).partialValue
    let full = max(1, min(doubled <= 0 ? maximumDelay.nanoseconds : doubled, maximumDelay.nanoseconds))
    let half = full / 2
    return .nanoseconds(half + Int64(jitter % UInt64(full - half + 1)))
  }
}

/// One backend's supervision as a pure state machine: events in, what to do next out. Knows neither time nor sockets.
package struct RestartMachine: Sendable {
  package enum State: Hashable, Sendable {
    case stopped
    /// What ended the attempt or the session before stays the cause until this attempt has ended.
    case connecting(after: SeamError?)
    case live(since: LoopInstant)
    case degraded(since: LoopInstant, SeamError)
    case waiting(SeamError)
  }

  package enum Event: Hashable, Sendable {
    case start
    case connected
    case connectFailed(SeamError)
    case sessionLost(SeamError)
    case retryDue
    case subscriptionFailed(SeamError)
    case subscriptionsRecovered
    case stop
  }

  package enum Action: Hashable, Sendable {
    /// Open a session.
    case connect
    /// The session is open: resume subscriptions, let callers go on.
    case resume
    /// Try again after this long.
    case retry(after: Duration)
    /// Close the session.
    case disconnect
    case nothing
  }

  package private(set) var state: State = .stopped
  package private(set) var reconnects = 0
  private var failures = 0
  package let policy: RestartPolicy

  package init(policy: RestartPolicy) { self.policy = policy }

  /// Applies one event. Events that make no sense in a state (a late callback) change nothing.
  package mutating func handle(_ event: Event, at now: LoopInstant, jitter: UInt64) -> Action {
    switch (state, event) {
    case (.stopped, .start):
      failures = 0
      state = .connecting(after: nil)
      return .connect
    case (.connecting, .connected):
      state = .live(since: now)
      return .resume
    case (.connecting, .connectFailed(let error)):
      return wait(error, jitter)
    case (.live(let since), .sessionLost(let error)), (.degraded(let since, _), .sessionLost(let error)):
      if since.duration(to: now) >= policy.settledAfter { failures = 0 }
      reconnects += 1
      return wait(error, jitter)
    case (.waiting(let error), .retryDue):
      state = .connecting(after: error)
      return .connect
    case (.live(let since), .subscriptionFailed(let error)), (.degraded(let since, _), .subscriptionFailed(let error)):
      state = .degraded(since: since, error)
      return .nothing
    case (.degraded(let since, _), .subscriptionsRecovered):
      state = .live(since: since)
      return .nothing
    case (.stopped, .stop):
      return .nothing
    case (_, .stop):
      state = .stopped
      return .disconnect
    default:
      return .nothing
    }
  }

  private mutating func wait(_ error: SeamError, _ jitter: UInt64) -> Action {
    state = .waiting(error)
    defer { failures += 1 }
    let delay = policy.delay(failures: failures, jitter: jitter)
    // A server that limits how often it is asked has said when it may be asked again.
    if case .rateLimited(let after) = error.code { return .retry(after: max(delay, after)) }
    return .retry(after: delay)
  }

  package var healthState: Health.State {
    switch state {
    case .stopped: .stopped
    case .connecting: .connecting
    case .live: .live
    case .degraded: .degraded
    case .waiting: .waitingToRetry
    }
  }

  /// The failure that led to this state.
  package var cause: SeamError? {
    switch state {
    case .waiting(let error), .degraded(_, let error): error
    case .connecting(let error): error
    case .stopped, .live: nil
    }
  }
}
