import ParleyRuntime

extension Tasks {
  /// Takes the oldest open task of a topic, or the first to be open before `deadline`; nil when there is none.
  ///
  /// Claimants that lose a race spread over the oldest ones, so that many get theirs soon and none is passed over.
  public func claimNext(
    on topic: Topic, lease: Duration = TaskUpdate.defaultLease, until deadline: LoopInstant? = nil
  ) async throws(HubError) -> TaskRecord? {
    try await claimNext(on: topic, lease: lease, extra: [:], until: deadline)
  }

  /// The same; the claim carries what another tool set keeps with it (see `TaskRecord.extra`).
  package func claimNext(
    on topic: Topic, lease: Duration, extra: Attributes, until deadline: LoopInstant? = nil
  ) async throws(HubError) -> TaskRecord? {
    try Self.check(lease: lease)
    try await check(topic)
    return try await takeNext(on: topic, lease: lease, extra: extra, until: deadline)
  }

  func takeNext(
    on topic: Topic, lease: Duration, extra: Attributes = [:], until end: LoopInstant? = nil
  ) async throws(HubError) -> TaskRecord? {
    let log = try await log(of: topic)
    var choice = 1
    var isCaughtUp = false
    var refused: TaskID?
    while true {
      let candidates = open(choice, in: log)
      let place = candidates.count > 1 ? Int(loop.random() % UInt64(candidates.count)) : 0
      guard let task = candidates.isEmpty ? nil : candidates[place] else {
        if isCaughtUp { return nil }
        if let end, loop.now < end {
          try await nextMayBeOpen(in: log, until: end)
        } else {
          try await log.catchUp(until: deadline)
          isCaughtUp = true
        }
        continue
      }
      if task.id == refused {
        // Open as far as is known here, and not where it counts: our idea of the store's clock is off.
        refused = nil
        guard await loop.sleep(for: rivalry.spread) else { throw Self.cancelled }
        continue
      }
      claiming.insert(task.id)
      defer {
        claiming.remove(task.id)
        // It may be open still, for another call that waits.
        look()
      }
      let began = loop.now
      do throws(HubError) {
        let taken = try await take(task, lease: lease, extra: extra, in: log)
        rivalry.won(after: began.duration(to: loop.now))
        return taken
      } catch {
        guard case .refused = error, !Task.isCancelled else { throw error }
        rivalry.lost(after: began.duration(to: loop.now))
        refused = task.id
        choice = min(choice * 2, Self.widestChoice)
        isCaughtUp = false
      }
    }
  }

  /// Waits until a task may be open; then as long as rivals make advisable.
  private func nextMayBeOpen(in log: FoldedLog<TaskFold>, until end: LoopInstant) async throws(HubError) {
    let opening = nextOpening(in: log)
    let delay = opening.map { $0 - log.currentTime } ?? .max
    let outcome = await wait(until: min(instant(in: delay), end)) { self.nextOpening(in: log) != opening }
    var isWaiting = if case .cancelled = outcome { false } else { true }
    let pause = min(rivalry.pause { loop.random() }, loop.now.duration(to: end))
    if isWaiting, pause > .zero, !open(1, in: log).isEmpty { isWaiting = await loop.sleep(for: pause) }
    if !isWaiting { throw Self.cancelled }
  }

  private static var cancelled: HubError {
    .seam(SeamError(.cancelled, operation: "task", cause: "the caller cancelled"))
  }

  private func nextOpening(in log: FoldedLog<TaskFold>) -> Int64? {
    log.assumeIsolated { [author, claiming] in
      $0.fold.nextOpening(at: $0.now, for: author.handle, except: claiming)
    }
  }

  private func open(_ limit: Int, in log: FoldedLog<TaskFold>) -> [TaskRecord] {
    log.assumeIsolated { [author, claiming] in
      $0.fold.open(at: $0.now, for: author.handle, limit: limit, except: claiming)
    }
  }

  /// Takes one task; throws why it cannot be had.
  public func claim(
    _ name: String, on topic: Topic? = nil, lease: Duration = TaskUpdate.defaultLease
  ) async throws(HubError) -> TaskRecord {
    try Self.check(lease: lease)
    return try await take(name, on: topic, lease: lease)
  }

  func take(_ name: String, on topic: Topic?, lease: Duration) async throws(HubError) -> TaskRecord {
    var (log, task) = try await find(name, on: topic)
    if claimRefusal(task, in: log) != nil {
      // Refused only by what the log says now; nothing is posted for others to read.
      try await log.catchUp(until: deadline)
      task = log.task(task.id) ?? task
      if let refusal = claimRefusal(task, in: log) { throw HubError(refusal) }
    }
    return try await take(task, lease: lease, in: log)
  }

  private func take(
    _ task: TaskRecord, lease: Duration, extra: Attributes = [:], in log: FoldedLog<TaskFold>
  ) async throws(HubError) -> TaskRecord {
    let until = min(log.currentTime + lease.milliseconds, task.expiresAt)
    return try await say(
      .claim(task.id, lease: lease.milliseconds), about: task, until: until, extra: extra, in: log)
  }

  private func claimRefusal(_ task: TaskRecord, in log: FoldedLog<TaskFold>) -> TaskRefusal? {
    let now = log.currentTime
    if let refusal = overRefusal(task, at: now) { return refusal }
    if let to = task.to, to != author.handle { return .directed(task.id, to: to) }
    return task.heldClaim(at: now).map { .held(task.id, by: $0.holder.handle, until: $0.until, fence: $0.fence) }
  }
}
