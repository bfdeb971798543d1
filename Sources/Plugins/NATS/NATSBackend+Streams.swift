import ParleyRuntime

extension NATSBackend {
  /// How long a look-up or the making of a stream may take, whoever waits for it.
  private static let patience = Duration.seconds(10)

  /// After so long a question that nobody has answered is asked again: in a cluster that elects a leader it is lost.
  static let asksAgain = Duration.seconds(2)

  /// The stream as it is now; nil where the topic has none.
  func stream(
    _ names: TopicNames, _ session: NATSSession, deadline: LoopInstant
  ) async throws(SeamError) -> StreamFacts? {
    while true {
      let patience = min(deadline, loop.now.advanced(by: Self.asksAgain))
      let ticket: UInt64
      do throws(NATSFailure) { ticket = try session.ask(api.streamInfo(names.stream), []) } catch {
        throw error.seamError("look for stream \(names.stream)")
      }
      do throws(SeamError) {
        return try await stream(names, session, ticket: ticket, deadline: patience)
      } catch {
        guard error.code == .timedOut, loop.now < deadline, self.session === session else { throw error }
      }
    }
  }

  /// The answer to a request for a stream's facts that was sent already.
  func stream(
    _ names: TopicNames, _ session: NATSSession, ticket: UInt64, deadline: LoopInstant
  ) async throws(SeamError) -> StreamFacts? {
    let operation = "look for stream \(names.stream)"
    do throws(SeamError) {
      let answer = try await answer(session, ticket, deadline: deadline, operation: operation)
      do throws(JetStreamFailure) {
        return try known(JetStreamAPI.reply(answer.data), names, session, operation)
      } catch {
        throw error.seamError(operation)
      }
    } catch {
      guard error.code == .noSuchTopic else { throw error }
      guard error.native != 503 else {
        throw SeamError(.unavailable, native: 503, operation: operation, cause: "JetStream does not answer")
      }
      session.forget(names.streamName)
      return nil
    }
  }

  private func known(
    _ reply: JSONSlice, _ names: TopicNames, _ session: NATSSession, _ operation: String
  ) throws(JetStreamFailure) -> StreamFacts {
    guard let facts = StreamFacts(reply) else {
      throw JetStreamFailure(code: 500, number: 0, text: "the server's answer is no stream's")
    }
    session.streams[names.streamName] = facts
    if let version = facts.serverVersion { note("version", ServerVersion(version)?.warning) }
    return facts
  }

  /// The topic's stream, made where there is none. Many callers share one look.
  func ensureStream(
    _ names: TopicNames, _ session: NATSSession, deadline: LoopInstant
  ) async throws(SeamError) -> StreamFacts {
    let name = names.streamName
    if let known = session.streams[name] { return known }
    let waiters = session.ensuring[name] ?? Waiters(loop: loop)
    let ticket = waiters.ticket()
    if session.ensuring[name] == nil {
      session.ensuring[name] = waiters
      loop.spawn { await self.ensure(names, session, waiters) }
    }
    switch await waiters.wait(ticket, until: deadline) {
    case .value(let result): return try result.get()
    case .timedOut:
      throw SeamError(.timedOut, operation: "post", cause: "the stream was not found in time; nothing is stored")
    case .cancelled: throw SeamError(.cancelled, operation: "post", cause: "the caller cancelled; nothing is stored")
    }
  }

  private func ensure(
    _ names: TopicNames, _ session: NATSSession, _ waiters: Waiters<Result<StreamFacts, SeamError>>
  ) async {
    let result: Result<StreamFacts, SeamError>
    let deadline = loop.now.advanced(by: Self.patience)
    do throws(SeamError) {
      if let found = try await stream(names, session, deadline: deadline) {
        result = .success(found)
      } else {
        result = .success(try await make(names, session, deadline: deadline))
      }
    } catch {
      result = .failure(error)
    }
    session.ensuring[names.streamName] = nil
    waiters.resumeAll(result)
  }

  private func make(
    _ names: TopicNames, _ session: NATSSession, deadline: LoopInstant
  ) async throws(SeamError) -> StreamFacts {
    let operation = "make stream \(names.stream)"
    let ticket: UInt64
    do throws(NATSFailure) {
      ticket = try session.ask(api.createStream(names.stream), JetStreamAPI.stream(names, options))
    } catch {
      throw error.seamError(operation)
    }
    let answer = try await answer(session, ticket, deadline: deadline, operation: operation)
    do throws(JetStreamFailure) {
      return try known(JetStreamAPI.reply(answer.data), names, session, operation)
    } catch {
      // Another process made it between our look and our making, with settings of its own.
      if error.isNameTaken, let found = try await stream(names, session, deadline: deadline) { return found }
      throw error.seamError(operation)
    }
  }

  /// A stream was made, by whomever: what was known of an earlier one is no longer, and readers may wait for it.
  func streamMade(_ name: String, _ session: NATSSession) {
    session.forget(StreamName(name))
    for reader in session.readers.values where reader.names.streamName == StreamName(name) {
      reader.promises = LiveReader.promisesOfWord
      if reader.isAbsent { start(reader, session) }
    }
  }

  /// Looks for the streams of topics that had none, for accounts and clusters in which nobody tells.
  func lookForStreams(_ session: NATSSession) async {
    var offset = 0
    while self.session === session {
      let deadline = loop.now.advanced(by: Self.patience)
      let reply: JSONSlice
      do throws(SeamError) {
        reply = try await request(
          session, api.streamNames, JetStreamAPI.names(offset: offset), deadline: deadline, operation: "list streams")
      } catch {
        return
      }
      let page = (reply.member("streams") ?? .emptyObject).elements.compactMap(\.string)
      let names = Set(page.map { StreamName($0) })
      for reader in session.readers.values where reader.isAbsent && names.contains(reader.names.streamName) {
        start(reader, session)
      }
      offset += page.count
      guard !page.isEmpty, offset < Int(reply.member("total")?.int ?? 0) else { return }
    }
  }
}

/// A server's version, and what is known to be wrong with it.
public struct ServerVersion: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Major, minor and patch number.
  public let numbers: [Int]

  /// Reads `2.10.22`, whatever follows the numbers; nil for what is no version.
  public init?(_ text: String) {
    let parts = text.split(separator: "-").first?.split(separator: ".").compactMap { Int($0) } ?? []
    guard parts.count == 3 else { return nil }
    numbers = parts
  }

  public static func < (a: ServerVersion, b: ServerVersion) -> Bool {
    a.numbers.lexicographicallyPrecedes(b.numbers)
  }

  public var description: String { numbers.map(String.init).joined(separator: ".") }

  /// What people should know; nil where nothing is known.
  public var warning: String? {
    switch numbers {
    case let numbers where numbers.lexicographicallyPrecedes([2, 9, 0]):
      "nats-server \(self) is too old: Parley needs 2.9, and 2.10.23 or later not to lose streams"
    case let numbers where numbers.lexicographicallyPrecedes([2, 10, 23]):
      "nats-server \(self) can lose whole streams when it is killed (nats-server#6888); 2.10.23 does not"
    default: nil
    }
  }
}
