import ParleyCoordination
import ParleyRuntime

/// Agents that push messages into each other's sessions, as that system's tools have it, over one topic.
package actor Channels: LoopActor {
  /// How the set works.
  package struct Options: Hashable, Sendable {
    /// The log of agents and of what they send each other.
    package var topic = Topic("channels")
    /// How often a session shows that it is there, and for how long that holds.
    package var heartbeat: Duration = .seconds(600)
    package var lifetime: Duration = .seconds(1800)

    package init() {}
  }

  package nonisolated let loop: EventLoop
  private let hub: Hub
  private let options: Options
  private let rules: NameRules
  private let log: FoldedLog<AgentFold>
  /// Tells the session of a message; set before anything runs.
  private var push: (@Sendable (ChannelEvent, Topic) -> Void)?
  /// Told the session's name, and nil when it has none any more; set before anything runs.
  private var named: (@Sendable (String?) -> Void)?
  private var follow: FollowID?
  private var arriving: Task<Result<Void, Refusal>, Never>?
  /// What this session last was called: it is asked for again after a silence.
  private var lastName: String?
  /// Messages can be pushed into the session now; who cannot be reached is no agent.
  private var isReachable = true
  private var isHere = false
  private var isStopped = false

  private var session: String { hub.setup.author.instance }
  private var deadline: LoopInstant { loop.now.advanced(by: hub.setup.patience) }

  init(hub: Hub, names: NameRules, options: Options) {
    loop = hub.loop
    self.hub = hub
    self.options = options
    rules = names
    log = FoldedLog(hub: hub, topic: options.topic, window: 1 << 42) { AgentFold() }
  }

  // MARK: Life

  /// Where messages to this session go.
  func connect(_ push: @escaping @Sendable (ChannelEvent, Topic) -> Void) { self.push = push }

  /// Who wants to know what the session is called, and nil when it is called nothing any more.
  func onName(_ named: @escaping @Sendable (String?) -> Void) { self.named = named }

  /// Whether messages can be pushed into the session from now on.
  func setReachable(_ isReachable: Bool) { self.isReachable = isReachable }

  /// Is there, and goes on being there until the task is cancelled; waits for the backend as long as it takes.
  func run() async {
    while !Task.isCancelled {
      do throws(Refusal) {
        try await arrive()
        break
      } catch {
        Log.write(.info, "this session is not among the agents yet", [("cause", error.reason)])
        await loop.sleep(for: .seconds(1))
      }
    }
    while await loop.sleep(for: options.heartbeat) {
      do throws(Refusal) {
        try await say(.arrive(name: lastName, session: session, lifetime: options.lifetime.milliseconds))
      } catch {
        Log.write(.info, "this session was not announced to the agents", [("cause", error.reason)])
      }
    }
  }

  /// Says goodbye for now; the name is asked for again when the session comes back.
  func leave() async {
    if let arriving { _ = await arriving.value }
    if let follow { await hub.supervisor.unfollow(follow) }
    follow = nil
    named?(nil)
    if isHere {
      isHere = false
      do throws(HubError) {
        let (content, attributes) = AgentEvent.depart(session: session).message
        let request = PostRequest(
          topic: options.topic, content: content, attributes: attributes, author: hub.setup.author,
          patience: .milliseconds(200))
        _ = try await hub.postUnchecked(request, passesGate: named != nil)
      } catch {
        Log.write(.info, "the agents were not told of the end", [("cause", error.description)])
      }
    }
  }

  /// Says goodbye and ends following.
  func stop() async {
    isStopped = true
    await leave()
    await log.stop()
  }

  /// Takes a name, once, and follows what is sent from then on.
  private func arrive() async throws(Refusal) {
    if await log.state.name(of: session, at: log.now) != nil, follow != nil { return }
    let task = arriving ?? loop.spawn { await self.arriveOnce() }
    arriving = task
    try await task.value.get()
  }

  private func arriveOnce() async -> Result<Void, Refusal> {
    defer { arriving = nil }
    do throws(Refusal) {
      try await refusing { () throws(HubError) in try await log.load() }
      if follow == nil { try await listen() }
      try await say(.arrive(name: lastName, session: session, lifetime: options.lifetime.milliseconds))
      isHere = true
      return .success(())
    } catch {
      return .failure(error)
    }
  }

  private func listen() async throws(Refusal) {
    let request = FetchRequest(options.topic, .latest, limit: 1)
    let end = try await refusing { () throws(HubError) in try await hub.fetchUnchecked(request).next }
    let id = await hub.supervisor.follow(options.topic, after: end) { [weak self] delivery in
      self?.assumeIsolated { $0.take(delivery) }
      return .more
    }
    if isStopped { await hub.supervisor.unfollow(id) } else { follow = id }
  }

  /// A message that is directed to this session's name is pushed to it; to no other.
  private func take(_ delivery: Delivery) {
    guard !isStopped, case .message(let message) = delivery, message.kind == nil, let to = message.to,
      to.name == lastName
    else { return }
    push?(ChannelEvent(agentMessage: message, to: to), options.topic)
  }

  /// Stores an event and waits for what it brings.
  @discardableResult
  private func say(_ event: AgentEvent) async throws(Refusal) -> AgentFold.Outcome {
    let (content, attributes) = event.message
    let receipt = try await refusing { () throws(HubError) in
      let request = PostRequest(
        topic: options.topic, content: content, attributes: attributes, author: hub.setup.author)
      // Where posts go by the name, they wait for what this brings.
      return try await hub.postUnchecked(request, passesGate: named != nil)
    }
    await log.note(receipt)
    guard let outcome = await log.outcome(of: receipt.id, until: deadline) else {
      throw Refusal(504, "outcomeUnknown", "the backend did not show in time what came of it")
    }
    if case .named(let name) = outcome {
      lastName = name
      named?(name)
    }
    return outcome
  }

  /// The agents as they are now, this session among them where it can be reached.
  private func current() async throws(Refusal) -> (fold: AgentFold, now: Int64) {
    if isReachable { try await arrive() }
    try await refusing { () throws(HubError) in
      try await log.load()
      try await log.catchUp(until: deadline)
    }
    return await (log.state, log.now)
  }

  // MARK: Tools

  func list() async throws(Refusal) -> String {
    let (fold, now) = try await current()
    let names = fold.names.held(at: now).map(\.name)
    guard !names.isEmpty else { return "No agents connected." }
    let own = fold.name(of: session, at: now).map { " (you are \"\($0)\")" } ?? ""
    return "Connected agents: \(names.joined(separator: ", "))\(own)"
  }

  func rename(to name: String) async throws(Refusal) -> String {
    guard isReachable else {
      return "Nobody can reach this session, so it has no name: open its event stream (GET) first."
    }
    let (fold, now) = try await current()
    let old = fold.name(of: session, at: now)
    if let holder = fold.names.holder(of: name, at: now), holder.session != session {
      return "\"\(name)\" is already taken by another agent."
    }
    if name != old {
      do throws(Refusal) {
        try rules.checkClaim(name, "agentId")
        try await rules.checkNobodyElse(name)
      } catch {
        guard [403, 422].contains(error.status) else { throw error }
        return "\"\(VisibleText.visible(name, keepsLines: false))\" cannot be used: \(error.reason)."
      }
    }
    let outcome = try await say(.rename(to: name, session: session, lifetime: options.lifetime.milliseconds))
    guard case .named(let new) = outcome else { return "\"\(name)\" is already taken by another agent." }
    return old.map { "Renamed from \"\($0)\" to \"\(new)\"." } ?? "Renamed to \"\(new)\"."
  }

  func send(_ text: String, to name: String) async throws(Refusal) -> String {
    let limit = hub.setup.limits.contentBytes
    guard text.utf8.count <= limit else {
      throw Refusal(422, "content_too_large", "message has \(text.utf8.count) bytes, the limit is \(limit)")
    }
    let (fold, now) = try await current()
    let from = fold.name(of: session, at: now) ?? "unknown"
    guard fold.names.holder(of: name, at: now) != nil else {
      return fold.known.contains(name)
        ? "Agent \"\(name)\" is no longer connected." : "Unknown agent \"\(name)\". Try list-agents."
    }
    do throws(HubError) {
      _ = try await hub.postUnchecked(
        PostRequest(
          topic: options.topic, content: text, to: Handle(name),
          author: hub.setup.author.calling(itself: from)))
    } catch {
      Log.write(.info, "a message to an agent was not stored", [("cause", error.description)])
      return "Delivery to \"\(name)\" failed."
    }
    return "Sent to \"\(name)\" (from \"\(from)\")."
  }
}

extension ChannelEvent {
  /// What one agent sends another.
  init(agentMessage message: Message, to: Handle) {
    self.init(
      content: Self.bounded(message.content, else: "it is message \(message.id.text) of that topic"),
      meta: [
        ("severity", "info"), ("source", "agent-message"), ("from", message.sender.name), ("to", to.name),
      ])
  }
}
