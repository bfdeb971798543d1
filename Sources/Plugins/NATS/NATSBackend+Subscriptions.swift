import ParleyRuntime

extension NATSBackend {
  /// Messages that are asked for ahead, and how few may be left before more are.
  private static let pull = (batch: 256, low: 128)
  /// How long one pull lasts; then the next is asked for.
  private static let pullExpires = Duration.seconds(600)
  /// How long the server keeps a consumer that nobody asks.
  private static let lingers = Duration.seconds(60)
  /// A consumer may take so long to be made.
  private static let patience = Duration.seconds(5)
  /// After so many attempts without a delivery the session is given up, so that health shows why.
  private static let attempts = 6

  /// Delivers what follows the cursor by a consumer that starts at a sequence number; see `Backend.subscribe`.
  ///
  /// Returns when the consumer stands, or when it is known that the topic has no stream yet.
  public func subscribe(
    _ topic: Topic, after cursor: Cursor, sink: @escaping Sink
  ) async throws(SeamError) -> SubscriptionID {
    let session = try connected("subscribe")
    lastNumber += 1
    let reader = try LiveReader(
      id: SubscriptionID(lastNumber), topic: topic, names: names(of: topic), after: cursor, sink: sink)
    session.readers[reader.id] = reader
    do throws(SeamError) {
      try await establish(reader, session, attempt: begin(reader))
      guard self.session === session else {
        throw SeamError(.unavailable, operation: "subscribe", cause: "the session ended meanwhile")
      }
    } catch {
      unsubscribe(reader.id)
      throw error
    }
    return reader.id
  }

  /// Reads on from where the sink paused.
  public func resume(_ subscription: SubscriptionID) {
    guard let session, let reader = session.readers[subscription], case .paused = reader.state else { return }
    start(reader, session)
  }

  /// Ends the subscription and its consumer.
  public func unsubscribe(_ subscription: SubscriptionID) {
    guard let session, let reader = session.readers.removeValue(forKey: subscription) else { return }
    stop(reader, session)
    reader.state = .ended
  }

  // MARK: Making a consumer

  private func begin(_ reader: LiveReader) -> UInt64 {
    reader.attempts += 1
    reader.state = .starting(attempt: reader.attempts)
    return reader.attempts
  }

  /// Makes a consumer from the reader's place on, in a task of its own.
  func start(_ reader: LiveReader, _ session: NATSSession) {
    stop(reader, session)
    let attempt = begin(reader)
    loop.spawn { await self.startNow(reader, session, attempt: attempt) }
  }

  private func startNow(_ reader: LiveReader, _ session: NATSSession, attempt: UInt64) async {
    do throws(SeamError) {
      try await establish(reader, session, attempt: attempt)
    } catch {
      guard self.session === session, reader.isStarting(attempt) else { return }
      reader.failures += 1
      guard reader.failures < Self.attempts else { return lose(session, error) }
      startLater(reader, session, after: pause(reader))
    }
  }

  /// A pause that grows with the failures, from 50 ms to 800 ms.
  private func pause(_ reader: LiveReader) -> Duration { .milliseconds(50 << min(max(reader.failures - 1, 0), 4)) }

  private func startLater(_ reader: LiveReader, _ session: NATSSession, after pause: Duration) {
    let attempt = begin(reader)
    loop.schedule(after: pause) { [weak self] in
      self?.assumeIsolated { backend in
        guard backend.session === session, reader.isStarting(attempt) else { return }
        backend.start(reader, session)
      }
    }
  }

  /// One attempt. The stream is looked at again when the consumer stands: from then on, a new incarnation of it would
  /// take the consumer with it.
  private func establish(_ reader: LiveReader, _ session: NATSSession, attempt: UInt64) async throws(SeamError) {
    let deadline = loop.now.advanced(by: Self.patience)
    func isOver() -> Bool { self.session !== session || !reader.isStarting(attempt) }
    guard var facts = try await stream(reader.names, session, deadline: deadline) else {
      if !isOver() { awaitStream(reader, session) }
      return
    }
    if ResolvedPlace.isBehind(reader.place, in: facts) {
      // A new leader may not have caught up with itself: asked again before the log is called rolled back.
      await loop.sleep(for: .milliseconds(250))
      guard let again = try await stream(reader.names, session, deadline: deadline) else {
        if !isOver() { awaitStream(reader, session) }
        return
      }
      facts = again
    }
    guard !isOver() else { return }
    let planned = ResolvedPlace(reader.place, in: facts)
    session.lastConsumer += 1
    let number = session.lastConsumer
    let name = session.consumerPrefix + String(number)
    _ = try await request(
      session, api.createConsumer(reader.names.stream, name),
      JetStreamAPI.consumer(reader.names, name: name, from: planned.start, lingers: Self.lingers), deadline: deadline,
      operation: "read \(reader.names.stream) live")
    let now = try await stream(reader.names, session, deadline: deadline)
    guard !isOver() else { return remove(name, reader.names, session) }
    guard let now, now.generation == facts.generation else {
      remove(name, reader.names, session)
      return start(reader, session)
    }
    // What left the stream while the consumer was made is a gap too.
    let resolved = ResolvedPlace(reader.place, in: now)
    if let gap = resolved.gap(reader.topic, from: reader.cursor, in: now) {
      reader.place = LogPlace(generation: now.generation, sequence: resolved.start - 1)
      reader.cursor = gap.to
      let demand = reader.sink(.gap(gap))
      guard !isOver() else { return remove(name, reader.names, session) }
      if demand == .pause {
        reader.state = .paused
        return remove(name, reader.names, session)
      }
    }
    reader.place.generation = now.generation
    reader.promises = 0
    let heartbeat = heartbeat(session)
    let consumer = LiveConsumer(
      number: number, name: name, generation: now.generation, expecting: resolved.start, heartbeat: heartbeat,
      now: loop.now)
    reader.state = .reading(consumer)
    session.routes[number] = reader
    pull(consumer, reader, session)
  }

  /// There was no stream when we looked: waits for word of one. After that, it is looked for again within 1.3 s.
  private func awaitStream(_ reader: LiveReader, _ session: NATSSession) {
    guard reader.promises > 0 else {
      reader.state = .absent
      return
    }
    reader.promises -= 1
    startLater(reader, session, after: .milliseconds(5 << (LiveReader.promisesOfWord - 1 - reader.promises)))
  }

  /// Short where there are few subscriptions; with a thousand, twenty heartbeats a second in all.
  private func heartbeat(_ session: NATSSession) -> Duration {
    max(min(options.watchdog / 4, .seconds(2)), .milliseconds(50 * session.readers.count))
  }

  private func pull(_ consumer: LiveConsumer, _ reader: LiveReader, _ session: NATSSession) {
    let request = JetStreamAPI.pull(Self.pull.batch, expires: Self.pullExpires, heartbeat: consumer.heartbeat)
    consumer.outstanding += Self.pull.batch
    consumer.asked = loop.now
    let reply = session.inbox + "c\(consumer.number)"
    do throws(NATSFailure) {
      try session.handle.publish(request, to: api.next(reader.names.stream, consumer.name), reply: reply)
    } catch {
      // The connection's end tells the session.
      consumer.outstanding = 0
    }
  }

  /// Forgets the reader's consumer and lets the server forget it.
  private func stop(_ reader: LiveReader, _ session: NATSSession) {
    guard let consumer = reader.consumer else { return }
    session.routes[consumer.number] = nil
    remove(consumer.name, reader.names, session)
  }

  private func remove(_ consumer: String, _ names: TopicNames, _ session: NATSSession) {
    // Nobody waits for the answer; a consumer that is not deleted goes by itself when nobody asks it.
    let subject = api.deleteConsumer(names.stream, consumer)
    do throws(NATSFailure) { try session.handle.publish([], to: subject, reply: session.inbox + "x") } catch { return }
  }

  // MARK: What consumers deliver

  /// One message of a consumer, on the push path.
  func deliver(_ stored: StoredMessage, _ delivered: Delivered, _ session: NATSSession) {
    guard let number = session.consumer(named: delivered.consumer), let reader = session.routes[number],
      let consumer = reader.consumer
    else { return }
    consumer.heard = session.heard
    consumer.outstanding -= 1
    reader.failures = 0
    let expected = consumer.progress.expected
    switch consumer.progress.arrived(delivered.sequence, consumerSequence: delivered.consumerSequence) {
    case .repeated: return
    case .missed: return start(reader, session)
    case .next: break
    case .afterHole:
      guard tellHole(reader, consumer, from: expected, to: delivered.sequence - 1, session) else { return }
    }
    reader.place = LogPlace(generation: consumer.generation, sequence: delivered.sequence)
    guard stored.belongs(to: reader.names) else { return pullMore(consumer, reader, session) }
    let message = WireFormat.message(stored, reader.topic, generation: consumer.generation)
    let isCopy = seenKeys.isCopy(
      message, key: stored.headers.key, stream: reader.names.stream, generation: consumer.generation,
      at: delivered.sequence)
    guard !isCopy else { return pullMore(consumer, reader, session) }
    reader.cursor = message.cursor
    if hand(.message(message), to: reader, consumer, session) { pullMore(consumer, reader, session) }
  }

  private func tellHole(
    _ reader: LiveReader, _ consumer: LiveConsumer, from first: UInt64, to last: UInt64, _ session: NATSSession
  ) -> Bool {
    let gap = Gap(
      topic: reader.topic, from: reader.cursor, to: LogPlace.cursor(consumer.generation, last),
      reason: "messages \(first) to \(last) have left the stream", isCertain: true)
    reader.place = LogPlace(generation: consumer.generation, sequence: last)
    reader.cursor = gap.to
    return hand(.gap(gap), to: reader, consumer, session)
  }

  /// Gives a delivery to the sink; false when the reader does not go on with this consumer.
  private func hand(
    _ delivery: Delivery, to reader: LiveReader, _ consumer: LiveConsumer, _ session: NATSSession
  ) -> Bool {
    let demand = reader.sink(delivery)
    // The sink may have unsubscribed.
    guard reader.consumer === consumer else { return false }
    guard demand == .pause else { return true }
    stop(reader, session)
    reader.state = .paused
    return false
  }

  private func pullMore(_ consumer: LiveConsumer, _ reader: LiveReader, _ session: NATSSession) {
    if consumer.outstanding <= Self.pull.low { pull(consumer, reader, session) }
  }

  /// What a consumer says of itself.
  func consumerSays(_ status: ConsumerStatus, _ number: UInt64, _ session: NATSSession) {
    guard let reader = session.routes[number], let consumer = reader.consumer else { return }
    consumer.heard = session.heard
    switch status {
    case .heartbeat(let delivered):
      if delivered > consumer.progress.delivered { start(reader, session) }
    case .pullEnded(let remaining):
      consumer.outstanding = max(0, consumer.outstanding - remaining)
      pullMore(consumer, reader, session)
    case .broken:
      // Deleted, moved to another leader, or shut down: made again from the last message on.
      stop(reader, session)
      reader.failures += 1
      if reader.failures <= 1 { start(reader, session) } else { startLater(reader, session, after: pause(reader)) }
    case .other: break
    }
  }

  /// Another server leads the stream: its consumers may be gone with the one that led.
  func leaderChanged(_ name: String, _ session: NATSSession) {
    for reader in Array(session.routes.values) where reader.names.streamName == StreamName(name) {
      start(reader, session)
    }
  }

  /// Makes consumers again that were asked just now and have not been heard since: one of them may be gone.
  func restartFresh(_ session: NATSSession) {
    let now = loop.now
    for reader in Array(session.routes.values) {
      guard let consumer = reader.consumer, consumer.asked > consumer.heard,
        consumer.asked.duration(to: now) < .seconds(1)
      else { continue }
      start(reader, session)
    }
  }

  /// Makes silent consumers again, and looks for topics that had no stream.
  func lookAfterReaders(_ session: NATSSession) {
    let now = loop.now
    for reader in Array(session.routes.values) {
      guard let consumer = reader.consumer else { continue }
      if consumer.heard.duration(to: now) > consumer.heartbeat * 5 / 2 { start(reader, session) }
    }
    let absent = session.readers.values.filter(\.isAbsent)
    // A stream that was there may be back without word of it: recovered with its server, or its cluster.
    let isUrgent = !session.hasAdvisories || absent.contains(where: \.hasSeenStream)
    guard !absent.isEmpty, session.lookedForStreams.duration(to: now) >= (isUrgent ? .seconds(2) : .seconds(30)) else {
      return
    }
    session.lookedForStreams = now
    loop.spawn { await self.lookForStreams(session) }
  }
}
