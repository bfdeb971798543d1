import ParleyRuntime

/// A backend over a `SimulatedStore`: the whole contract of the seam, with every fault of the store's plan on the way.
///
/// Each stands for one process with one session. Requests and answers travel as long as the plan says; whatever is under
/// way when the session is cut ends as a real client would have to report it.
public actor SimulatedBackend: Backend {
  public nonisolated let loop: EventLoop
  private let store: SimulatedStore

  /// How a way through the network ended.
  private enum Travel {
    case arrived
    case late
    case cancelled
    case cut
    case closed
  }

  private struct Subscription {
    let topic: Topic
    var place: SimulatedLog.Place
    let sink: Sink
    var isPaused = false
    var isScheduled = false
  }

  private var session: UInt64?
  private var lost: (@Sendable (SeamError) -> Void)?
  private var sessionsSoFar = 0
  private var subscriptions: [UInt64: Subscription] = [:]
  private var numbersByTopic: [Topic: [UInt64]] = [:]
  private var lastSubscription: UInt64 = 0
  private let travels: Waiters<Travel>

  /// The largest content it carries, in bytes.
  public static let contentLimit = 1 << 20

  /// Makes a backend that is not connected yet.
  public init(store: SimulatedStore) {
    loop = store.loop
    self.store = store
    travels = Waiters(loop: store.loop)
  }

  public var traits: BackendTraits {
    BackendTraits(
      name: SimulatedLog.backendName, location: "memory", durability: .written, contentLimit: Self.contentLimit,
      keyWindow: .always)
  }

  // MARK: Session

  public func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    if session != nil { await disconnect() }
    await travel(until: nil)
    guard store.isUp else { throw Self.away("connect") }
    session = store.attach(self)
    sessionsSoFar += 1
    self.lost = lost
  }

  public func disconnect() async {
    if let session { store.detach(session) }
    endSession(.closed)
  }

  /// The store ended the session.
  func sessionCut(_ number: UInt64) {
    guard session == number else { return }
    let lost = lost
    endSession(.cut)
    lost?(SeamError(.unavailable, operation: "session", cause: "the simulated connection was cut"))
  }

  private func endSession(_ end: Travel) {
    session = nil
    lost = nil
    subscriptions = [:]
    numbersByTopic = [:]
    travels.resumeAll(end)
  }

  private static func away(_ operation: String) -> SeamError {
    SeamError(.unavailable, operation: operation, cause: "the simulated store is away")
  }

  // MARK: Travelling

  /// Lets one way's time pass; ends early at the deadline, on cancellation and with the session.
  @discardableResult
  private func travel(until deadline: LoopInstant?) async -> Travel {
    let isSlow = loop.happens(store.plan.slow)
    let microseconds = loop.random(in: isSlow ? store.plan.slowness : store.plan.latency)
    if microseconds == 0 { return Task.isCancelled ? .cancelled : .arrived }
    let arrival = loop.now.advanced(by: .microseconds(microseconds))
    switch await travels.wait(travels.ticket(), until: deadline.map { min($0, arrival) } ?? arrival) {
    case .value(let end): return end
    case .cancelled: return .cancelled
    case .timedOut: return loop.now >= arrival ? .arrived : .late
    }
  }

  // MARK: Posting

  public func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    try Self.check(draft)
    guard session != nil else { throw Self.away("post") }
    guard deadline > loop.now else { throw Self.withdrawn(.timedOut, "the deadline had passed") }
    switch await travel(until: deadline) {
    case .arrived: break
    case .late: throw Self.withdrawn(.timedOut, "still queued at the deadline")
    case .cancelled: throw Self.withdrawn(.cancelled, "cancelled while queued")
    case .closed: throw Self.away("post")
    case .cut: throw Self.unknown("the connection was cut on the way")
    }
    if loop.happens(store.plan.dropBeforeStoring) {
      if store.defect == .acknowledgesDropped {
        let end = store.log(of: draft.topic).end
        return Receipt(
          id: MessageID("\(end.position + 1000)"), cursor: store.log(of: draft.topic).cursor(end), storedAt: 0,
          durability: .written)
      }
      throw Self.unknown("no answer: dropped before it was stored")
    }
    let receipt = try store.append(draft)
    if loop.happens(store.plan.dropAnswer) { throw Self.unknown("no answer: dropped after it was stored") }
    guard await travel(until: deadline) == .arrived else { throw Self.unknown("the answer did not come") }
    return receipt
  }

  private static func check(_ draft: Draft) throws(SeamError) {
    try draft.validate()
    guard draft.content.utf8.count <= contentLimit else {
      throw SeamError(.tooLarge(limit: contentLimit), operation: "post", cause: "the content is too large")
    }
  }

  private static func withdrawn(_ code: SeamError.Code, _ cause: String) -> SeamError {
    SeamError(code, operation: "post", cause: cause)
  }

  private static func unknown(_ cause: String) -> SeamError {
    SeamError(.outcomeUnknown, operation: "post", cause: cause)
  }

  // MARK: Fetching

  public func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    guard (1...1000).contains(request.limit) else {
      throw SeamError(.invalidRequest, operation: "fetch", cause: "a page has 1 to 1,000 messages")
    }
    if request.topic.name.utf8.contains(0) {
      throw SeamError(.invalidRequest, operation: "fetch", cause: "NUL cannot be carried")
    }
    guard session != nil else { throw Self.away("fetch") }
    guard deadline > loop.now else { throw Self.ended(.late) }
    let there = await travel(until: deadline)
    guard there == .arrived else { throw Self.ended(there) }
    let page = try page(for: request)
    store.fetchedMessages += page.messages.count
    let back = await travel(until: deadline)
    guard back == .arrived else { throw Self.ended(back) }
    return page
  }

  private static func ended(_ travel: Travel) -> SeamError {
    switch travel {
    case .late: SeamError(.timedOut, operation: "fetch", cause: "no answer by the deadline")
    case .cancelled: SeamError(.cancelled, operation: "fetch", cause: "cancelled")
    case .arrived, .cut, .closed: away("fetch")
    }
  }

  private static let pageBytes = 1 << 20

  private func page(for request: FetchRequest) throws(SeamError) -> Page {
    let log = store.log(of: request.topic)
    switch request.position {
    case .latest:
      let (reading, hasOlder) = log.readLatest(limit: request.limit, bytes: Self.pageBytes)
      return Page(
        messages: reading.messages, next: log.cursor(reading.next),
        previous: hasOlder ? reading.messages.first?.cursor : nil, hasMore: hasOlder)
    case .after(let cursor):
      let place = try log.place(of: cursor)
      var reading = log.read(after: place, limit: request.limit, bytes: Self.pageBytes)
      if store.defect == .untoldGaps { reading.gap = nil }
      if store.defect == .skipsBetweenPages, reading.hasMore { reading.next.position += 1 }
      let isAtEnd = reading.messages.isEmpty && reading.gap == nil
      return Page(
        messages: reading.messages, next: isAtEnd ? cursor : log.cursor(reading.next),
        previous: reading.messages.first?.cursor, hasMore: reading.hasMore, gap: reading.gap)
    case .before(let cursor, let storedSince):
      let place = try log.place(of: cursor)
      let (reading, hasOlder) = log.read(
        before: place, limit: request.limit, storedSince: storedSince, bytes: Self.pageBytes)
      return Page(
        messages: reading.messages, next: reading.messages.last?.cursor ?? cursor,
        previous: hasOlder ? reading.messages.first?.cursor : nil, hasMore: hasOlder, gap: reading.gap)
    }
  }

  public func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity { .unknown }

  // MARK: Subscribing

  public func subscribe(
    _ topic: Topic, after cursor: Cursor, sink: @escaping Sink
  ) async throws(SeamError) -> SubscriptionID {
    guard let session else { throw Self.away("subscribe") }
    var place = try store.log(of: topic).place(of: cursor)
    await travel(until: nil)
    guard self.session == session else { throw Self.away("subscribe") }
    if store.defect == .losesOnReconnect, sessionsSoFar > 1 { place = store.log(of: topic).end }
    lastSubscription += 1
    subscriptions[lastSubscription] = Subscription(topic: topic, place: place, sink: sink)
    numbersByTopic[topic, default: []].append(lastSubscription)
    schedule(lastSubscription)
    return SubscriptionID(lastSubscription)
  }

  public func resume(_ subscription: SubscriptionID) {
    guard subscriptions[subscription.number]?.isPaused == true else { return }
    subscriptions[subscription.number]?.isPaused = false
    schedule(subscription.number)
  }

  public func unsubscribe(_ subscription: SubscriptionID) {
    guard let topic = subscriptions.removeValue(forKey: subscription.number)?.topic else { return }
    numbersByTopic[topic]?.removeAll { $0 == subscription.number }
  }

  /// The store has something new on a topic.
  func wake(_ topic: Topic) {
    for number in numbersByTopic[topic] ?? [] { schedule(number) }
  }

  private func schedule(_ number: UInt64) {
    guard let subscription = subscriptions[number], !subscription.isScheduled, !subscription.isPaused else { return }
    subscriptions[number]?.isScheduled = true
    let isLost = loop.happens(store.plan.loseWakeUp)
    let isSlow = loop.happens(store.plan.slow)
    // Each subscription's wake-ups travel by themselves, so topics overtake each other.
    let delay = isLost ? 50_000 : loop.random(in: isSlow ? store.plan.slowness : store.plan.latency)
    loop.schedule(after: .microseconds(delay)) { [weak self] in self?.assumeIsolated { $0.push(number) } }
  }

  /// Delivers what there is until the sink pauses.
  private func push(_ number: UInt64) {
    subscriptions[number]?.isScheduled = false
    if loop.happens(store.plan.duplicate), !repeatEarlier(number) { return }
    while let subscription = subscriptions[number], !subscription.isPaused {
      let log = store.log(of: subscription.topic)
      let isSwapped = store.defect == .reordersLive && loop.happens(500)
      var reading = log.read(after: subscription.place, limit: isSwapped ? 2 : 1)
      if store.defect == .untoldGaps { reading.gap = nil }
      guard reading.gap != nil || !reading.messages.isEmpty else { return }
      subscriptions[number]?.place = reading.next
      if let gap = reading.gap { send(.gap(gap), to: number) }
      if subscriptions[number]?.isPaused == true, !reading.messages.isEmpty, let gap = reading.gap {
        // Paused by the gap: the messages behind it come after `resume`.
        subscriptions[number]?.place = (try? log.place(of: gap.to)) ?? reading.next
        return
      }
      for message in isSwapped ? reading.messages.reversed() : reading.messages { send(.message(message), to: number) }
    }
  }

  /// The transport repeats messages; whatever is not behind the subscription's place is dropped. False when the
  /// subscription ended or paused by it, which only the defect `duplicates` can bring about.
  private func repeatEarlier(_ number: UInt64) -> Bool {
    guard let subscription = subscriptions[number] else { return false }
    let log = store.log(of: subscription.topic)
    let back = SimulatedLog.Place(
      generation: subscription.place.generation,
      position: max(0, subscription.place.position - loop.random(in: 1...4)))
    for message in log.read(after: back, limit: 4).messages {
      guard let place = try? log.place(of: message.cursor), place.position <= subscription.place.position else { break }
      if store.defect == .duplicates { send(.message(message), to: number) }
    }
    return subscriptions[number]?.isPaused == false
  }

  private func send(_ delivery: Delivery, to number: UInt64) {
    guard let subscription = subscriptions[number], subscription.sink(delivery) == .pause else { return }
    subscriptions[number]?.isPaused = true
  }
}
