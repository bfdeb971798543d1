import ParleyRuntime

/// Which messages of a stream to read.
struct ReadRange: Hashable, Sendable {
  /// The first sequence number.
  var from: UInt64
  /// The last one.
  var through: UInt64
  /// At most this many messages, counted from the first.
  var count: Int
}

extension NATSBackend {
  /// About this many bytes are read at once.
  static let pageBytes = 1 << 20
  /// Messages that are asked for at once where each takes a request.
  private static let requestsAtOnce = 256

  /// The first messages of a range, ascending: at least one where there is any, but not always all that fit.
  ///
  /// One request for all where stream and server allow it; else one for each, all of them sent at once.
  func read(
    _ names: TopicNames, _ session: NATSSession, _ facts: StreamFacts, _ range: ReadRange, deadline: LoopInstant
  ) async throws(SeamError) -> [StoredMessage] {
    guard range.from <= range.through, range.count > 0 else { return [] }
    if session.hasBatches, facts.allowsDirect {
      let ticket = try askBatch(names, session, range)
      let found = try await batch(session, ticket, deadline: deadline).prefix { $0.sequence <= range.through }
      if !found.isEmpty { return Array(found) }
      // None, says a server that may lag behind the one that leads: asked below.
    }
    return try await readEach(names, session, facts, range, deadline: deadline)
  }

  /// Sends the request for many messages at once.
  func askBatch(_ names: TopicNames, _ session: NATSSession, _ range: ReadRange) throws(SeamError) -> UInt64 {
    let count = Int(clamping: min(UInt64(range.count), range.through - range.from + 1))
    let request = JetStreamAPI.batch(from: range.from, count: count, bytes: Self.pageBytes)
    do throws(NATSFailure) {
      return try session.ask(api.directMessage(names.stream), request, inParts: true)
    } catch {
      throw error.seamError("read \(names.stream)")
    }
  }

  /// What came of it; nothing where the stream does not answer direct gets any more, or not in time.
  func batch(
    _ session: NATSSession, _ ticket: UInt64, deadline: LoopInstant
  ) async throws(SeamError) -> [StoredMessage] {
    let patience = min(deadline, loop.now.advanced(by: Self.asksAgain))
    do throws(SeamError) {
      guard case .batch(let found) = try await reply(session, ticket, deadline: patience, operation: "read") else {
        return []
      }
      return found
    } catch {
      // The leader is asked next.
      guard error.code == .timedOut, loop.now < deadline else { throw error }
      return []
    }
  }

  private func readEach(
    _ names: TopicNames, _ session: NATSSession, _ facts: StreamFacts, _ range: ReadRange, deadline: LoopInstant
  ) async throws(SeamError) -> [StoredMessage] {
    var next = range.from
    while next <= range.through {
      let average = max(1, Int(facts.bytes / max(facts.messages, 1)))
      let fitting = max(1, Self.pageBytes * 5 / 4 / average)
      let count = UInt64(min(range.count, Self.requestsAtOnce, fitting))
      let end = min(range.through, next + count - 1)
      let found = try await get(names, session, next...end, deadline: deadline)
      if !found.isEmpty { return found }
      // A hole as long as that: the server knows where it ends.
      guard let beyond = try await first(names, session, from: end + 1, deadline: deadline) else { return [] }
      next = beyond.sequence
    }
    return []
  }

  private func get(
    _ names: TopicNames, _ session: NATSSession, _ numbers: ClosedRange<UInt64>, deadline: LoopInstant
  ) async throws(SeamError) -> [StoredMessage] {
    var tickets: [UInt64] = []
    do throws(NATSFailure) {
      for number in numbers {
        tickets.append(
          try session.ask(api.message(names.stream), JetStreamAPI.get(number, orNext: false)))
      }
    } catch {
      tickets.forEach { session.forget($0) }
      throw error.seamError("read \(names.stream)")
    }
    var found: [StoredMessage] = []
    for (index, ticket) in tickets.enumerated() {
      do throws(SeamError) {
        if let message = try await message(names, session, ticket, deadline: deadline) { found.append(message) }
      } catch {
        tickets[(index + 1)...].forEach { session.forget($0) }
        throw error
      }
    }
    return found
  }

  /// The first message at or after a number.
  private func first(
    _ names: TopicNames, _ session: NATSSession, from sequence: UInt64, deadline: LoopInstant
  ) async throws(SeamError) -> StoredMessage? {
    let ticket: UInt64
    do throws(NATSFailure) {
      ticket = try session.ask(api.message(names.stream), JetStreamAPI.get(sequence, orNext: true))
    } catch {
      throw error.seamError("read \(names.stream)")
    }
    return try await message(names, session, ticket, deadline: deadline)
  }

  private func message(
    _ names: TopicNames, _ session: NATSSession, _ ticket: UInt64, deadline: LoopInstant
  ) async throws(SeamError) -> StoredMessage? {
    let operation = "read \(names.stream)"
    let answer = try await answer(session, ticket, deadline: deadline, operation: operation)
    do throws(JetStreamFailure) {
      let reply = try JetStreamAPI.reply(answer.data)
      guard let message = StoredMessage(reply: reply) else {
        throw JetStreamFailure(code: 500, number: 0, text: "the server's answer is no message")
      }
      return message
    } catch {
      if error.isMessageMissing || error.isStreamMissing { return nil }
      throw error.seamError(operation)
    }
  }
}
