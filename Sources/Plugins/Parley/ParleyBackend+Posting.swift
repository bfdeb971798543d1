import ParleyRuntime

/// A draft on its way, and who waits for its outcome.
struct QueuedPost {
  let draft: Draft
  let deadline: LoopInstant
  let ticket: UInt64
}

extension ParleyBackend {
  /// Content in one request, in bytes; a draft that is larger goes alone.
  private static let batchBytes = 512 << 10
  /// An answer may come so long after the door has given up on a draft.
  private static let grace: Duration = .seconds(1)

  public func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    try check("post", deadline)
    guard !draft.hasNUL else { throw SeamError(.invalidRequest, operation: "post", cause: "NUL cannot be carried") }
    let ticket = outcomes.ticket()
    queue.append(QueuedPost(draft: draft, deadline: deadline, ticket: ticket))
    // Those that are posted in the same turn share a request.
    if !isPosting {
      isPosting = true
      loop.spawn { await self.sendQueue() }
    }
    switch await outcomes.wait(ticket, until: deadline.advanced(by: Self.grace)) {
    case .value(let result): return try result.get()
    case .cancelled: throw withdraw(ticket, .cancelled, "the call was cancelled")
    case .timedOut: throw withdraw(ticket, .timedOut, "the door did not answer in time")
    }
  }

  /// Takes a draft out where it was not sent; what was sent may be stored.
  private func withdraw(_ ticket: UInt64, _ code: SeamError.Code, _ cause: String) -> SeamError {
    guard let index = queue.firstIndex(where: { $0.ticket == ticket }) else {
      return SeamError(.outcomeUnknown, operation: "post", cause: cause)
    }
    queue.remove(at: index)
    return SeamError(code, operation: "post", cause: cause)
  }

  private func sendQueue() async {
    while true {
      let batch = nextBatch()
      guard !batch.isEmpty else { break }
      await send(batch)
    }
    isPosting = false
  }

  /// What fits into one request; drafts whose time is over are withdrawn.
  private func nextBatch() -> [QueuedPost] {
    var batch: [QueuedPost] = []
    var bytes = 0
    while let post = queue.first, batch.count < RelayWire.batch {
      guard post.deadline > loop.now else {
        queue.removeFirst()
        settle(post, .failure(SeamError(.timedOut, operation: "post", cause: "it was still queued at its deadline")))
        continue
      }
      bytes += post.draft.content.utf8.count
      guard batch.isEmpty || bytes <= Self.batchBytes else { break }
      batch.append(queue.removeFirst())
    }
    return batch
  }

  /// All drafts of a request have the patience of the most impatient: its answer comes when all are settled. Those that
  /// have time left, and were not stored in that time, go out again.
  private func send(_ batch: [QueuedPost]) async {
    let session = session
    let earliest = batch.map(\.deadline).min() ?? loop.now
    let patience = max(.zero, loop.now.duration(to: earliest))
    let body = DoorClient.body { writer in
      writer.key("posts")
      writer.beginArray()
      for post in batch { writer.relay(post.draft, patience: patience) }
      writer.endArray()
    }
    let found: [Result<Receipt, SeamError>]
    do throws(SeamError) {
      let json = try await door.ask(.post, body, deadline: earliest.advanced(by: Self.grace))
      found = json.member("outcomes")?.elements.compactMap { SeamError.outcome(relayed: $0, DoorPlace.cursor) } ?? []
      guard found.count == batch.count else { throw DoorClient.misread("post", true) }
    } catch {
      for post in batch { settle(post, .failure(error)) }
      return
    }
    var again: [QueuedPost] = []
    for (post, outcome) in zip(batch, found) {
      if case .failure(let error) = outcome, error.code == .timedOut, post.deadline > loop.now, session == self.session,
        isConnected
      {
        again.append(post)
      } else {
        settle(post, outcome)
      }
    }
    queue = again + queue
  }

  private func settle(_ post: QueuedPost, _ outcome: Result<Receipt, SeamError>) {
    outcomes.resume(post.ticket, outcome)
  }
}

extension Draft {
  fileprivate var hasNUL: Bool {
    let names = [topic.name, author.handle.name, content, key.text, inReplyTo?.text, to?.name]
    return names.contains { $0?.hasByte(0) ?? false }
      || attributes.contains { $0.key.hasByte(0) || $0.value.hasByte(0) }
  }
}
