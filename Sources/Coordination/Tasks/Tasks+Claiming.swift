import ParleyRuntime

extension Tasks {
  /// Takes the oldest open task of a topic; nil when there is none.
  ///
  /// Claimants that lose a race spread over the oldest ones, so that many get theirs soon and none is passed over.
  public func claimNext(
    on topic: Topic, lease: Duration = TaskUpdate.defaultLease
  ) async throws(HubError) -> TaskRecord? {
    try await claimNext(on: topic, lease: lease, extra: [:])
  }

  /// The same; the claim carries what another tool set keeps with it (see `TaskRecord.extra`).
  package func claimNext(
    on topic: Topic, lease: Duration, extra: Attributes
  ) async throws(HubError) -> TaskRecord? {
    try Self.check(lease: lease)
    try await check(topic)
    return try await takeNext(on: topic, lease: lease, extra: extra)
  }

  func takeNext(
    on topic: Topic, lease: Duration, extra: Attributes = [:]
  ) async throws(HubError) -> TaskRecord? {
    let log = try await log(of: topic)
    var choice = 1
    var isCaughtUp = false
    while true {
      let candidates = open(choice, in: log)
      guard let task = candidates.isEmpty ? nil : candidates[Int(loop.random() % UInt64(candidates.count))] else {
        if isCaughtUp { return nil }
        try await log.catchUp(until: deadline)
        isCaughtUp = true
        continue
      }
      claiming.insert(task.id)
      defer { claiming.remove(task.id) }
      do throws(HubError) {
        return try await take(task, lease: lease, extra: extra, in: log)
      } catch {
        guard case .refused = error, !Task.isCancelled else { throw error }
        choice = min(choice * 2, Self.widestChoice)
        isCaughtUp = false
      }
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
