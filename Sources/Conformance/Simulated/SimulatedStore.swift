import ParleyRuntime

/// A messaging system in memory that several `SimulatedBackend`s (processes, as it were) connect to.
///
/// It lives on one event loop. On a seeded loop time is virtual and the loop's generator the only source of chance, so a
/// seed replays exactly.
//
// @unchecked: confined to its loop, as the backends are that share it.
public final class SimulatedStore: @unchecked Sendable {
  /// What can be wrong with the store on purpose, so that tests can show that suite and checker notice.
  public enum Defect: String, CaseIterable, Sendable {
    /// A subscription on a new session starts at the end instead of at its cursor.
    case losesOnReconnect
    /// What the transport repeats is delivered again.
    case duplicates
    /// Trimmed and lost messages are skipped without a word.
    case untoldGaps
    /// Two messages that arrive together may be pushed in the wrong order.
    case reordersLive
    /// Keys are forgotten: a retry stores a second copy.
    case forgetsKeys
    /// A post is acknowledged although it was dropped.
    case acknowledgesDropped
    /// A fetch page ends one message too far: the next page skips it.
    case skipsBetweenPages
  }

  /// The loop that everything of this store runs on.
  public let loop: EventLoop
  /// What goes wrong from now on.
  public var plan: FaultPlan
  /// What the store does wrong itself.
  public let defect: Defect?
  private(set) var isUp = true
  /// Messages that all fetches together have brought.
  public package(set) var fetchedMessages = 0
  private var logs: [Topic: SimulatedLog] = [:]
  private var sessions: [(number: UInt64, backend: WeakBackend)] = []
  private var lastSession: UInt64 = 0
  private var disturbance: LoopTimer?

  private struct WeakBackend {
    weak var backend: SimulatedBackend?
  }

  /// Makes an empty store; disturbances of the plan begin with `startDisturbing()`.
  public init(loop: EventLoop, plan: FaultPlan = FaultPlan(), defect: Defect? = nil) {
    self.loop = loop
    self.plan = plan
    self.defect = defect
  }

  /// Everything ever stored on a topic, in log order, with what was removed marked: for `HistoryChecker`.
  public func history(of topic: Topic) -> [HistoryChecker.Entry] {
    (logs[topic]?.stored ?? []).map { stored in
      HistoryChecker.Entry(id: stored.message.id, content: stored.message.content, isRemoved: stored.isRemoved)
    }
  }

  // MARK: What a server does

  func log(of topic: Topic) -> SimulatedLog { logs[topic] ?? SimulatedLog(topic: topic) }

  func append(_ draft: Draft) throws(SeamError) -> Receipt {
    let receipt = try logs[draft.topic, default: SimulatedLog(topic: draft.topic)].append(
      draft, at: loop.wallClockMilliseconds, ignoringKeys: defect == .forgetsKeys)
    if !receipt.isDuplicate { wakeSubscribers(of: draft.topic) }
    return receipt
  }

  func attach(_ backend: SimulatedBackend) -> UInt64 {
    lastSession += 1
    sessions.append((lastSession, WeakBackend(backend: backend)))
    return lastSession
  }

  func detach(_ session: UInt64) { sessions.removeAll { $0.number == session } }

  private func wakeSubscribers(of topic: Topic) {
    for session in sessions { session.backend.backend?.assumeIsolated { $0.wake(topic) } }
  }

  // MARK: What happens to a server

  /// Cuts every session.
  public func cutAll() {
    for session in sessions { cut(session.number) }
  }

  private func cut(_ number: UInt64) {
    guard let index = sessions.firstIndex(where: { $0.number == number }) else { return }
    let backend = sessions.remove(at: index).backend.backend
    backend?.assumeIsolated { $0.sessionCut(number) }
  }

  /// Goes away, and comes back after `downtime` with its logs, but for the newest `losing` messages of each topic.
  public func restart(downtime: Duration, losing count: Int = 0) {
    isUp = false
    cutAll()
    for topic in logs.keys where count > 0 { logs[topic]?.loseTail(count) }
    loop.schedule(after: downtime) { [self] in isUp = true }
  }

  /// Removes the oldest messages of a topic, but for the newest `keeping`.
  public func trim(_ topic: Topic, keeping count: Int) {
    logs[topic]?.trim(keeping: count)
    wakeSubscribers(of: topic)
  }

  /// Removes what was stored longer than `age` ago.
  public func expire(_ topic: Topic, olderThan age: Duration) {
    logs[topic]?.expire(storedBefore: loop.wallClockMilliseconds - age.milliseconds)
    wakeSubscribers(of: topic)
  }

  /// Begins the plan's disturbances, until `heal()`.
  public func startDisturbing() {
    guard let every = plan.disturbanceEvery else { return }
    disturbance = loop.schedule(after: .microseconds(loop.random(in: every))) { [weak self] in
      self?.disturb()
      self?.startDisturbing()
    }
  }

  /// Ends every fault: the store is up, answers at once and is not disturbed any more.
  public func heal() {
    if let disturbance { loop.cancel(disturbance) }
    disturbance = nil
    plan = FaultPlan()
    isUp = true
  }

  private func disturb() {
    let weights = plan.weights
    var choice = loop.random(
      in: 0...max(0, weights.cut + weights.restart + weights.loseTail + weights.trim + weights.expire - 1))
    func falls(on weight: Int) -> Bool {
      choice -= weight
      return choice < 0
    }
    let topics = logs.keys.sorted()
    if falls(on: weights.cut) {
      if !sessions.isEmpty { cut(sessions[loop.random(in: 0...(sessions.count - 1))].number) }
    } else if falls(on: weights.restart) {
      restart(downtime: .microseconds(loop.random(in: 1_000...400_000)))
    } else if falls(on: weights.loseTail) {
      restart(downtime: .microseconds(loop.random(in: 1_000...400_000)), losing: loop.random(in: 1...5))
    } else if let topic = topics.isEmpty ? nil : topics[loop.random(in: 0...(topics.count - 1))] {
      if falls(on: weights.trim) {
        trim(topic, keeping: loop.random(in: 0...20))
      } else {
        expire(topic, olderThan: .milliseconds(loop.random(in: 1...400)))
      }
    }
  }
}
