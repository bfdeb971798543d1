import ParleyRuntime

/// What `doctor` tells of a NATS server beside what every backend has.
public struct NATSReport: Hashable, Sendable {
  /// What an account uses of what it may have, in bytes.
  public struct Usage: Hashable, Sendable {
    /// What its streams take.
    public let used: Int64
    /// What they may take; nil without a limit of the account's own.
    public let limit: Int64?
  }

  /// The server's version, where it says so.
  public var version: ServerVersion?
  /// How long a request to JetStream takes.
  public var roundTrip: Duration
  /// On disk.
  public var storage: Usage
  /// In memory.
  public var memory: Usage
  /// The largest message that the server takes, in bytes.
  public var maximumPayload: Int
  /// Why no consumer can be made, so that there is no live delivery; nil where one can.
  public var consumerFailure: SeamError?
  /// Streams of topics whose settings weaken what Parley promises, with the reason.
  public var weakStreams: [String]
}

extension NATSBackend {
  /// Looks at the server and at the topics' streams. Needs a connection; posts nothing.
  public func report(on topics: [Topic], deadline: LoopInstant) async throws(SeamError) -> NATSReport {
    let session = try connected("look at the server")
    let began = loop.now
    let account = try await request(
      session, api.accountInfo, [], deadline: deadline, operation: "ask for the account's limits")
    let roundTrip = began.duration(to: loop.now)
    let limits = account.member("limits") ?? .emptyObject
    func usage(_ used: String, _ limit: String) -> NATSReport.Usage {
      let most = limits.member(limit)?.int ?? -1
      return NATSReport.Usage(used: account.member(used)?.int ?? 0, limit: most > 0 ? most : nil)
    }
    var report = NATSReport(
      version: nil, roundTrip: roundTrip, storage: usage("storage", "max_storage"),
      memory: usage("memory", "max_memory"), maximumPayload: session.handle.maximumPayload, consumerFailure: nil,
      weakStreams: [])
    for topic in topics {
      let names = TopicNames(topic, options)
      guard let facts = try await stream(names, session, deadline: deadline) else { continue }
      report.version = report.version ?? facts.serverVersion.flatMap(ServerVersion.init)
      weaknesses(facts).forEach { report.weakStreams.append("\(names.stream): \($0)") }
      if report.consumerFailure == nil {
        report.consumerFailure = await consumerFailure(names, facts, session, deadline: deadline)
      }
    }
    if report.version == nil {
      report.version = await Greeting.read(ServerAddress(session.handle.connectedURL), loop: loop)
        .flatMap { ServerVersion($0.version) }
    }
    return report
  }

  private func weaknesses(_ facts: StreamFacts) -> [String] {
    var found: [String] = []
    if facts.durability == .unknown { found.append("in memory, or written later than it is acknowledged") }
    if facts.keyWindow < min(options.keyWindow, .seconds(3600)) {
      found.append("remembers keys for \(facts.keyWindow.components.seconds) s; older ones are searched for")
    }
    if !facts.allowsDirect { found.append("no direct gets: a page takes a request for each message") }
    return found
  }

  private func consumerFailure(
    _ names: TopicNames, _ facts: StreamFacts, _ session: NATSSession, deadline: LoopInstant
  ) async -> SeamError? {
    session.lastConsumer += 1
    let name = session.consumerPrefix + String(session.lastConsumer)
    do throws(SeamError) {
      _ = try await request(
        session, api.createConsumer(names.stream, name),
        JetStreamAPI.consumer(names, name: name, from: facts.last + 1, lingers: .seconds(1)), deadline: deadline,
        operation: "make a consumer")
      _ = try await request(
        session, api.deleteConsumer(names.stream, name), [], deadline: deadline, operation: "delete a consumer")
      return nil
    } catch {
      return error
    }
  }

  /// Asks an old server for its version, beside everything else, and notes what is wrong with it.
  func noteVersion(_ session: NATSSession) async {
    guard let greeting = await Greeting.read(ServerAddress(session.handle.connectedURL), loop: loop) else { return }
    if self.session === session { note("version", ServerVersion(greeting.version)?.warning) }
  }
}
