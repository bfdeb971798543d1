import ParleyRuntime

extension NATSBackend {
  /// Publishes with the key as `Nats-Msg-Id`, by which the server drops repetitions; see `Backend.post`.
  ///
  /// What was sent and not answered by the deadline is `outcomeUnknown`; the same key again is safe.
  public func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    let session = try connected("post")
    return try await send(try admit(draft, session, deadline: deadline), session, deadline: deadline)
  }

  /// As `post`, answered instead of suspended: where the stream is known and nothing has to be looked up, neither a task
  /// nor a timer is made. What the first answer does not settle goes the way of `post`, under the same key.
  public func submit(_ draft: Draft, deadline: LoopInstant, reply: @escaping PostReply) {
    do throws(SeamError) {
      let session = try connected("post")
      let order = try admit(draft, session, deadline: deadline)
      guard let facts = session.streams[order.names.streamName], !needsSearch(order, facts),
        session.gate.enter(order.size)
      else { return finish(order, session, deadline: deadline, isRepeated: false, reply) }
      let target = NATSSession.PostTarget(names: order.names, generation: facts.generation)
      do throws(NATSFailure) {
        try session.ask(
          order.names.subject, order.payload, headers: order.headers, post: target,
          patience: min(deadline, loop.now.advanced(by: Self.asksAgain))
        ) { outcome in
          self.settle(outcome, order, facts, session, deadline: deadline, reply)
        }
      } catch {
        session.gate.leave(order.size)
        throw error.seamError("post")
      }
      sweep(session)
    } catch {
      reply(.failure(error))
    }
  }

  private func settle(
    _ outcome: NATSSession.Reply, _ order: Order, _ facts: StreamFacts, _ session: NATSSession, deadline: LoopInstant,
    _ reply: @escaping PostReply
  ) {
    session.gate.leave(order.size)
    switch outcome {
    case .failed(let error) where error.code == .outcomeUnknown && self.session === session && loop.now < deadline:
      finish(order, session, deadline: deadline, isRepeated: true, reply)
    case .failed(let error):
      if error.code == .outcomeUnknown { doubtful.add(order.key, at: loop.now) }
      reply(.failure(error))
    case .answer(let answer) where answer.status == nil:
      guard let ack = try? PublishAck(answer.data), !ack.isDuplicate, ack.stream.isExactly(order.names.stream)
      else { return finish(order, session, deadline: deadline, isRepeated: false, reply) }
      guard facts.numbers.take(ack) else {
        session.forget(order.names.streamName)
        return finish(order, session, deadline: deadline, isRepeated: true, reply)
      }
      if !doubtful.isEmpty { doubtful.remove(order.key) }
      reply(.success(receipt(ack, facts)))
    default: finish(order, session, deadline: deadline, isRepeated: false, reply)
    }
  }

  private func finish(
    _ order: Order, _ session: NATSSession, deadline: LoopInstant, isRepeated: Bool, _ reply: @escaping PostReply
  ) {
    loop.spawn {
      do throws(SeamError) {
        reply(.success(try await self.send(order, session, deadline: deadline, isRepeated: isRepeated)))
      } catch {
        reply(.failure(error))
      }
    }
  }

  /// Looks four times a second for posts without a task that nobody has answered, as long as there are any.
  private func sweep(_ session: NATSSession) {
    guard !session.isSweeping else { return }
    session.isSweeping = true
    loop.schedule(after: .milliseconds(250)) { [weak self] in
      self?.assumeIsolated { backend in
        guard backend.session === session else { return }
        session.isSweeping = false
        session.expire(at: backend.loop.now)
        if session.hasUnattended { backend.sweep(session) }
      }
    }
  }

  private func admit(
    _ draft: Draft, _ session: NATSSession, deadline: LoopInstant
  ) throws(SeamError) -> Order {
    try draft.validate()
    guard !session.isLeaving else {
      throw SeamError(.unavailable, operation: "post", cause: "the server is about to shut down")
    }
    guard loop.now < deadline else {
      throw SeamError(.timedOut, operation: "post", cause: "the deadline has passed; it is not stored")
    }
    return try order(draft, names(of: draft.topic), session)
  }

  private func send(
    _ order: Order, _ session: NATSSession, deadline: LoopInstant, isRepeated: Bool = false
  ) async throws(SeamError) -> Receipt {
    guard self.session === session else {
      throw isRepeated
        ? unknown("the session ended") : SeamError(.unavailable, operation: "post", cause: "not connected")
    }
    do throws(SeamError) {
      if !session.gate.enter(order.size) { try await session.gate.turn(order.size, until: deadline) }
      defer { session.gate.leave(order.size) }
      let receipt = try await post(order, session, deadline: deadline, isRepeated: isRepeated)
      if !doubtful.isEmpty { doubtful.remove(order.key) }
      return receipt
    } catch {
      // What was sent before is open, whatever became of sending it again.
      let error =
        isRepeated && error.code != .outcomeUnknown && error.code.isOpenAfterSending ? unknown(error.cause) : error
      if error.code == .outcomeUnknown { doubtful.add(order.key, at: loop.now) }
      throw error
    }
  }

  /// A draft as it goes out.
  private struct Order {
    let draft: Draft
    let names: TopicNames
    let payload: [UInt8]
    let headers: WireHeaders
    let size: Int
    /// The key, scoped to its stream.
    var key: String { names.stream + " " + (headers.key ?? "") }
  }

  private func order(_ draft: Draft, _ names: TopicNames, _ session: NATSSession) throws(SeamError) -> Order {
    let limit = contentLimit ?? 0
    guard draft.content.utf8.count <= limit else {
      throw SeamError(
        .tooLarge(limit: limit), operation: "post",
        cause: "the content has \(draft.content.utf8.count) bytes, the server takes \(limit)")
    }
    let payload = WireFormat.payload(draft, timestamp: timestamp())
    let headers = WireFormat.headers(draft, headers(of: draft.author))
    let size = payload.count + headers.size
    guard size <= session.maximumPayload else {
      throw SeamError(
        .tooLarge(limit: limit), operation: "post",
        cause: "written as JSON, with its attributes, it has \(size) bytes; the server takes "
          + "\(session.maximumPayload)")
    }
    return Order(draft: draft, names: names, payload: payload, headers: headers, size: size)
  }

  private func post(
    _ order: Order, _ session: NATSSession, deadline: LoopInstant, isRepeated: Bool
  ) async throws(SeamError) -> Receipt {
    // Again for a stream that was deleted since we saw it.
    var isRepeated = isRepeated
    for _ in 0..<3 {
      let facts = try await ensureStream(order.names, session, deadline: deadline)
      if needsSearch(order, facts), let earlier = try await earlier(order, session, deadline: deadline) {
        return earlier
      }
      if let ack = try await publish(order, facts, session, deadline: deadline, isRepeated: isRepeated) {
        if facts.numbers.take(ack) { return try await receipt(ack, order, session, facts, deadline: deadline) }
        // Another incarnation than the one we know gave this number. The same key tells where the message is.
        isRepeated = true
      }
      session.forget(order.names.streamName)
    }
    guard !isRepeated else { throw unknown("stream \(order.names.stream) is made anew again and again") }
    throw SeamError(
      .unavailable, operation: "post", cause: "stream \(order.names.stream) does not take \(order.names.subject)")
  }

  /// The server's acknowledgement; nil where no stream takes the subject, so that nothing was stored.
  ///
  /// What is not acknowledged soon is sent again, under the same key: a cluster that elects a leader drops it.
  private func publish(
    _ order: Order, _ facts: StreamFacts, _ session: NATSSession, deadline: LoopInstant, isRepeated: Bool
  ) async throws(SeamError) -> PublishAck? {
    let target = NATSSession.PostTarget(names: order.names, generation: facts.generation)
    var isRepeated = isRepeated
    while true {
      let ticket: UInt64
      do throws(NATSFailure) {
        ticket = try session.ask(order.names.subject, order.payload, headers: order.headers, post: target)
      } catch {
        throw isRepeated ? unknown(error.text) : error.seamError("post")
      }
      let patience = min(deadline, loop.now.advanced(by: Self.asksAgain))
      do throws(SeamError) {
        let answer = try await answer(session, ticket, deadline: patience, operation: "post")
        // A repetition of our own that the server dropped is no duplicate to the caller; a chosen key is looked at.
        return try acknowledgement(answer, isRepeated: isRepeated && !order.draft.key.isChosen)
      } catch {
        switch error.code {
        case .noSuchTopic: return nil
        case .timedOut where loop.now < deadline && self.session === session: isRepeated = true
        case .timedOut, .cancelled: throw unknown("\(error.cause), but the message was sent")
        default: throw error
        }
      }
    }
  }

  private func acknowledgement(_ answer: Answer, isRepeated: Bool) throws(SeamError) -> PublishAck? {
    do throws(JetStreamFailure) {
      var ack = try PublishAck(answer.data)
      ack.isRepetition = isRepeated
      return ack
    } catch {
      if error.isStreamMissing { return nil }
      throw error.seamError("post")
    }
  }

  private func unknown(_ cause: String) -> SeamError {
    SeamError(.outcomeUnknown, operation: "post", cause: "\(cause); the same key is safe")
  }

  private func receipt(
    _ ack: PublishAck, _ order: Order, _ session: NATSSession, _ facts: StreamFacts, deadline: LoopInstant
  ) async throws(SeamError) -> Receipt {
    guard ack.stream.isExactly(order.names.stream) else {
      throw SeamError(
        .unsupported, operation: "post",
        cause: "the stream \(ack.stream) takes the subject \(order.names.subject), so that \(order.names.stream) cannot"
      )
    }
    if ack.isDuplicate, order.draft.key.isChosen {
      let stored = try await read(
        order.names, session, facts, ReadRange(from: ack.sequence, through: ack.sequence, count: 1), deadline: deadline)
      if let first = stored.first { return try receipt(ofEarlier: first, order, facts) }
    }
    return receipt(ack, facts)
  }

  private func receipt(_ ack: PublishAck, _ facts: StreamFacts) -> Receipt {
    let number = String(decimal: Int64(clamping: ack.sequence))
    return Receipt(
      id: MessageID(number), cursor: LogPlace.cursor(facts.generation, number: number), storedAt: nil,
      durability: facts.durability,
      isDuplicate: ack.isDuplicate && !ack.isRepetition)
  }

  // MARK: Posts that perhaps nobody listens to

  /// Looks whether the streams of the posts in flight are there still, and ends those that cannot be answered.
  func verifyPosts(_ session: NATSSession) {
    session.verifiesAgain = true
    guard !session.isVerifying else { return }
    session.isVerifying = true
    loop.spawn { await self.verifyAll(session) }
  }

  private func verifyAll(_ session: NATSSession) async {
    while session.verifiesAgain, self.session === session {
      session.verifiesAgain = false
      await verify(session)
    }
    session.isVerifying = false
  }

  private func verify(_ session: NATSSession) async {
    var groups: [StreamName: (target: NATSSession.PostTarget, tickets: [UInt64])] = [:]
    for (ticket, request) in session.asked {
      guard let target = request.post else { continue }
      groups[target.names.streamName, default: (target, [])].tickets.append(ticket)
    }
    for (target, tickets) in groups.values {
      guard self.session === session else { return }
      let found: StreamFacts?
      do throws(SeamError) {
        found = try await stream(target.names, session, deadline: loop.now.advanced(by: .seconds(5)))
      } catch {
        // Those posts end at their deadline, as unknown.
        continue
      }
      guard let reply = verdict(found, target) else { continue }
      for ticket in tickets { session.resolve(ticket, reply) }
    }
  }

  /// How posts end that were sent to a stream as it was then; nil where it still answers them.
  private func verdict(_ found: StreamFacts?, _ target: NATSSession.PostTarget) -> NATSSession.Reply? {
    guard let found else { return .answer(.nobody) }
    guard found.keeps(target.names.subject) else {
      return .failed(
        SeamError(
          .unsupported, operation: "post",
          cause: "the stream \(target.names.stream) does not keep \(target.names.subject)"))
    }
    guard found.generation != target.generation else { return nil }
    return .failed(unknown("the stream was made anew while the message was under way"))
  }

  // MARK: Keys that the server may have forgotten

  /// A key that may have been stored before, longer ago than the stream remembers.
  private func needsSearch(_ order: Order, _ facts: StreamFacts) -> Bool {
    if order.draft.key.isChosen { return facts.keyWindow < min(options.keyWindow, Self.searchedBack) }
    guard !doubtful.isEmpty, let since = doubtful[order.key] else { return false }
    return since.duration(to: loop.now) > facts.keyWindow / 2
  }

  /// How far the log is searched back for a key.
  private static let searchedBack = Duration.seconds(86_400)

  /// The earliest message with this key, at most a day back.
  private func earlier(
    _ order: Order, _ session: NATSSession, deadline: LoopInstant
  ) async throws(SeamError) -> Receipt? {
    // What others stored since the stream was last looked at counts too.
    guard let facts = try await stream(order.names, session, deadline: deadline) else { return nil }
    let oldest = loop.wallClockMilliseconds - Self.searchedBack.milliseconds
    var found: StoredMessage?
    var end = facts.last
    while end >= facts.first, end > 0 {
      let start = max(facts.first, end > 500 ? end - 500 : 1)
      var page: [StoredMessage] = []
      var next = start
      while next <= end {
        let part = try await read(
          order.names, session, facts, ReadRange(from: next, through: end, count: 1000), deadline: deadline)
        guard let last = part.last else { break }
        page += part
        next = last.sequence + 1
      }
      if let first = page.first(where: { $0.headers.key == order.headers.key && $0.storedAt >= oldest }) {
        found = first
      }
      guard let first = page.first, first.storedAt >= oldest, start > facts.first else { break }
      end = start - 1
    }
    return try found.map { stored throws(SeamError) in try receipt(ofEarlier: stored, order, facts) }
  }

  private func receipt(
    ofEarlier stored: StoredMessage, _ order: Order, _ facts: StreamFacts
  ) throws(SeamError) -> Receipt {
    let message = WireFormat.message(stored, order.draft.topic, generation: facts.generation)
    guard
      order.draft.matches(
        content: message.content, inReplyTo: message.inReplyTo, to: message.to, attributes: message.attributes)
    else {
      throw SeamError(
        .keyReused, operation: "post", cause: "the key was used for message \(message.id), which has other content")
    }
    return Receipt(
      id: message.id, cursor: message.cursor, storedAt: message.storedAt, durability: facts.durability,
      isDuplicate: true)
  }
}

extension WireHeaders {
  /// What they take of the server's limit, in bytes.
  var size: Int {
    func line(_ name: StaticString, _ value: String?) -> Int {
      value.map { name.utf8CodeUnitCount + $0.utf8.count + 4 } ?? 0
    }
    return 12 + line("Nats-Msg-Id", key) + line("Parley-Instance", instance) + line("Parley-To", to)
      + line("Parley-Attributes", attributes)
  }
}

extension SeamError.Code {
  /// After a message was sent, this says nothing about whether it was stored.
  fileprivate var isOpenAfterSending: Bool {
    switch self {
    case .unavailable, .timedOut, .cancelled: true
    default: false
    }
  }
}
