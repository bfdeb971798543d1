import ParleyHTTPClient
import ParleyRuntime

extension MatrixBackend {
  /// How long a request that is on its way at its post's deadline may go on before the outcome is called unknown.
  private static let grace = Duration.seconds(2)
  /// At most this many posts wait for a topic's turn; more are refused as `unavailable`.
  private static let queueLimit = 4096

  /// Sends the draft when those before it on its topic are through; see `Backend.post`.
  public func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    _ = try connected("post")
    try draft.validate()
    // Too large is told at once, not after the queue.
    _ = try EventWriter(style: options.handleStyle).content(of: draft, mentions: [], recurs: true)
    guard loop.now < deadline else { throw Self.late }
    guard queues[draft.topic, default: []].count < Self.queueLimit else {
      throw SeamError(.unavailable, operation: "post", cause: "\(Self.queueLimit) posts are waiting already")
    }
    lastPost += 1
    let number = lastPost
    var timer: LoopTimer?
    defer {
      openPosts[number] = nil
      if let timer { loop.cancel(timer) }
    }
    let result: Result<Receipt, SeamError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let call = PostCall(draft, deadline: deadline, continuation: continuation)
        if Task.isCancelled { return call.withdraw(Self.cancelled) }
        openPosts[number] = call
        timer = loop.schedule(after: loop.now.duration(to: deadline)) { call.withdraw(Self.late) }
        queues[draft.topic, default: []].append(call)
        work(on: draft.topic)
      }
    } onCancel: {
      // On the canceller's thread: the loop decides.
      loop.execute { [weak self] in self?.assumeIsolated { $0.openPosts[number]?.withdraw(Self.cancelled) } }
    }
    return try result.get()
  }

  private static var late: SeamError {
    SeamError(.timedOut, operation: "post", cause: "the deadline passed, nothing was sent")
  }
  private static var cancelled: SeamError { SeamError(.cancelled, operation: "post", cause: "the caller cancelled") }

  /// One worker for each topic that has posts: what it sends is in the order in which it was posted.
  private func work(on topic: Topic) {
    guard working.insert(topic).inserted else { return }
    let epoch = epoch
    loop.spawn { await self.sendAll(of: topic, epoch: epoch) }
  }

  private func sendAll(of topic: Topic, epoch: UInt64) async {
    while epoch == self.epoch, let call = next(of: topic) { call.answer(await outcome(of: call)) }
  }

  private func next(of topic: Topic) -> PostCall? {
    while let first = queues[topic]?.first {
      queues[topic]?.removeFirst()
      if first.take() { return first }
    }
    queues[topic] = nil
    working.remove(topic)
    return nil
  }

  private func outcome(of call: PostCall) async -> Result<Receipt, SeamError> {
    do throws(SeamError) {
      let receipt = try await send(call.draft, deadline: call.deadline)
      doubtful.remove(call.draft.key.text)
      return .success(receipt)
    } catch {
      if error.code == .outcomeUnknown, !call.draft.key.isChosen { doubtful.insert(call.draft.key.text) }
      return .failure(error)
    }
  }

  private func send(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    var isSecondTry = false
    while true {
      guard let room = try await room(of: draft.topic, creating: true, operation: "post", deadline: deadline) else {
        throw SeamError(
          .noSuchTopic, operation: "post",
          cause: "'\(options.rooms[draft.topic.name] ?? draft.topic.name)' leads to no room")
      }
      let result: Result<Receipt, SeamError>
      do throws(MatrixFailure) {
        result = try await send(draft, to: room, deadline: deadline)
      } catch {
        // Perhaps we were put out, or the room was replaced: what its alias says now counts, once.
        guard error.status == 403 || error.status == 404, !isSecondTry else {
          throw error.mayHaveHappened ? Self.unknown(error) : Self.notSent(error)
        }
        isSecondTry = true
        forget(room)
        continue
      }
      return try result.get()
    }
  }

  /// Looks for the key where it may have been used, sends, and reads what the server made of it.
  private func send(
    _ draft: Draft, to room: Room, deadline: LoopInstant
  ) async throws(MatrixFailure) -> Result<Receipt, SeamError> {
    let recurs = draft.key.isChosen || doubtful.contains(draft.key.text)
    var newest: String?
    if recurs {
      let search = try await search(for: draft.key.text, in: room, until: nil, deadline: deadline)
      if let first = search.earliest { return duplicate(first, of: draft) }
      newest = search.newest
    }
    let content: JSONValue
    do throws(SeamError) {
      content = try EventWriter(style: options.handleStyle).content(
        of: draft, mentions: mentions(in: draft), recurs: recurs)
    } catch { return .failure(error) }
    let path = "\(room.path)/send/m.room.message/\(EventWriter.transaction(of: draft))"
    let answer = try await put(path, content, deadline: deadline)
    guard let id = answer.member("event_id")?.string else { throw .malformed("a sent event without event_id") }
    if let account = session?.account { seenHandles[draft.author.handle.name] = (account, .verified) }
    guard recurs else {
      return .success(await receipt(id, in: room, deadline: deadline))
    }
    // Another process may have sent the same key at the same time: the log says whose copy is the message.
    do throws(MatrixFailure) {
      let search = try await search(
        for: draft.key.text, in: room, until: newest, deadline: deadline.advanced(by: Self.grace))
      if let first = search.earliest, first.id != id {
        copies[id] = true
        return duplicate(first, of: draft)
      }
      copies[id] = false
      return .success(await receipt(id, in: room, deadline: deadline))
    } catch {
      return .failure(Self.unknown(error))
    }
  }

  /// Whom a draft means, as accounts: who is named in it or directed to, and the sender of what it answers (Client-Server
  /// API, `m.mentions`).
  private func mentions(in draft: Draft) -> [String] {
    var meant = (Mentions.handles(in: draft.content) + (draft.to.map { [$0] } ?? [])).compactMap { handle in
      if case .account(let account, _) = identity(of: handle) { account } else { nil }
    }
    if let answered = draft.inReplyTo, let sender = senders[answered.text] { meant.append(sender) }
    return Set(meant).subtracting([session?.account ?? ""]).sorted()
  }

  private func duplicate(_ first: EventReader.Entry, of draft: Draft) -> Result<Receipt, SeamError> {
    let message = first.message
    guard
      draft.matches(
        content: message.content, inReplyTo: message.inReplyTo, to: message.to, attributes: message.attributes)
    else {
      return .failure(
        SeamError(.keyReused, operation: "post", cause: "key '\(draft.key.text)' was used for another message"))
    }
    return .success(
      Receipt(
        id: message.id, cursor: message.cursor, storedAt: message.storedAt, durability: .unknown, isDuplicate: true))
  }

  /// Sends, waiting out rate limits as long as the deadline allows; those behind in the queue wait with it.
  private func put(
    _ path: String, _ content: JSONValue, deadline: LoopInstant
  ) async throws(MatrixFailure) -> JSONSlice {
    while true {
      if sendGate > loop.now {
        guard sendGate < deadline else { throw Self.limited(loop.now.duration(to: sendGate)) }
        await loop.sleep(for: loop.now.duration(to: sendGate))
      }
      guard loop.now < deadline else { throw .transport(.init(.timedOut, cause: "the deadline passed")) }
      do throws(MatrixFailure) {
        return try await call(.put, path, body: content, deadline: deadline.advanced(by: Self.grace))
      } catch {
        guard case .rateLimited(let wait) = error.seamError("post").code else { throw error }
        sendGate = max(sendGate, loop.now.advanced(by: wait))
      }
    }
  }

  private static func limited(_ wait: Duration) -> MatrixFailure {
    .refused(
      status: 429, code: "M_LIMIT_EXCEEDED", message: "the homeserver limits how fast this account may send",
      retryAfter: wait, softLogout: false)
  }

  /// What the log says of an event that was just sent. That it is stored is known even where this cannot be read.
  private func receipt(_ id: String, in room: Room, deadline: LoopInstant) async -> Receipt {
    var storedAt = loop.wallClockMilliseconds
    if let entry = feeds[room.topic]?.entry(id) {
      storedAt = entry.message.storedAt
    } else if let event = try? await call(
      .get, "\(room.path)/event/\(URLText.encode(id))", deadline: deadline.advanced(by: Self.grace)),
      let time = event.member("origin_server_ts")?.int
    {
      storedAt = time
    }
    return Receipt(
      id: MessageID(id), cursor: room.cursor(after: id), storedAt: storedAt, durability: .unknown)
  }

  private static func unknown(_ error: MatrixFailure) -> SeamError {
    var failure = error.seamError("post")
    failure.code = .outcomeUnknown
    failure.cause += "; it may be stored, and a retry with the same key is safe"
    return failure
  }

  private static func notSent(_ error: MatrixFailure) -> SeamError {
    var failure = error.seamError("post")
    // Our own request was given up by a closing session before it left.
    if failure.code == .cancelled { failure.code = .unavailable }
    return failure
  }
}
