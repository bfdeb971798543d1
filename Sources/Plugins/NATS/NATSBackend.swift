import CNats
import ParleyRuntime

/// A parley on NATS JetStream: one stream for each topic, one connection for everything.
///
/// cnats frames and writes, the loop moves its bytes. Every request is asked and answered on one inbox of ours, so that
/// nothing here ever blocks but the dialling, which has a thread of its own for as long as it takes.
public actor NATSBackend: Backend {
  /// Where the actor runs.
  public nonisolated let loop: EventLoop
  let options: NATSOptions
  /// The servers, as people are told of them.
  private let location: String
  let api: JetStreamAPI
  var session: NATSSession?
  /// Counts connections, so that word of an earlier one is not taken for this one's.
  private var epoch: UInt64 = 0
  /// The connection ended before `connect` returned.
  private var earlyEnd: NATSFailure?
  var lastNumber: UInt64 = 0
  var seenKeys = SeenKeys()
  var doubtful = DoubtfulKeys()
  /// Servers that the cluster told of, for the next connection.
  private var discovered: [String] = []
  private(set) var contentLimit: Int?
  /// Names that were folded already, 4,096 at most.
  private var knownNames: [Topic: TopicNames] = [:]
  private var lastTimestamp: (milliseconds: Int64, text: String) = (-1, "")
  private var lastAuthor: WireFormat.AuthorHeaders?
  private var notes: [String: String] = [:]

  /// What of the server's limit is kept for everything but the content.
  private static let envelope = 16_384

  /// Makes a backend on `loop`; nothing is opened before `connect`.
  public init(loop: EventLoop, options: NATSOptions) {
    self.loop = loop
    self.options = options
    location = options.servers.map { ServerAddress($0).text }.joined(separator: ", ")
    api = JetStreamAPI(domain: options.domain)
  }

  /// The version of the library that talks to the server.
  public static var libraryVersion: String { NATSHandle.libraryVersion }

  /// `durability` is that of streams that we make; `contentLimit` is known after the first connection.
  public var traits: BackendTraits {
    let durability: Durability =
      options.replicas > 1 ? .replicated(options.replicas / 2 + 1) : options.storage == .file ? .written : .unknown
    return BackendTraits(
      name: "nats", location: location, durability: durability, contentLimit: contentLimit,
      keyWindow: .atLeast(options.keyWindow),
      retention: options.retention,
      notes: notes.sorted { $0.key < $1.key }.map(\.value))
  }

  // MARK: Session

  /// Connects to the first server that lets us in, and looks whether JetStream is there; see `Backend.connect`.
  public func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    guard session == nil else {
      throw SeamError(.invalidRequest, operation: "connect", cause: "it is connected already")
    }
    try options.validate()
    epoch += 1
    let epoch = epoch
    earlyEnd = nil
    let events = ConnectionEvents(loop: loop)
    events.onEvent = { [weak self] event in self?.assumeIsolated { $0.happened(event, epoch: epoch) } }
    let handle = try await dial(events)
    guard epoch == self.epoch, session == nil else {
      handle.close()
      throw SeamError(.unavailable, operation: "connect", cause: "disconnected while connecting")
    }
    let opened = NATSSession(handle: handle, inboxPrefix: options.inboxPrefix, loop: loop, lost: lost)
    session = opened
    do throws(SeamError) {
      try open(opened, epoch: epoch)
      if let earlyEnd { throw earlyEnd.seamError("connect") }
      try await inspect(opened)
      guard session === opened else {
        throw SeamError(.unavailable, operation: "connect", cause: "disconnected while connecting")
      }
    } catch {
      close(opened, error)
      throw error
    }
    opened.isReady = true
    beat(opened)
    // Later ones tell their version with every stream.
    if !opened.hasBatches { loop.spawn { await self.noteVersion(opened) } }
  }

  private func dial(_ events: ConnectionEvents) async throws(SeamError) -> NATSHandle {
    var servers = options.servers.map { ServerAddress($0) }
    let name = servers.first?.certificateName
    servers += discovered.filter { url in !servers.contains { $0.url == url } }.map {
      ServerAddress($0, certificateName: name)
    }
    // So that the clients of a cluster spread over it.
    for index in servers.indices.dropLast() {
      servers.swapAt(index, index + Int(loop.random() % UInt64(servers.count - index)))
    }
    // TLS is made ready only where it is needed: OpenSSL reads every authority of the system for it, which takes longer
    // than all the rest of connecting. Who could lie here could as well not ask for TLS at all.
    if options.tls == NATSOptions.TLS(), let first = servers.first, !first.asksForTLS {
      let greeting = await Greeting.read(first, loop: loop, within: options.connectTimeout)
      servers[0].isClear = greeting?.requiresTLS == false
    }
    let thread: EventLoop
    do throws(SystemError) { thread = try EventLoop.thread(named: "nats-dial") } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: "connect", cause: error.description)
    }
    let dialled = Waiters<Result<NATSHandle, SeamError>>(loop: loop)
    let ticket = dialled.ticket()
    let (loop, options, candidates) = (loop, options, servers)
    thread.execute {
      let result = Dialer.dial(candidates, options, events: events)
      // A connection that nobody waits for any more is closed when the last reference to it goes, on the loop.
      loop.execute { dialled.resume(ticket, result) }
    }
    thread.stop()
    switch await dialled.wait(ticket, until: nil) {
    case .value(let result): return try result.get()
    case .cancelled, .timedOut:
      throw SeamError(.cancelled, operation: "connect", cause: "cancelled while connecting")
    }
  }

  /// Lets messages in, on the one inbox.
  private func open(_ session: NATSSession, epoch: UInt64) throws(SeamError) {
    let inbox = Array(session.inbox.utf8)
    do throws(SystemError) {
      try session.handle.start(
        NATSHandle.Receiver(
          message: { [weak self] message in
            let incoming = Incoming(message, inbox: inbox)
            self?.assumeIsolated { $0.take(incoming, epoch: epoch) }
          },
          nobody: { [weak self] in self?.assumeIsolated { $0.nobodyAnswered(epoch: epoch) } }))
    } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: "connect", cause: error.description)
    }
    do throws(NATSFailure) {
      try session.handle.subscribe(session.inbox + ">")
      for subject in JetStreamAPI.streamAdvisories { try session.handle.subscribe(subject) }
    } catch {
      throw error.seamError("subscribe to our inbox")
    }
    discovered = session.handle.discoveredServers
    let payload = session.handle.maximumPayload
    contentLimit = payload - min(Self.envelope, payload / 4)
  }

  /// Asks whether JetStream is there for us. An account that may not ask is believed to have it.
  private func inspect(_ session: NATSSession) async throws(SeamError) {
    let deadline = loop.now.advanced(by: max(options.connectTimeout, .seconds(2)))
    do throws(SeamError) {
      let reply = try await request(session, api.accountInfo, [], deadline: deadline, operation: "look for JetStream")
      session.hasBatches = (reply.member("api")?.member("level")?.int ?? 0) >= 1
    } catch {
      switch error.code {
      case .forbidden where self.session === session: return
      case .noSuchTopic, .timedOut:
        throw SeamError(
          error.code == .timedOut ? .unavailable : .unsupported, operation: "look for JetStream",
          cause: error.code == .timedOut
            ? "the server does not answer"
            : "nobody answers on \(api.accountInfo): JetStream is not enabled"
              + (options.domain.map { " in the domain \($0)" } ?? ""))
      default: throw error
      }
    }
  }

  /// Ends the session; posts that were sent and not answered end as `outcomeUnknown`.
  public func disconnect() async {
    epoch += 1
    guard let session else { return }
    close(session, SeamError(.unavailable, operation: "disconnect", cause: "disconnected"))
  }

  private func close(_ ended: NATSSession, _ error: SeamError) {
    guard session === ended else { return }
    session = nil
    epoch += 1
    if let pulse = ended.pulse { loop.cancel(pulse) }
    for reader in ended.readers.values { reader.state = .ended }
    ended.readers = [:]
    ended.routes = [:]
    ended.end(error)
    ended.handle.close()
  }

  /// The session is over by itself.
  func lose(_ ended: NATSSession, _ error: SeamError) {
    guard session === ended else { return }
    let wasReady = ended.isReady
    close(ended, error)
    // Before that, `connect` throws.
    if wasReady { ended.lost(error) }
  }

  func connected(_ operation: String) throws(SeamError) -> NATSSession {
    guard let session, session.isReady else {
      throw SeamError(.unavailable, operation: operation, cause: "not connected")
    }
    return session
  }

  /// The topic's subject and stream.
  func names(of topic: Topic) -> TopicNames {
    if let known = knownNames[topic] { return known }
    if knownNames.count >= 4096 { knownNames = [:] }
    let names = TopicNames(topic, options)
    knownNames[topic] = names
    return names
  }

  /// Now, as payloads say it; posts of one millisecond share the text.
  func timestamp() -> String {
    let now = loop.wallClockMilliseconds
    if lastTimestamp.milliseconds != now { lastTimestamp = (now, Timestamp.text(now)) }
    return lastTimestamp.text
  }

  /// What the headers of all posts of an author share; a process mostly has one.
  func headers(of author: Author) -> WireFormat.AuthorHeaders {
    if let lastAuthor, lastAuthor.author == author { return lastAuthor }
    let made = WireFormat.AuthorHeaders(author)
    lastAuthor = made
    return made
  }

  func note(_ key: String, _ text: String?) { notes[key] = text }

  // MARK: What comes

  private func happened(_ event: ConnectionEvent, epoch: UInt64) {
    guard epoch == self.epoch else { return }
    guard let session else {
      if case .closed(let failure) = event { earlyEnd = failure }
      return
    }
    switch event {
    case .closed(let failure): lose(session, failure.seamError("session with \(traits.location)"))
    case .refused(let failure): refused(failure, session)
    case .lameDuck: leave(session)
    }
  }

  private func refused(_ failure: NATSFailure, _ session: NATSSession) {
    guard let subject = failure.refusedSubject else { return }
    let error = failure.seamError("use \(subject)")
    if subject.hasPrefix("$JS.EVENT.") {
      session.hasAdvisories = false
      note("advisories", "the account may not listen to \(subject): new topics are noticed after up to 2 s")
    } else if failure.refusesSubscription {
      lose(session, error)
    } else {
      session.refuse(subject, error)
    }
  }

  /// A server that is about to go: another one is looked for once the posts in flight are answered.
  private func leave(_ session: NATSSession) {
    discovered = session.handle.discoveredServers
    // With a single server there is nowhere to go before it is gone.
    guard options.servers.count + discovered.count > 1, !session.isLeaving else { return }
    session.isLeaving = true
    leaveWhenIdle(session, until: loop.now.advanced(by: .seconds(1)))
  }

  private func leaveWhenIdle(_ session: NATSSession, until deadline: LoopInstant) {
    guard self.session === session else { return }
    guard session.gate.isEmpty || loop.now >= deadline else {
      loop.schedule(after: .milliseconds(10)) { [weak self] in
        self?.assumeIsolated { $0.leaveWhenIdle(session, until: deadline) }
      }
      return
    }
    lose(
      session,
      SeamError(.unavailable, operation: "session with \(traits.location)", cause: "the server is about to shut down"))
  }

  /// One message, on the push path: nothing here suspends.
  private func take(_ incoming: Incoming, epoch: UInt64) {
    guard let session, epoch == self.epoch else { return }
    session.heard = loop.now
    session.askedForLife = nil
    switch incoming {
    case .delivery(let delivered, let message): deliver(message, delivered, session)
    case .answer(let ticket, let answer): session.take(answer, ticket)
    case .status(let number, let status): consumerSays(status, number, session)
    case .streamMade(let stream): streamMade(stream, session)
    case .streamDeleted(let stream): session.streamDeleted(StreamName(stream))
    case .leaderElected(let stream): leaderChanged(stream, session)
    case .other: break
    }
  }

  /// Nobody listens to something that was sent, and cnats does not tell what it was: whatever it may have been is ended
  /// or looked at again.
  private func nobodyAnswered(epoch: UInt64) {
    guard let session, epoch == self.epoch else { return }
    session.heard = loop.now
    for (ticket, request) in session.asked where !session.isReady || request.parts != nil {
      session.resolve(ticket, .answer(.nobody))
    }
    verifyPosts(session)
    restartFresh(session)
  }

  // MARK: Signs of life

  /// Looks eight times within the watchdog's time whether server and consumers are there.
  private func beat(_ session: NATSSession) {
    let interval = options.watchdog / 8
    session.pulse = loop.schedule(after: interval) { [weak self] in
      self?.assumeIsolated { backend in
        guard backend.session === session else { return }
        backend.lookForLife(session)
        if backend.session === session { backend.beat(session) }
      }
    }
  }

  private func lookForLife(_ session: NATSSession) {
    let now = loop.now
    if let asked = session.askedForLife {
      guard asked.duration(to: now) < options.watchdog / 2 else {
        return lose(
          session,
          SeamError(
            .unavailable, operation: "session with \(traits.location)",
            cause: "the server has been silent for \(session.heard.duration(to: now).milliseconds) ms, though asked"))
      }
    } else if session.heard.duration(to: now) >= options.watchdog / 2 {
      session.askedForLife = now
      // To ourselves, by way of the server.
      do throws(NATSFailure) { try session.handle.publish([], to: session.inbox + "e") } catch {
        return lose(session, error.seamError("session with \(traits.location)"))
      }
    }
    lookAfterReaders(session)
  }

  // MARK: Requests

  /// Asks, and waits for the one reply. Throws what the server or the way to it refuse; 503 as `noSuchTopic`.
  func request(
    _ session: NATSSession, _ subject: String, _ data: [UInt8], deadline: LoopInstant, operation: String
  ) async throws(SeamError) -> JSONSlice {
    let ticket: UInt64
    do throws(NATSFailure) { ticket = try session.ask(subject, data) } catch { throw error.seamError(operation) }
    let answer = try await answer(session, ticket, deadline: deadline, operation: operation)
    do throws(JetStreamFailure) { return try JetStreamAPI.reply(answer.data) } catch {
      throw error.seamError(operation)
    }
  }

  /// Waits for a reply in one part.
  func answer(
    _ session: NATSSession, _ ticket: UInt64, deadline: LoopInstant, operation: String
  ) async throws(SeamError) -> Answer {
    guard case .answer(let answer) = try await reply(session, ticket, deadline: deadline, operation: operation) else {
      throw SeamError(.unavailable, operation: operation, cause: "the server's answer has an unknown form")
    }
    if answer.status == 503 {
      throw SeamError(.noSuchTopic, native: 503, operation: operation, cause: "nobody answers there")
    }
    return answer
  }

  func reply(
    _ session: NATSSession, _ ticket: UInt64, deadline: LoopInstant, operation: String
  ) async throws(SeamError) -> NATSSession.Reply {
    let outcome = await session.replies.wait(ticket, until: deadline)
    session.asked[ticket] = nil
    switch outcome {
    case .value(.failed(let error)): throw error
    case .value(let reply): return reply
    case .timedOut:
      throw SeamError(.timedOut, operation: operation, cause: "the server has not answered by the deadline")
    case .cancelled: throw SeamError(.cancelled, operation: operation, cause: "the caller cancelled")
    }
  }

  /// Always unknown: whoever may publish to the subject may write any handle.
  public func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity { .unknown }
}
