import ParleyRuntime

extension Tasks {
  /// The receipt of an event of ours, and how far the log had come before it was posted.
  typealias Posted = Result<(receipt: Receipt, mark: Int), HubError>

  /// Posts a task; returns when the log has it. `isDuplicate` where the key had been used before for the same.
  public func post(_ request: TaskPost) async throws(HubError) -> (task: TaskRecord, isDuplicate: Bool) {
    try await check(request)
    let log = try await log(of: request.topic)
    guard log.assumeIsolated({ $0.fold.hasRoom(below: Self.liveTasks, at: $0.now) }) else {
      throw HubError(TaskRefusal.boardFull(limit: Self.liveTasks))
    }
    let id: TaskID
    let label: String
    if let key = request.key {
      id = TaskID(key: key, scope: author.keyScope, topic: request.topic)
      // The line must be the same whenever it is posted again, so it cannot depend on what else there is.
      label = String(id.text.prefix(6))
    } else {
      id = freshID(in: log)
      label = id.label
    }
    let posted = TaskEvent.Posted(
      title: request.title, body: request.body, lifetime: request.lifetime.milliseconds, label: label)
    let ticket = receipts.ticket()
    submit(
      .post(id, posted), label: label, to: request.to, key: request.key.map { "task:" + $0 },
      extra: request.extra, in: log
    ) { [receipts] in receipts.resume(ticket, $0) }
    let (receipt, mark) = try Self.value(await receipts.wait(ticket, until: nil))
    if receipt.isDuplicate {
      try await log.catchUp(until: deadline)
      guard let task = log.task(id) else { throw HubError(TaskRefusal.unknown(id.text)) }
      return (task, true)
    }
    // What a key names may be there already; a new id is nobody else's, so that being stored decides.
    guard request.key == nil, let storedAt = receipt.storedAt, log.task(id) == nil else {
      return (try await decided(receipt, since: mark, in: log), false)
    }
    arriving[id] = log
    let task = TaskRecord(
      id: id, label: label, topic: request.topic, title: request.title, body: request.body, poster: TaskActor(author),
      postedAt: storedAt, message: receipt.id, to: request.to, expiresAt: storedAt + posted.lifetime,
      extra: request.extra)
    return (task, false)
  }

  /// An id whose first digits no open task has, as far as is known here.
  private func freshID(in log: FoldedLog<TaskFold>) -> TaskID {
    var id = TaskID(random: loop.random())
    var attempts = 1
    while attempts < 16, hasLabel(of: id, in: log) {
      id = TaskID(random: loop.random())
      attempts += 1
    }
    return id
  }

  private func hasLabel(of id: TaskID, in log: FoldedLog<TaskFold>) -> Bool {
    arriving.keys.contains(where: id.isCalled) || log.assumeIsolated { $0.fold.hasLabel(of: id) }
  }

  private func check(_ request: TaskPost) async throws(HubError) {
    try await check(request.topic)
    guard TaskEvent.isTitle(request.title) else {
      throw .badArgument(
        name: "title", reason: "must be one line of 1 to \(TaskEvent.titleBytes) bytes without control characters")
    }
    if let to = request.to { try ParticipantName.check(to, "to", limit: hub.setup.limits.handleBytes) }
    guard TaskPost.lifetimes.contains(request.lifetime) else {
      throw .badArgument(name: "ttl_s", reason: "must be 60 to 2592000 seconds")
    }
    if let key = request.key {
      guard !key.isEmpty, key.utf8.count <= 200, !key.utf8.contains(0) else {
        throw .badArgument(name: "key", reason: "must be 1 to 200 bytes without NUL")
      }
    }
    try check(text: request.body ?? "", "body")
  }

  func check(text: String, _ name: String) throws(HubError) {
    if text.isEmpty { return }
    guard !text.utf8.contains(0) else { throw .badArgument(name: name, reason: "must not contain NUL") }
    let carried = traits.contentLimit ?? .max
    // What the line for people adds: a label, a title, a few words.
    let limit = min(hub.setup.limits.contentBytes, carried) - 512
    guard text.utf8.count <= limit else { throw .overLimit(what: name, bytes: text.utf8.count, limit: limit) }
  }

  /// Posts an event; `reply` gets where it stands and how far the log had come before, once, on the loop.
  private func submit(
    _ event: TaskEvent, label: String, to: Handle? = nil, inReplyTo: MessageID? = nil, key: String? = nil,
    until: Int64 = 0, extra: Attributes = [:], in log: FoldedLog<TaskFold>, reply: @escaping @Sendable (Posted) -> Void
  ) {
    let mark = log.mark
    var (content, attributes) = event.message(label: label, by: author.handle, until: until)
    attributes.add(extra)
    let request = PostRequest(
      topic: log.topic, content: content, inReplyTo: inReplyTo, to: to, key: key, attributes: attributes)
    hub.assumeIsolated { hub in
      hub.submitUnchecked(request) { result in
        if case .success(let receipt) = result { log.assumeIsolated { $0.note(receipt) } }
        reply(result.map { ($0, mark) })
      }
    }
  }

  /// Posts an event about a task, and says what it brought.
  func say(
    _ event: TaskEvent, about task: TaskRecord, until: Int64, extra: Attributes = [:], in log: FoldedLog<TaskFold>
  ) async throws(HubError) -> TaskRecord {
    let ticket = verdicts.ticket()
    submit(event, label: task.label, inReplyTo: task.message, until: until, extra: extra, in: log) {
      [self, verdicts] posted in
      switch posted {
      case .failure(let error): verdicts.resume(ticket, .failure(error))
      case .success(let (receipt, mark)):
        let deadline = assumeIsolated { $0.deadline }
        log.assumeIsolated {
          $0.whenArrived(receipt.id, since: mark, until: deadline) {
            verdicts.resume(ticket, Self.verdict($0 ?? nil, receipt, in: log))
          }
        }
      }
    }
    // Its place in the log is learnt while it is being stored.
    hub.supervisor.assumeIsolated { $0.deliverWhatWasPutOff() }
    return try Self.value(await verdicts.wait(ticket, until: nil))
  }

  /// Waits for an event of ours to reach its place in the log, and says what it brought.
  private func decided(_ receipt: Receipt, since mark: Int, in log: FoldedLog<TaskFold>) async throws(HubError)
    -> TaskRecord
  {
    let outcome = await log.outcome(of: receipt.id, since: mark, until: deadline)
    return try Self.verdict(outcome, receipt, in: log).get()
  }

  private static func verdict(
    _ outcome: TaskFold.Outcome?, _ receipt: Receipt, in log: FoldedLog<TaskFold>
  ) -> Result<TaskRecord, HubError> {
    switch outcome {
    case .accepted(let id): log.task(id).map(Result.success) ?? .failure(HubError(TaskRefusal.unknown(id.text)))
    case .refused(let refusal): .failure(HubError(refusal))
    case .listed, nil:
      .failure(
        .seam(
          SeamError(
            .outcomeUnknown, operation: "task",
            cause: "message \(receipt.id) is stored, but what it brought could not be read in time")))
    }
  }

  private static func value<Value>(_ outcome: WaitOutcome<Result<Value, HubError>>) throws(HubError) -> Value {
    switch outcome {
    case .value(let result): return try result.get()
    case .timedOut, .cancelled:
      throw .seam(
        SeamError(
          .cancelled, operation: "task", cause: "the caller cancelled; what was posted may be stored all the same"))
    }
  }
}
