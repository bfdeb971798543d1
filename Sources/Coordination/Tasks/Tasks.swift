import ParleyRuntime

/// The tasks of the topics that a participant works on: posts what it says and learns from the log what counts.
///
/// A topic is read when it is first asked about, and followed from then on: waiting costs nothing.
public actor Tasks: LoopActor {
  /// Topics that are searched for a task whose topic the caller does not name.
  static let searchedTopics = 50
  /// Tasks of a topic that may be open or held at the same time; beyond that ours posts none.
  static let liveTasks = 10_000
  /// A claimant that loses a race looks among up to so many of the oldest open tasks.
  static let widestChoice = 64

  public nonisolated let loop: EventLoop
  let hub: Hub
  private let pageLimit: Int
  private let bounds: TaskFold.Bounds
  /// Topics that another tool set works on, beside those that the participant may use.
  private let reaches: @Sendable (Topic) -> Bool
  private var logs: [Topic: FoldedLog<TaskFold>] = [:]
  /// Tasks that a call of this process is claiming just now: another call looks for a different one.
  var claiming: Set<TaskID> = []
  var rivalry = Rivalry()
  /// Tasks of ours that are stored, but have not come back to us by the log.
  var arriving: [TaskID: FoldedLog<TaskFold>] = [:]
  private let changes: Waiters<Void>
  private let waits: Waiters<Void>
  /// What is waited for, in the order of the calls.
  private var conditions: [(ticket: UInt64, holds: () -> Bool)] = []
  let receipts: Waiters<Posted>
  let verdicts: Waiters<Result<TaskRecord, HubError>>
  private var observers: [@Sendable () -> Void] = []

  var author: Author { hub.assumeIsolated { $0.author } }

  /// Makes the tasks of the hub's participant; nothing is read until it is needed.
  public init(hub: Hub) { self.init(hub: hub, pageLimit: 1000, bounds: .init()) }

  /// Makes the tasks that another tool set works on: on topics that it `reaches`, and on the participant's own.
  package init(hub: Hub, reaches: @escaping @Sendable (Topic) -> Bool) {
    self.init(hub: hub, pageLimit: 1000, bounds: .init(), reaches: reaches)
  }

  init(
    hub: Hub, pageLimit: Int, bounds: TaskFold.Bounds = .init(),
    reaches: @escaping @Sendable (Topic) -> Bool = { _ in false }
  ) {
    loop = hub.loop
    self.reaches = reaches
    self.hub = hub
    self.pageLimit = pageLimit
    self.bounds = bounds
    changes = Waiters(loop: hub.loop)
    waits = Waiters(loop: hub.loop)
    receipts = Waiters(loop: hub.loop)
    verdicts = Waiters(loop: hub.loop)
  }

  /// Ends following; nothing can be waited for afterwards.
  public func stop() async {
    let all = logs.values
    logs = [:]
    for log in all { await log.stop() }
  }

  // MARK: Looking

  /// Calls `observer` on the loop after every event of a topic that was asked about.
  package func observe(_ observer: @escaping @Sendable () -> Void) { observers.append(observer) }

  private func changed() {
    for (id, log) in arriving where log.task(id) != nil { arriving[id] = nil }
    changes.resumeAll(())
    look()
    for observer in observers { observer() }
  }

  /// What is to be done on a topic and what was done lately, with the store's time.
  public struct Board: Sendable {
    /// Open and held, in the order of posting.
    public var live: [TaskRecord]
    /// The newest end first.
    public var ended: [TaskRecord]
    /// The store's time, milliseconds since 1970.
    public var now: Int64
    /// Damaged events, and those of later versions.
    public var ignoredEvents: Int
  }

  /// The board of a topic, with at most `ended` of those that are over. `catchesUp` waits for everything that is in the
  /// log now; without it the board is as far as the log has come here, and costs no read once it was asked for.
  public func board(of topic: Topic, ended: Int = 50, catchesUp: Bool = true) async throws(HubError) -> Board {
    try await check(topic)
    let log = try await self.log(of: topic)
    if catchesUp { try await log.catchUp(until: deadline) }
    let (fold, now) = log.current
    return Board(
      live: fold.live(at: now), ended: fold.recentlyEnded(ended), now: now, ignoredEvents: fold.ignoredEvents)
  }

  /// The state of a topic with everything that is in its log now.
  package func state(of topic: Topic) async throws(HubError) -> (fold: TaskFold, now: Int64) {
    try await check(topic)
    let log = try await self.log(of: topic)
    try await log.catchUp(until: deadline)
    let (fold, now) = log.current
    return (fold, now)
  }

  /// Throws unless tasks of the topic may be worked on.
  func check(_ topic: Topic) async throws(HubError) {
    if !reaches(topic) { try await hub.check(topic) }
  }

  var traits: BackendTraits { hub.supervisor.assumeIsolated { $0.traits } }

  /// When so many milliseconds will have passed: at least one, and no more than a clock can count.
  func instant(in milliseconds: Int64) -> LoopInstant {
    loop.now.advanced(by: .milliseconds(max(1, min(milliseconds, 1 << 40))))
  }

  var deadline: LoopInstant { loop.now.advanced(by: hub.setup.patience) }

  /// The state of a topic, read when it is first asked for.
  func log(of topic: Topic) async throws(HubError) -> FoldedLog<TaskFold> {
    let log: FoldedLog<TaskFold>
    if let known = logs[topic] {
      log = known
    } else {
      let resolution = traits.timeResolution.milliseconds
      log = FoldedLog(
        hub: hub, topic: topic, window: TaskEvent.longest + 3_600_000, pageLimit: pageLimit, isUrgent: false
      ) { [bounds] in TaskFold(resolution: resolution, bounds: bounds) }
      logs[topic] = log
      log.assumeIsolated { $0.observe { [weak self] in self?.assumeIsolated { $0.changed() } } }
    }
    if !log.isReady { try await log.load() }
    return log
  }

  /// The task that somebody names, on a topic or on any of ours, as it is now.
  package func task(named name: String, on topic: Topic?) async throws(HubError) -> (task: TaskRecord, now: Int64) {
    let (log, task) = try await find(name, on: topic)
    return (task, log.currentTime)
  }

  /// Finds the task that somebody names, on a topic or on any of ours.
  func find(
    _ name: String, on topic: Topic?
  ) async throws(HubError) -> (log: FoldedLog<TaskFold>, task: TaskRecord) {
    if topic == nil, let id = TaskID(name), let found = await soonKnown(id) { return found }
    guard let reference = TaskReference(name) else {
      throw .badArgument(
        name: "task", reason: "must be the id of a task, or at least its first \(TaskID.shortest) digits")
    }
    let topics: [Topic]
    if let topic {
      try await check(topic)
      topics = [topic]
    } else {
      topics = logs.keys.sorted() + hub.setup.topics.prefix(Self.searchedTopics).filter { logs[$0] == nil }
    }
    if let found = try await find(reference, among: topics) { return found }
    // It may have been posted a moment ago.
    for topic in topics { try await log(of: topic).catchUp(until: deadline) }
    if let found = try await find(reference, among: topics) { return found }
    throw HubError(TaskRefusal.unknown(name))
  }

  /// A task that was posted a moment ago is on its way here: to wait for it costs less than to ask the backend.
  private func soonKnown(_ id: TaskID) async -> (log: FoldedLog<TaskFold>, task: TaskRecord)? {
    if let found = known(id) { return found }
    guard logs.values.contains(where: \.isReady) else { return nil }
    let deadline = arriving[id] == nil ? loop.now.advanced(by: .milliseconds(5)) : deadline
    _ = await wait(until: deadline) { self.known(id) != nil }
    return known(id)
  }

  /// The task of a whole id, on the first topic that is known to have it.
  private func known(_ id: TaskID) -> (log: FoldedLog<TaskFold>, task: TaskRecord)? {
    var found: (log: FoldedLog<TaskFold>, task: TaskRecord)?
    for (topic, log) in logs where found.map({ topic < $0.log.topic }) ?? true {
      if log.isReady, let task = log.task(id) { found = (log, task) }
    }
    return found
  }

  private func find(
    _ reference: TaskReference, among topics: [Topic]
  ) async throws(HubError) -> (log: FoldedLog<TaskFold>, task: TaskRecord)? {
    var found: (log: FoldedLog<TaskFold>, task: TaskRecord)?
    for topic in topics {
      let log = try await log(of: topic)
      let (fold, now) = log.current
      switch fold.find(reference, at: now) {
      case .success(let task):
        guard found == nil else { throw HubError(TaskRefusal.ambiguous(reference.text)) }
        found = (log, task)
        if TaskID(reference.text) != nil { return found }
      case .failure(let failure):
        if case .ambiguous = failure.refusal { throw HubError(failure.refusal) }
      }
    }
    return found
  }

  // MARK: Updating

  func overRefusal(_ task: TaskRecord, at now: Int64) -> TaskRefusal? {
    if let ending = task.ending { return .ended(task.id, ending.kind, by: ending.by.handle) }
    return now >= task.expiresAt ? .expired(task.id) : nil
  }

  static func check(lease: Duration) throws(HubError) {
    guard TaskUpdate.leases.contains(lease) else {
      throw .badArgument(name: "lease_s", reason: "must be 30 to 86400 seconds")
    }
  }

  /// Says something about a task; `fence` is that of the claim, and needed for all but `cancel`.
  public func update(
    _ name: String, on topic: Topic? = nil, fence: String?, _ update: TaskUpdate
  ) async throws(HubError) -> TaskRecord {
    if case .extend(let lease) = update { try Self.check(lease: lease) }
    if let text = update.text { try check(text: text, "text") }
    var (log, task) = try await find(name, on: topic)
    let isCancel = if case .cancel = update { true } else { false }
    guard let fence = fence ?? (isCancel ? "" : nil), isCancel || !fence.isEmpty else {
      throw .badArgument(name: "fence", reason: "is required: parley_task_claim returned it")
    }
    if updateRefusal(task, fence: isCancel ? nil : fence, in: log) != nil {
      try await log.catchUp(until: deadline)
      task = log.task(task.id) ?? task
      if let refusal = updateRefusal(task, fence: isCancel ? nil : fence, in: log) { throw HubError(refusal) }
    }
    var until: Int64 = 0
    if case .extend(let lease) = update { until = min(log.currentTime + lease.milliseconds, task.expiresAt) }
    return try await say(update.event(task.id, fence: MessageID(fence)), about: task, until: until, in: log)
  }

  /// What the log would say to the update now; the account is judged there.
  private func updateRefusal(
    _ task: TaskRecord, fence: String?, in log: FoldedLog<TaskFold>
  ) -> TaskRefusal? {
    let now = log.currentTime
    if let refusal = overRefusal(task, at: now) { return refusal }
    guard let fence else {
      return task.poster.handle == author.handle ? nil : .notPoster(task.id, poster: task.poster.handle)
    }
    guard let held = task.heldClaim(at: now) else { return .notHeld(task.id) }
    guard held.fence == MessageID(fence) else { return .wrongFence(task.id, holder: held.holder.handle) }
    return held.holder.handle == author.handle ? nil : .notHolder(task.id, holder: held.holder.handle)
  }

  // MARK: Waiting

  /// A place to wait for the next event of any topic that was asked about; `forget` gives it back.
  package func ticket() -> UInt64 { changes.ticket() }

  /// Gives a ticket back that is not waited with; no effect for one that was.
  package func forget(_ ticket: UInt64) { changes.forget(ticket) }

  /// Waits for the next event after the ticket was taken, at most so long; false when the waiting task was cancelled.
  package func change(_ ticket: UInt64, within time: Duration) async -> Bool {
    expect()
    defer { expectNoMore() }
    let deadline = loop.now.advanced(by: min(time, .seconds(1 << 20)))
    if case .cancelled = await changes.wait(ticket, until: deadline) { return false }
    return true
  }

  /// Waits until something holds, which is looked at now and after each event of a topic that was asked about. While
  /// somebody waits, events come at once.
  func wait(until deadline: LoopInstant, for holds: @escaping () -> Bool) async -> WaitOutcome<Void> {
    if holds() { return .value(()) }
    expect()
    let ticket = waits.ticket()
    conditions.append((ticket, holds))
    let outcome = await waits.wait(ticket, until: deadline)
    if let place = conditions.firstIndex(where: { $0.ticket == ticket }) {
      conditions.remove(at: place)
      expectNoMore()
    }
    return outcome
  }

  /// Ends the waits whose condition holds by now.
  func look() {
    var met: [UInt64] = []
    conditions.removeAll { ticket, holds in
      guard holds() else { return false }
      met.append(ticket)
      return true
    }
    for ticket in met {
      expectNoMore()
      waits.resume(ticket, ())
    }
  }

  /// Somebody waits for events, until `expectNoMore`: they come at once.
  func expect() { hub.supervisor.assumeIsolated { $0.expect() } }

  func expectNoMore() { hub.supervisor.assumeIsolated { $0.expectNoMore() } }

  /// Waits until all of these tasks are over, at most until `deadline`; each as it is then, in the order asked for.
  public func settled(
    _ names: [String], on topic: Topic? = nil, until deadline: LoopInstant,
    progress: @Sendable (_ over: Int, _ all: Int) -> Void = { _, _ in }
  ) async throws(HubError) -> (tasks: [TaskRecord], now: Int64, areOver: Bool) {
    var wanted: [(log: FoldedLog<TaskFold>, id: TaskID)] = []
    for name in names {
      let (log, task) = try await find(name, on: topic)
      wanted.append((log, task.id))
    }
    var told = 0
    while true {
      var tasks: [TaskRecord] = []
      var over = 0
      var now: Int64 = 0
      var expiry: Int64 = .max
      for (log, id) in wanted {
        guard let task = log.task(id) else { throw HubError(TaskRefusal.unknown(id.text)) }
        now = log.currentTime
        if task.status(at: now).isFinal { over += 1 } else { expiry = min(expiry, task.expiresAt - now) }
        tasks.append(task)
      }
      if over == tasks.count || loop.now >= deadline || Task.isCancelled {
        return (tasks, now, over == tasks.count)
      }
      if over > told { progress(over, tasks.count) }
      told = over
      _ = await wait(until: min(instant(in: expiry), deadline)) {
        wanted.count { log, id in log.task(id).map { $0.status(at: log.currentTime).isFinal } ?? true } != over
      }
    }
  }
}

extension HubError {
  /// A refusal as callers see it.
  init(_ refusal: TaskRefusal) { self = .refused(code: refusal.code, reason: refusal.reason) }
}

extension FoldedLog<TaskFold> {
  /// A task as it is now, without a suspension; must be asked for on the loop.
  nonisolated func task(_ id: TaskID) -> TaskRecord? { assumeIsolated { $0.fold[id] } }
}
