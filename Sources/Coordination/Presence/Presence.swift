import ParleyRuntime

/// Tells others that this process is there, and knows who else is: beats on the presence topic and follows it.
///
/// Between beats it does nothing; what others post wakes it.
public actor Presence: LoopActor {
  /// What a process says of itself, and how often.
  public struct Options: Sendable {
    /// How often it is announced.
    public var heartbeat: Duration
    /// Silent for so long, it is gone.
    public var lifetime: Duration
    /// What kind of participant it is.
    public var party: PresenceRecord.Party = .agent
    /// What it says it is doing.
    public var status: String?
    /// What reaches it at once.
    public var listens: PresenceRecord.Listening = .nothing
    /// No other process of this program may use the handle.
    public var isExclusive = false
    /// The process answers what people in chat clients ask about tasks (`TaskAnswers`).
    public var answers = true

    /// Makes options; `lifetime` is not below `heartbeat`.
    public init(heartbeat: Duration = .seconds(600), lifetime: Duration = .seconds(1800)) {
      self.heartbeat = heartbeat
      self.lifetime = lifetime
    }
  }

  public nonisolated let loop: EventLoop
  private let hub: Hub
  private let log: FoldedLog<PresenceFold>
  private var options: Options
  private let author: Author
  private let wakes: Waiters<Void>
  /// A record may be stored, so that a goodbye is due.
  private var hasAnnounced = false
  private var phase = PresenceRecord.Phase.hello
  private var toldSharers: Set<String> = []
  private var watching: LoopTimer?
  private var isEnding = false

  /// Makes the presence of the hub's author; with `isExclusive`, posting waits from now until the handle is ours.
  public init(hub: Hub, options: Options) {
    loop = hub.loop
    self.hub = hub
    self.options = options
    author = hub.setup.author
    wakes = Waiters(loop: hub.loop)
    log = FoldedLog(
      hub: hub, topic: hub.setup.presenceTopic,
      window: max(options.lifetime.milliseconds, 3_600_000), isUrgent: false
    ) { PresenceFold() }
  }

  // MARK: Life

  /// Announces the process and goes on until the task is cancelled; `sayGoodbye` comes after that.
  public func run() async {
    if options.isExclusive { await hub.setGate(.pending) }
    guard await load() else { return }
    await log.observe { [weak self] in self?.assumeIsolated { $0.rosterChanged() } }
    while !Task.isCancelled {
      await beat()
      rosterChanged()
      _ = await wakes.wait(wakes.ticket(), until: loop.now.advanced(by: options.heartbeat))
    }
  }

  /// Reads who is there, however long the backend is away; false when the task is cancelled.
  private func load() async -> Bool {
    while !Task.isCancelled {
      do throws(HubError) {
        try await log.load()
        return true
      } catch {
        await loop.sleep(for: .seconds(1))
      }
    }
    return false
  }

  /// Tells everyone that this process ends; nothing where it was never announced. Gives up after `patience`.
  public func sayGoodbye(within patience: Duration) async {
    guard !isEnding else { return }
    isEnding = true
    await log.stop()
    guard hasAnnounced else { return }
    do throws(HubError) {
      _ = try await post(.goodbye, patience: patience)
    } catch {
      Log.write(.info, "no goodbye was stored", [("cause", error.description)])
    }
  }

  /// Says what this process is doing; others learn it at once.
  public func setStatus(_ status: String?) {
    options.status = status
    wakes.resumeAll(())
  }

  /// Says what reaches this process at once; others learn it at once.
  public func setListening(_ listens: PresenceRecord.Listening) {
    guard options.listens != listens else { return }
    options.listens = listens
    wakes.resumeAll(())
  }

  /// A beat waits for the backend until the next one is due; a failure is made good by that.
  private func beat() async {
    do throws(HubError) {
      hasAnnounced = true
      let receipt = try await post(phase, patience: options.heartbeat)
      await log.note(receipt)
      phase = .heartbeat
      _ = await log.outcome(of: receipt.id, until: loop.now.advanced(by: hub.setup.patience))
    } catch {
      if !Task.isCancelled { Log.write(.info, "presence was not announced", [("cause", error.description)]) }
    }
  }

  private func post(_ phase: PresenceRecord.Phase, patience: Duration) async throws(HubError) -> Receipt {
    var record = PresenceRecord(
      phase: phase, at: loop.wallClockMilliseconds, topics: hub.setup.topics.map(\.name),
      postTopics: hub.setup.postPatterns, instance: author.instance)
    record.party = options.party
    record.status = options.status.map(Self.clipped)
    record.listens = options.listens
    record.lifetime = options.lifetime.milliseconds
    record.answers = options.answers
    record.holds = phase == .heartbeat && holdsHandle
    let request = PostRequest(topic: hub.setup.presenceTopic, content: record.text, patience: patience)
    return try await hub.postUnchecked(request, passesGate: true)
  }

  /// What fits into a record, whole scalars.
  private static func clipped(_ status: String) -> String {
    var bytes = 0
    let kept = status.unicodeScalars.prefix { scalar in
      bytes += UTF8.width(scalar)
      return bytes <= PresenceRecord.statusBytes
    }
    return String(String.UnicodeScalarView(kept))
  }

  // MARK: Others

  private var holder: PresenceFold.Holder? {
    let handle = author.handle
    return log.assumeIsolated { $0.state.holder(of: handle, at: $0.now) }
  }

  private var holdsHandle: Bool { holder?.instance == author.instance }

  /// Tells once of each other process that uses our handle, and opens or closes posting where that is forbidden.
  private func rosterChanged() {
    guard !isEnding else { return }
    for other in live.filter({ $0.handle == author.handle && $0.record.instance != author.instance })
    where toldSharers.insert(other.record.instance).inserted {
      Log.write(
        .warning, "the handle is shared: another process uses it now",
        [("handle", author.handle.name), ("instance", other.record.instance)])
    }
    guard options.isExclusive else { return }
    let holder = holder
    let gate: Hub.Gate
    if let holder, holder.instance != author.instance {
      gate = .closed(
        .refused(
          code: "handleInUse",
          reason: "the handle \"\(author.handle.name)\" is in use by another process (instance \(holder.instance)), "
            + "and identity.exclusive is set: end that one, or wait until it has been silent for its presence.ttl_ms"))
      watch(holder)
    } else {
      gate = holder == nil ? .pending : .open
      if holder == nil { claimAgain() }
    }
    hub.assumeIsolated { $0.setGate(gate) }
  }

  /// The lease of another ends by silence: then a hello of ours takes the handle, if it is the first.
  private func watch(_ holder: PresenceFold.Holder) {
    if let watching { loop.cancel(watching) }
    let now = log.assumeIsolated { $0.now }
    watching = loop.schedule(after: .milliseconds(max(1, holder.until - now))) { [weak self] in
      self?.assumeIsolated { $0.rosterChanged() }
    }
  }

  private func claimAgain() {
    guard phase == .heartbeat else { return }
    phase = .hello
    wakes.resumeAll(())
  }

  /// The processes that are there now.
  public var live: [PresenceFold.Process] {
    let lifetime = options.lifetime.milliseconds
    return log.assumeIsolated { log in
      let now = log.now
      return log.state.all.filter { $0.isLive(at: now, lifetime: lifetime) }
    }
  }

  /// Where this process stands among those of this program that hear a topic and answer there: 0 is the lowest instance,
  /// whose turn it is.
  public func rank(on topic: Topic) -> Int {
    let others = Set(
      live.filter { process in
        process.record.isOurs && process.record.answers && process.record.topics.contains { Topic($0) == topic }
      }.map(\.record.instance))
    return others.count { $0 < author.instance }
  }
}
