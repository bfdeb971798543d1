import ParleyRuntime
import Synchronization

/// A parley in one SQLite file, shared by any number of processes on one machine, the TypeScript Parley among them.
///
/// The actor admits and answers; two threads do what may block: a writer (group commit) and a reader (fetch, push).
/// Neither is ever waited for without a bound: a call that no thread has taken at its deadline is withdrawn.
public actor SQLiteBackend: Backend {
  /// Where the actor runs.
  public nonisolated let loop: EventLoop
  let options: SQLiteOptions
  private var session: SQLiteSession?
  /// Counts sessions, so that word of an earlier one is not taken for this one's.
  private var epoch: UInt64 = 0
  private var note: String?

  private var calls: [UInt64: any OpenCall] = [:]
  private var lastNumber: UInt64 = 0
  private var sweepTimer: (timer: LoopTimer, at: LoopInstant)?

  private var queue: [PostCall] = []
  /// Generated keys of posts that may or may not be stored; they live as long as the process that made them.
  private var doubtful: Set<String> = []
  private var isCommitting = false
  private var isFlushScheduled = false
  /// What the reader was last told of the WAL's length.
  private var walReport: (pages: Int, at: LoopInstant)

  private let subscribers = Subscribers()

  /// At most this many posts wait; more are refused as `unavailable`.
  static let queueLimit = 16_384
  private static let batchLimit = 1024
  /// How long a post that is being committed at its deadline may take before its outcome is called unknown.
  private static let commitGrace = Duration.seconds(2)

  /// Makes a backend on `loop`; nothing is opened before `connect`.
  public init(loop: EventLoop, options: SQLiteOptions) {
    self.loop = loop
    self.options = options
    walReport = (0, loop.now)
  }

  /// `durability` is that of our own commits; a note says when push works by polling alone.
  public var traits: BackendTraits {
    BackendTraits(
      name: "sqlite", location: options.path, durability: options.durability == .full ? .synced : .written,
      keyWindow: .always, retention: options.retentionDays.map { .milliseconds(Int64($0 * 86_400_000)) },
      notes: note.map { [$0] } ?? [])
  }

  // MARK: Session

  /// Opens the file and both threads; see `Backend.connect`. Waits at most about 5 s for locks of others.
  public func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    let operation = "open \(options.path)"
    guard session == nil else {
      throw SeamError(.invalidRequest, operation: operation, cause: "it is connected already")
    }
    guard !options.path.isEmpty, options.path != ":memory:", !options.path.contains("\0") else {
      throw SeamError(
        .unsupported, operation: operation, cause: "a file is needed: two connections and other processes share it")
    }
    epoch += 1
    let epoch = epoch
    let loops: (writer: EventLoop, reader: EventLoop)
    do throws(SystemError) {
      let writer = try EventLoop.thread(named: "sqlite-writer")
      do throws(SystemError) { loops = (writer, try EventLoop.thread(named: "sqlite-reader")) } catch {
        writer.stop()
        throw error
      }
    } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: operation, cause: error.description)
    }
    let reader = SQLiteReader(loop: loops.reader, options: options) { [weak self] report in
      guard let self else { return }
      loop.execute { self.assumeIsolated { $0.take(report, epoch: epoch) } }
    }
    let writer = SQLiteWriter(loop: loops.writer, options: options, announce: { reader.announce($0, touch: $1) }) {
      [weak self] report in
      guard let self else { return }
      loop.execute { self.assumeIsolated { $0.take(report, epoch: epoch) } }
    }
    do throws(SeamError) {
      let facts = try await writer.open()
      try await reader.open(facts: facts)
      guard epoch == self.epoch else {
        throw SeamError(.unavailable, operation: operation, cause: "disconnected while connecting")
      }
      session = SQLiteSession(writer: writer, reader: reader, generation: facts.generation, lost: lost)
      subscribers.start(reader)
    } catch {
      await writer.close()
      await reader.close()
      throw error
    }
  }

  /// Closes both handles; returns within about 1 s even when another process holds the writers' lock.
  public func disconnect() async {
    epoch += 1
    guard let session = endSession(SeamError(.unavailable, operation: "disconnect", cause: "disconnected")) else {
      return
    }
    // Bounded: the writer's thread may sit in a lock that another process holds; it closes when it comes back.
    await withCheckedContinuation { continuation in
      let closing = Closing(continuation, parts: 2)
      session.close { [loop] in loop.execute { closing.partDone() } }
      loop.schedule(after: .seconds(1)) { closing.giveUp() }
    }
  }

  /// Forgets the session; what no thread has taken is not stored, what one has is still answered by it.
  private func endSession(_ error: SeamError) -> SQLiteSession? {
    guard let ended = session else { return nil }
    session = nil
    note = nil
    queue = []
    isCommitting = false
    subscribers.start(nil)
    for call in Array(calls.values) { _ = call.withdraw(error) }
    return ended
  }

  private func lose(_ error: SeamError) {
    guard let ended = endSession(error) else { return }
    epoch += 1
    ended.close()
    ended.lost(error)
  }

  private func connected(_ operation: String) throws(SeamError) -> SQLiteSession {
    guard let session else { throw SeamError(.unavailable, operation: operation, cause: "not connected") }
    return session
  }

  // MARK: Calls

  /// Files a call and sees to its deadline; `reply` is called once, on the loop.
  private func file<Request: Sendable, Reply: Sendable>(
    _ request: Request, deadline: LoopInstant, reply: @escaping @Sendable (Result<Reply, SeamError>) -> Void
  ) -> Call<Request, Reply> {
    lastNumber += 1
    let number = lastNumber
    let call = Call<Request, Reply>(request, deadline: deadline) { [self] result in
      assumeIsolated { $0.calls[number] = nil }
      reply(result)
    }
    calls[number] = call
    // Else the thread could take a late call before the timer withdraws it.
    if deadline <= loop.now { _ = call.withdraw(tooLate) } else { scheduleSweep(at: deadline) }
    return call
  }

  private var tooLate: SeamError {
    SeamError(.timedOut, operation: "wait for \(options.path)", cause: "the deadline passed, nothing was done")
  }

  /// Waits for the answer of a call that `start` files, and sees to its cancellation.
  private func answer<Reply: Sendable>(
    to operation: String, _ start: (@escaping @Sendable (Result<Reply, SeamError>) -> Void) -> Void
  ) async throws(SeamError) -> Reply {
    // Known before the call is filed, since the handler may run at once.
    let number = lastNumber + 1
    let result: Result<Reply, SeamError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        start { continuation.resume(returning: $0) }
        // A cancellation that came before the call was filed has found nothing.
        if Task.isCancelled { cancel(number, operation: operation) }
      }
    } onCancel: {
      // On the canceller's thread: the loop decides.
      loop.execute { [weak self] in self?.assumeIsolated { $0.cancel(number, operation: operation) } }
    }
    return try result.get()
  }

  private func cancel(_ number: UInt64, operation: String) {
    _ = calls[number]?.withdraw(SeamError(.cancelled, operation: operation, cause: "the caller cancelled"))
  }

  /// One timer for all deadlines: the earliest.
  private func scheduleSweep(at deadline: LoopInstant) {
    if let sweepTimer {
      if sweepTimer.at <= deadline { return }
      loop.cancel(sweepTimer.timer)
    }
    let timer = loop.schedule(after: max(loop.now.duration(to: deadline), .zero)) { [weak self] in
      self?.assumeIsolated { $0.sweep() }
    }
    sweepTimer = (timer, deadline)
  }

  private func sweep() {
    sweepTimer = nil
    let now = loop.now
    var next: LoopInstant?
    for call in Array(calls.values) {
      var due = call.deadline
      if due <= now {
        if call.withdraw(tooLate) { continue }
        due = due.advanced(by: Self.commitGrace)
        if due <= now {
          let isRead = call is FetchCall
          call.abandon(
            SeamError(
              isRead ? .timedOut : .outcomeUnknown, operation: "wait for \(options.path)",
              cause: "the disk has not answered" + (isRead ? "" : "; a retry with the same key is safe")))
          continue
        }
      }
      next = min(next ?? due, due)
    }
    queue.removeAll { $0.isOver }
    if let next { scheduleSweep(at: next) }
  }

  // MARK: Posts

  /// Stores the draft with the others of its turn in one commit; see `Backend.post`.
  ///
  /// What is being committed at the deadline is waited for 2 s longer, then called `outcomeUnknown`.
  public func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    // Here too: what is not filed has no number that a cancellation could mean.
    try admit(draft)
    return try await answer(to: "post") { submit(draft, deadline: deadline, reply: $0) }
  }

  /// As `post`, answered instead of suspended; see `Backend.submit`.
  public func submit(_ draft: Draft, deadline: LoopInstant, reply: @escaping PostReply) {
    do throws(SeamError) {
      try admit(draft)
    } catch {
      return reply(.failure(error))
    }
    let isRetry = !doubtful.isEmpty && !draft.key.isChosen && doubtful.contains(draft.key.text)
    let order = PostOrder(draft: draft, isRetry: isRetry)
    let key = draft.key
    let call: PostCall = file(order, deadline: deadline) { [self] result in
      if case .failure(let error) = result, error.code == .outcomeUnknown, !key.isChosen {
        assumeIsolated { _ = $0.doubtful.insert(key.text) }
      }
      reply(result)
    }
    queue.append(call)
    scheduleFlush()
  }

  private func admit(_ draft: Draft) throws(SeamError) {
    guard session != nil else { throw SeamError(.unavailable, operation: "post", cause: "not connected") }
    try draft.validate()
    guard queue.count < Self.queueLimit else {
      throw SeamError(.unavailable, operation: "post", cause: "\(Self.queueLimit) posts are waiting already")
    }
  }

  /// Posts of one turn leave together; those that come during a commit form the next batch.
  private func scheduleFlush() {
    guard !isFlushScheduled, !isCommitting else { return }
    isFlushScheduled = true
    loop.atEndOfTurn { [weak self] in self?.assumeIsolated { $0.flush() } }
  }

  private func flush() {
    isFlushScheduled = false
    guard let session, !isCommitting, !queue.isEmpty else { return }
    isCommitting = true
    var batch = queue
    queue = []
    if batch.count > Self.batchLimit {
      queue = Array(batch[Self.batchLimit...])
      batch.removeLast(queue.count)
    }
    session.writer.loop.execute { [batch] in session.writer.assumeIsolated { $0.post(batch) } }
  }

  private func take(_ report: SQLiteWriter.Report, epoch: UInt64) {
    switch report {
    case .posted(let outcomes, let stored, let walPages):
      for (call, result) in outcomes { call.answer(result) }
      guard epoch == self.epoch, let session else { return }
      // After the answers have left, which were appended first.
      if !stored.isEmpty { loop.atEndOfTurn { [subscribers] in subscribers.take(stored: stored) } }
      guard let walPages else { return }
      isCommitting = false
      if !queue.isEmpty { scheduleFlush() }
      // Not after every commit: each word to the reader wakes its thread.
      if abs(walPages - walReport.pages) >= 1000 || loop.now > walReport.at.advanced(by: .milliseconds(500)) {
        walReport = (walPages, loop.now)
        session.reader.loop.execute { session.reader.assumeIsolated { $0.walGrew(to: walPages) } }
      }
    case .lost(let error):
      if epoch == self.epoch { lose(error) }
    }
  }

  // MARK: Reads

  /// Reads one page in one snapshot; see `Backend.fetch`.
  public func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    let session = try connected("fetch")
    guard (1...1000).contains(request.limit) else {
      throw SeamError(.invalidRequest, operation: "fetch", cause: "limit \(request.limit) is not in 1 to 1000")
    }
    let position: ReaderSession.Request.Position
    switch request.position {
    case .latest: position = .latest
    case .after(let cursor): position = .after(try LogPlace(cursor, generation: session.generation), cursor)
    case .before(let cursor, let since):
      position = .before(try LogPlace(cursor, generation: session.generation), cursor, storedSince: since)
    }
    let resolved = ReaderSession.Request(topic: request.topic, position: position, limit: request.limit)
    return try await answer(to: "fetch") { reply in
      let call: FetchCall = file(resolved, deadline: deadline, reply: reply)
      session.reader.loop.execute { session.reader.assumeIsolated { $0.fetch(call) } }
    }
  }

  /// Always unknown: whoever may write the file may write any handle.
  public func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity { .unknown }

  // MARK: Subscriptions

  /// Delivers what follows the cursor, by whichever process it was posted; see `Backend.subscribe`.
  public func subscribe(
    _ topic: Topic, after cursor: Cursor, sink: @escaping Sink
  ) async throws(SeamError) -> SubscriptionID {
    let place = try LogPlace(cursor, generation: try connected("subscribe").generation)
    lastNumber += 1
    let id = SubscriptionID(lastNumber)
    subscribers.add(id, topic: topic, from: place, cursor: cursor, sink: sink)
    return id
  }

  /// Reads on from where the sink paused.
  public func resume(_ subscription: SubscriptionID) { subscribers.resume(subscription) }

  /// Ends the subscription; with the last one, watching and polling end.
  public func unsubscribe(_ subscription: SubscriptionID) { subscribers.remove(subscription) }

  private func take(_ report: SQLiteReader.Report, epoch: UInt64) {
    switch report {
    case .fetched(let call, let result): call.answer(result)
    case .deliver(let handOver): if epoch == self.epoch { subscribers.take(handOver) }
    case .lost(let error): if epoch == self.epoch { lose(error) }
    case .polling(let reason): if epoch == self.epoch { note = reason }
    }
  }

  // MARK: For tests

  /// Statements of both connections that are open now; none may be between two operations.
  func openStatements() async -> Int {
    guard let session else { return 0 }
    return await session.writer.openStatements + session.reader.openStatements
  }
}
