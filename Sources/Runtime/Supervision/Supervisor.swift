/// Keeps one backend's session alive and shares it: callers wait for it, followers survive its loss.
///
/// What is hard is written here once for every backend: reconnecting, resuming subscriptions from their last cursor,
/// retrying what is safe to retry, waiting fetches, and one subscription per topic for all who follow it.
public actor Supervisor: LoopActor {
  public nonisolated let loop: EventLoop
  /// The backend that is supervised.
  public nonisolated let backend: any Backend

  private var machine: RestartMachine
  private var stateSince: Int64
  private let liveWaiters: Waiters<Void>
  private let sessionEnd: Waiters<SeamError>
  private let retry: Waiters<Void>
  private var retryTicket: UInt64?
  private var lastAttempt: LoopInstant
  private var sessionEndTicket: UInt64 = 0
  /// Grows with every session, so that what a lost one still delivers is known to be late.
  var sessionNumber = 0
  var feeds: [Topic: Feed] = [:]
  /// How many wait for what comes, on whatever topic: urgent followers, and who called `expect`.
  var waiting = 0
  var troubledTopics: [Topic: SeamError] = [:]
  /// Feeds whose subscription waits to be made, in order, and the tasks that make them.
  var unsubscribed: ArraySlice<(Topic, Feed)> = []
  var subscribers = 0
  /// A task holds some 8 KiB until it ends: one for each of 1,000 topics would leave a heap of that size behind.
  static let subscribersAtOnce = 128
  private var lastFollower: UInt64 = 0
  /// Submitted posts that wait for the backend and were not handed over yet.
  private var heldPosts = 0
  private var healthObservers: [@Sendable (Health) -> Void] = []

  /// Makes a supervisor for a backend on the same loop; nothing happens until `run()`.
  public init(loop: EventLoop, backend: any Backend, policy: RestartPolicy = .standard) {
    precondition(backend.loop === loop, "a backend and its supervisor share one loop")
    self.loop = loop
    self.backend = backend
    machine = RestartMachine(policy: policy)
    stateSince = loop.wallClockMilliseconds
    liveWaiters = Waiters(loop: loop)
    sessionEnd = Waiters(loop: loop)
    retry = Waiters(loop: loop)
    lastAttempt = loop.now
  }

  // MARK: Life

  /// Connects, and connects again after every loss, until the task is cancelled; then disconnects.
  public func run() async {
    var action = handle(.start)
    while true {
      switch action {
      case .connect: action = await connect()
      case .resume: action = await liveUntilLost()
      case .retry(let delay): action = await pause(for: delay)
      case .disconnect, .nothing:
        await backend.disconnect()
        for topic in feeds.keys { endSubscription(of: topic) }
        return
      }
    }
  }

  /// Waits before the next attempt; a call that comes meanwhile cuts the wait short, see `hurry`.
  private func pause(for delay: Duration) async -> RestartMachine.Action {
    lastAttempt = loop.now
    let ticket = retry.ticket()
    retryTicket = ticket
    defer { retryTicket = nil }
    switch await retry.wait(ticket, until: loop.now.advanced(by: delay)) {
    case .value, .timedOut: return handle(.retryDue)
    case .cancelled: return handle(.stop)
    }
  }

  /// Somebody waits for the backend: it is tried at once, but not more often than once a second, and not before a time
  /// that the backend itself named.
  private func hurry() {
    guard let ticket = retryTicket else { return }
    if case .rateLimited = machine.cause?.code { return }
    let earliest = lastAttempt.advanced(by: .seconds(1))
    guard loop.now < earliest else { return retry.resume(ticket, ()) }
    loop.schedule(after: loop.now.duration(to: earliest)) { [weak self] in
      self?.assumeIsolated { $0.retry.resume(ticket, ()) }
    }
  }

  /// State, since when, and why.
  public var health: Health {
    Health(state: machine.healthState, since: stateSince, cause: machine.cause, reconnects: machine.reconnects)
  }

  /// Calls `observer` on the loop after every change of state.
  public func observeHealth(_ observer: @escaping @Sendable (Health) -> Void) { healthObservers.append(observer) }

  private func connect() async -> RestartMachine.Action {
    sessionNumber += 1
    sessionEndTicket = sessionEnd.ticket()
    let ticket = sessionEndTicket
    lostBeforeWait = nil
    do throws(SeamError) {
      try await backend.connect(lost: { [weak self] error in
        guard let self else { return }
        self.loop.execute { self.assumeIsolated { $0.sessionLost(ticket, error) } }
      })
      return Task.isCancelled ? handle(.stop) : handle(.connected)
    } catch {
      sessionEnd.forget(ticket)
      return Task.isCancelled ? handle(.stop) : handle(.connectFailed(error))
    }
  }

  /// A loss that was reported before `liveUntilLost` began to wait for one.
  private var lostBeforeWait: SeamError?

  private func sessionLost(_ ticket: UInt64, _ error: SeamError) {
    guard ticket == sessionEndTicket else { return }
    lostBeforeWait = error
    sessionEnd.resume(ticket, error)
  }

  private func liveUntilLost() async -> RestartMachine.Action {
    for topic in feeds.keys.sorted() { startSubscription(of: topic) }
    if let error = lostBeforeWait { return endSession(.sessionLost(error)) }
    switch await sessionEnd.wait(sessionEndTicket, until: nil) {
    case .value(let error): return endSession(.sessionLost(error))
    case .cancelled, .timedOut: return endSession(.stop)
    }
  }

  private func endSession(_ event: RestartMachine.Event) -> RestartMachine.Action {
    for topic in feeds.keys {
      feeds[topic]?.subscription = nil
      feeds[topic]?.isPaused = false
    }
    troubledTopics = [:]
    return handle(event)
  }

  @discardableResult
  func handle(_ event: RestartMachine.Event) -> RestartMachine.Action {
    let before = machine.healthState
    let action = machine.handle(event, at: loop.now, jitter: loop.random())
    // Before observers learn of it: who waited goes before whatever they begin.
    if isLive { liveWaiters.resumeAll(()) }
    if machine.healthState != before {
      stateSince = loop.wallClockMilliseconds
      for observer in healthObservers { observer(health) }
    }
    return action
  }

  var isLive: Bool {
    switch machine.state {
    case .live, .degraded: true
    default: false
    }
  }

  /// Waits until the backend is live; throws `unavailable` with the backend's own cause at the deadline.
  package func ready(until deadline: LoopInstant, for operation: String) async throws(SeamError) {
    while !isLive {
      hurry()
      switch await liveWaiters.wait(liveWaiters.ticket(), until: deadline) {
      case .value: continue
      case .cancelled: throw SeamError(.cancelled, operation: operation, cause: "cancelled while the backend was away")
      case .timedOut: throw awayError(operation)
      }
    }
  }

  func awayError(_ operation: String) -> SeamError {
    if let cause = machine.cause {
      return SeamError(
        cause.code.isTransient ? .unavailable : cause.code, native: cause.native, operation: operation,
        cause: "the \(traits.name) backend is away: \(cause.operation): \(cause.cause)")
    }
    return SeamError(
      .unavailable, operation: operation, cause: "the \(traits.name) backend is \(machine.healthState.rawValue)")
  }

  // MARK: Operations

  /// Stores a message, waiting for the backend and retrying with the same key where that is safe, until `deadline`.
  ///
  /// Throws `outcomeUnknown` when an attempt may have been stored and no later one found out.
  public func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    try await post(draft, deadline: deadline, after: nil)
  }

  /// `post`, answered on the loop instead of suspended: while the backend is live and takes it, no task is made.
  ///
  /// What went wrong is retried as by `post`; it cannot be cancelled.
  public func submit(_ draft: Draft, deadline: LoopInstant, reply: @escaping PostReply) {
    // What waits for the backend goes first: posts that a caller hands over in order reach the backend in that order.
    guard isLive, heldPosts == 0 else {
      heldPosts += 1
      loop.spawn { await self.waitAndSubmit(draft, deadline: deadline, reply) }
      return
    }
    handOver(draft, deadline: deadline, reply)
  }

  private func waitAndSubmit(_ draft: Draft, deadline: LoopInstant, _ reply: @escaping PostReply) async {
    defer { heldPosts -= 1 }
    do throws(SeamError) {
      try await ready(until: deadline, for: "post")
    } catch {
      return reply(.failure(error))
    }
    handOver(draft, deadline: deadline, reply)
  }

  private func handOver(_ draft: Draft, deadline: LoopInstant, _ reply: @escaping PostReply) {
    backend.assumeIsolated {
      $0.submit(draft, deadline: deadline) { [self] result in
        guard case .failure(let error) = result, Self.retryDelay(after: error) != nil else {
          return reply(result)
        }
        loop.spawn { await self.retry(draft, deadline: deadline, after: error, reply) }
      }
    }
  }

  private func retry(_ draft: Draft, deadline: LoopInstant, after error: SeamError, _ reply: PostReply) async {
    do throws(SeamError) {
      reply(.success(try await post(draft, deadline: deadline, after: error)))
    } catch {
      reply(.failure(error))
    }
  }

  /// Attempts until one succeeds or no other is worth making; `failed` is how an earlier one ended.
  private func post(
    _ draft: Draft, deadline: LoopInstant, after failed: SeamError?
  ) async throws(SeamError) -> Receipt {
    var failed = failed
    var unknown: SeamError?
    while true {
      if let error = failed {
        if error.code == .outcomeUnknown { unknown = error }
        guard await mayRetry(after: error, until: deadline) else { throw unknown ?? error }
      }
      do throws(SeamError) {
        if !isLive { try await ready(until: deadline, for: "post") }
        return try await backend.post(draft, deadline: deadline)
      } catch {
        failed = error
      }
    }
  }

  /// Reads a page; when it would be empty and `wait` is given, waits that long for the first message or gap after it.
  ///
  /// The wait ends at once on cancellation, costs no connection, and shares the backend read that feeds followers.
  public func fetch(
    _ request: FetchRequest, wait: Duration? = nil, deadline: LoopInstant
  ) async throws(SeamError) -> Page {
    let page = try await read(request, deadline: deadline)
    guard let wait, wait > .zero, page.messages.isEmpty, page.gap == nil, !request.pagesBack else { return page }
    let news = await awaitNews(
      [request.topic: page.next], limit: request.limit, until: loop.now.advanced(by: wait), wanted: { _ in true })
    if Task.isCancelled { throw SeamError(.cancelled, operation: "fetch", cause: "cancelled while waiting") }
    guard let found = news[request.topic] else { return page }
    return Page(
      messages: found.messages, next: found.next, hasMore: found.hasMore, gap: found.gap)
  }

  func read(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    while true {
      do throws(SeamError) {
        try await ready(until: deadline, for: "fetch")
        return try await backend.fetch(request, deadline: deadline)
      } catch {
        guard await mayRetry(after: error, until: deadline) else { throw error }
      }
    }
  }

  /// Who is behind a handle (S13).
  public func resolveIdentity(_ handle: Handle, deadline: LoopInstant) async throws(SeamError) -> ResolvedIdentity {
    try await ready(until: deadline, for: "resolve identity")
    return try await backend.resolveIdentity(handle)
  }

  /// Lets participants into a topic that only its members may read; nothing where the backend has no such topics.
  public func admit(_ handles: [Handle], to topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    guard let closed = backend as? any PrivateTopics else { return }
    while true {
      do throws(SeamError) {
        try await ready(until: deadline, for: "admit")
        return try await closed.admit(handles, to: topic, deadline: deadline)
      } catch {
        guard await mayRetry(after: error, until: deadline) else { throw error }
      }
    }
  }

  /// Who is in a topic's room; nobody where the backend does not tell.
  public func occupants(of topic: Topic, deadline: LoopInstant) async throws(SeamError) -> [Occupant] {
    guard let peopled = backend as? any PeopledTopics else { return [] }
    try await ready(until: deadline, for: "occupants")
    return try await peopled.occupants(of: topic, deadline: deadline)
  }

  /// What the backend can do.
  public var traits: BackendTraits {
    // The backend shares this loop, so it can be asked without a hop.
    backend.assumeIsolated { $0.traits }
  }

  /// Whether, after a pause, the same call should be made again.
  private func mayRetry(after error: SeamError, until deadline: LoopInstant) async -> Bool {
    guard let delay = Self.retryDelay(after: error), !Task.isCancelled, loop.now.advanced(by: delay) < deadline
    else { return false }
    return await loop.sleep(for: delay)
  }

  /// How long to wait before the same call is made again; nil where it would fail in the same way.
  private static func retryDelay(after error: SeamError) -> Duration? {
    switch error.code {
    // The session is being lost, or was; `ready` waits for the next one. The pause only bridges the report's way.
    case .unavailable, .outcomeUnknown: .milliseconds(20)
    case .rateLimited(let after): after
    default: nil
    }
  }

  func nextFollower() -> UInt64 {
    lastFollower += 1
    return lastFollower
  }
}

extension FetchRequest {
  var pagesBack: Bool {
    if case .before = position { true } else { false }
  }
}
