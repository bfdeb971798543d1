import CLinux
import Glibc
import Synchronization

/// One thread that is an actor executor, a task executor, a timer queue and an epoll reactor at once.
///
/// Actors that return the loop as their executor (`LoopActor`) and tasks made by `spawn` never leave its thread, so a
/// readiness callback reaches an actor by `assumeIsolated`, without a hop, a lock or a suspension.
/// Everything but `enqueue`, `execute`, `spawn`, `stop` and the clock must be called on the loop's own thread.
//
// @unchecked: `state` is confined to the loop's thread (checked by `precondition(isCurrent)` at each entry);
// what other threads touch is in `inbox`, `thread` and `stopping`.
public final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
  // @unchecked: a job is owned by the runtime, and an action that comes from another thread is @Sendable (`execute`).
  enum Work: @unchecked Sendable {
    case job(UnownedJob)
    case action(() -> Void)
  }

  private struct Inbox {
    var work: [Work] = []
    /// The loop is, or is about to be, asleep in epoll; whoever adds work must write the eventfd.
    var needsWakeUp = false
  }

  /// A name for logs and for the thread, at most 15 bytes of it shown by the kernel.
  public let name: String
  let clock: LoopClock
  private let inbox = Mutex(Inbox())
  private let thread = Atomic<UInt>(0)
  private let stopping = Atomic<Bool>(false)

  private let poller: Poller
  private var ready: [Work] = []
  private var readyHead = 0
  private var endOfTurn: [() -> Void] = []
  /// Those of `endOfTurn` that are being run; kept for its room.
  private var ending: [() -> Void] = []
  private var timers = TimerQueue()
  private var generator: SeededGenerator?

  /// At most this many jobs run before descriptors and timers get their turn again.
  private static let jobsPerTurn = 512

  /// Makes a loop that nobody runs yet: see `run(_:)` and `thread(named:)`.
  ///
  /// With a `seed`, time is virtual (it jumps to the next timer whenever nothing else is left to do) and
  /// `random()` replays: the loop of simulations. Throws when the kernel refuses an epoll or event descriptor.
  public init(name: String = "loop", seed: UInt64? = nil) throws(SystemError) {
    self.name = name
    poller = try Poller()
    clock = LoopClock(virtual: seed != nil)
    generator = seed.map(SeededGenerator.init(seed:))
  }

  // MARK: Executor

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isCurrent { ready.append(.job(job)) } else { submit(.job(job)) }
  }

  public func isIsolatingCurrentContext() -> Bool? { isCurrent }

  public func checkIsolated() { precondition(isCurrent, "not on event loop \(name)") }

  /// Whether the calling thread is the loop's own.
  public var isCurrent: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

  /// Runs `action` on the loop's thread, after what is already queued. May be called from any thread.
  ///
  /// With `wakes: false` a sleeping loop sleeps on, and runs `action` when something else wakes it: for what it need
  /// not know until then.
  public func execute(wakes: Bool = true, _ action: @escaping @Sendable () -> Void) {
    if isCurrent { ready.append(.action(action)) } else { submit(.action(action), wakes: wakes) }
  }

  /// Ends the loop's sleep, if it sleeps, so that it does what was queued without waking it. May be called from any
  /// thread.
  public func wakeUp() {
    let wake = inbox.withLock { inbox in
      defer { inbox.needsWakeUp = false }
      return inbox.needsWakeUp
    }
    if wake { poller.wakeUp() }
  }

  /// The one way to make an unstructured task: it starts and resumes on this loop.
  @discardableResult
  public func spawn<Success: Sendable>(
    _ operation: sending @escaping @isolated(any) () async -> Success
  ) -> Task<Success, Never> {
    Task(executorPreference: self, operation: operation)
  }

  private func submit(_ work: Work, wakes: Bool = true) {
    let wake = inbox.withLock { inbox in
      inbox.work.append(work)
      guard wakes else { return false }
      defer { inbox.needsWakeUp = false }
      return inbox.needsWakeUp
    }
    if wake { poller.wakeUp() }
  }

  // MARK: Time

  /// Monotonic time on this loop; virtual for seeded loops.
  public var now: LoopInstant { clock.now }

  /// Milliseconds since 1970, for people and for stores that have no clock of their own; virtual for seeded loops.
  public var wallClockMilliseconds: Int64 { clock.wallClockMilliseconds }

  /// Runs `action` once on the loop after `delay`; never early. Cancel with `cancel(_:)`.
  @discardableResult
  public func schedule(after delay: Duration, _ action: @escaping () -> Void) -> LoopTimer {
    preconditionOnLoop()
    return timers.insert(at: now.advanced(by: delay), action)
  }

  /// Forgets a timer; no effect once it has fired.
  public func cancel(_ timer: LoopTimer) {
    preconditionOnLoop()
    timers.remove(timer)
  }

  /// A random number: from the system, or from the seed of a seeded loop.
  public func random() -> UInt64 {
    preconditionOnLoop()
    return generator?.next() ?? UInt64.random(in: .min ... .max)
  }

  // MARK: Descriptors

  /// Calls `handler` on the loop whenever `descriptor` is ready (level-triggered).
  ///
  /// The caller keeps the descriptor open until `unwatch`. Throws EPERM for regular files, which are always ready.
  public func watch(
    _ descriptor: CInt, for interest: Readiness, _ handler: @escaping (Readiness) -> Void
  ) throws(SystemError) -> Watch {
    preconditionOnLoop()
    return try poller.add(descriptor, interest, handler)
  }

  /// Changes what a watch waits for; an empty set keeps the watch silent, but for errors and hang-up.
  public func rewatch(_ watch: Watch, for interest: Readiness) {
    preconditionOnLoop()
    poller.modify(watch, interest)
  }

  /// Ends a watch; events that were already fetched for it are dropped. No effect the second time.
  public func unwatch(_ watch: Watch) {
    preconditionOnLoop()
    poller.remove(watch)
  }

  /// Runs `action` once, when the jobs of this turn are done and before the loop looks for events again: the place
  /// where buffered writes leave together.
  public func atEndOfTurn(_ action: @escaping () -> Void) {
    preconditionOnLoop()
    endOfTurn.append(action)
  }

  // MARK: Running

  /// Runs the loop on the calling thread until `body` has returned, and returns its value.
  ///
  /// On a seeded loop, throws `LoopStalled` when nothing can ever happen again although `body` has not returned.
  public func run<Success: Sendable>(
    _ body: sending @escaping @isolated(any) () async -> Success
  ) throws(LoopStalled) -> Success {
    adoptThread()
    defer { thread.store(0, ordering: .relaxed) }
    let outcome = Outcome<Success>()
    spawn { outcome.set(await body()) }
    while true {
      guard turn(mayBlock: { outcome.value == nil }) else { throw LoopStalled() }
      if let value = outcome.value { return value }
    }
  }

  /// Makes a loop and a thread that runs it until `stop()`: for what blocks (SQLite, name resolution, hashing).
  ///
  /// The thread has all signals blocked. Throws when the kernel refuses a descriptor or a thread.
  public static func thread(named name: String) throws(SystemError) -> EventLoop {
    let loop = try EventLoop(name: name)
    try startThread(named: name) {
      loop.adoptThread()
      while !loop.stopping.load(ordering: .acquiring), loop.turn(mayBlock: { true }) {}
      loop.thread.store(0, ordering: .relaxed)
    }
    return loop
  }

  /// Ends the thread of a `thread(named:)` loop after the work that is queued now. May be called from any thread.
  public func stop() {
    execute { [self] in stopping.store(true, ordering: .releasing) }
  }

  private func adoptThread() { thread.store(UInt(pthread_self()), ordering: .relaxed) }

  private func preconditionOnLoop() { precondition(isCurrent, "called off event loop \(name)") }

  /// One turn: jobs, end-of-turn actions, then events and timers. False when a seeded loop has nothing left.
  private func turn(mayBlock: () -> Bool) -> Bool {
    takeInbox()
    runReady()
    while !endOfTurn.isEmpty {
      swap(&endOfTurn, &ending)
      for action in ending { action() }
      ending.removeAll(keepingCapacity: ending.capacity <= 4096)
    }
    let idle = readyHead == ready.count && mayBlock() && !stopping.load(ordering: .relaxed)
    if idle, clock.isVirtual {
      guard poller.isWatching || inbox.withLock({ !$0.work.isEmpty }) || !timers.isEmpty else { return false }
      if let next = timers.next { clock.advance(to: next) }
    }
    poll(block: idle && !clock.isVirtual)
    fireTimers()
    return true
  }

  private func poll(block: Bool) {
    guard block else {
      poller.poll(timeout: .zero)
      return
    }
    let mayBlock = inbox.withLock { inbox in
      inbox.needsWakeUp = inbox.work.isEmpty
      return inbox.needsWakeUp
    }
    poller.poll(timeout: mayBlock ? timers.next.map { now.duration(to: $0) } : .zero)
    inbox.withLock { $0.needsWakeUp = false }
  }

  private func takeInbox() {
    // Handed over whole: the lock is held for a swap, never while work runs.
    let work = inbox.withLock { inbox in
      defer { inbox.work = [] }
      return inbox.work
    }
    if !work.isEmpty { ready.append(contentsOf: work) }
  }

  private func runReady() {
    let serial = unsafe asUnownedSerialExecutor()
    let tasks = unsafe asUnownedTaskExecutor()
    var budget = Self.jobsPerTurn
    while readyHead < ready.count, budget > 0 {
      let work = ready[readyHead]
      readyHead += 1
      budget -= 1
      switch work {
      case .job(let job): unsafe job.runSynchronously(isolatedTo: serial, taskExecutor: tasks)
      case .action(let action): action()
      }
    }
    if readyHead == ready.count {
      ready.removeAll(keepingCapacity: ready.capacity <= 4096)
      readyHead = 0
    } else if readyHead > 4096 {
      ready.removeFirst(readyHead)
      readyHead = 0
    }
  }

  private func fireTimers() {
    guard let next = timers.next else { return }
    let now = now
    guard next <= now else { return }
    while let action = timers.popDue(at: now) { action() }
  }
}

/// A seeded loop has neither jobs, timers nor descriptors left, but its body has not returned.
public struct LoopStalled: Error {
  /// Makes the error.
  public init() {}
}

/// Where `run` finds its body's value; confined to the loop's thread.
// @unchecked: written by a task on the loop and read by the loop between jobs, the same thread.
private final class Outcome<Success: Sendable>: @unchecked Sendable {
  private(set) var value: Success?
  func set(_ value: Success) { self.value = value }
}
