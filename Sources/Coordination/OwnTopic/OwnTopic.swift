import ParleyRuntime

/// A participant's own topic `@handle`: what it finds again wherever it resumes, but for the read marks.
public actor OwnTopic: LoopActor {
  public nonisolated let loop: EventLoop
  private let hub: Hub
  private let log: FoldedLog<OwnFold>

  /// The own topic of the hub's participant; nothing is read until it is needed.
  public init(hub: Hub) { self.init(hub: hub, pageLimit: 1000) }

  init(hub: Hub, pageLimit: Int) {
    loop = hub.loop
    self.hub = hub
    let owner = hub.setup.author.handle
    log = FoldedLog(hub: hub, topic: owner.ownTopic, window: .max, pageLimit: pageLimit, isUrgent: false) {
      OwnFold(owner: owner)
    }
  }

  /// Reads the topic once and follows it; waits for the backend up to the hub's patience, then throws its failure.
  public func load() async throws(HubError) { try await log.load() }

  /// Waits until everything that is in the topic now is known, as far as that can be learnt by the deadline.
  func catchUp(until deadline: LoopInstant) async throws(HubError) {
    try await log.load()
    try await log.catchUp(until: deadline)
  }

  /// What is known now; nothing before `load`.
  public var state: OwnState { get async { await log.state.state } }

  /// Events that were damaged, forged or of a later version.
  public var ignoredEvents: Int { get async { await log.state.ignoredEvents } }

  /// Calls `observer` on the loop after every change.
  public func observe(_ observer: @escaping @Sendable () -> Void) async { await log.observe(observer) }

  /// Ends following.
  public func stop() async { await log.stop() }

  // MARK: Saying

  /// Says what the participant is doing, at most 256 bytes; nil for nothing any more.
  public func setStatus(_ status: String?) async throws(HubError) {
    if let status {
      guard status.utf8.count <= PresenceRecord.statusBytes, !status.utf8.contains(0) else {
        throw .badArgument(name: "status", reason: "must be at most \(PresenceRecord.statusBytes) bytes without NUL")
      }
    }
    let text = status.flatMap { $0.isEmpty ? nil : $0 }
    try await load()
    guard await state.status != text else { return }
    try await say(.status(text))
  }

  /// Sets something for all processes of the participant; nil for the default again.
  public func set(_ name: String, to value: String?) async throws(HubError) {
    guard OwnEvent.isSetting(name) else {
      throw .badArgument(
        name: "setting", reason: "must be 1 to \(OwnEvent.settingNameBytes) of a-z, 0-9, '.', '_', '-'")
    }
    if let value, value.utf8.count > OwnEvent.settingBytes {
      throw .overLimit(what: "setting \(name)", bytes: value.utf8.count, limit: OwnEvent.settingBytes)
    }
    try await load()
    let settings = await state.settings
    guard settings[name] != value else { return }
    guard value == nil || settings[name] != nil || settings.count < OwnFold.settingLimit else {
      throw .badArgument(name: "setting", reason: "there are \(OwnFold.settingLimit) settings, the most there may be")
    }
    try await say(.setting(name, value))
  }

  /// The participant has left a conversation.
  func noteLeft(_ topic: Topic) async throws(HubError) { try await say(.left(topic)) }

  /// The participant is in a conversation that it began itself.
  func noteBegun(_ topic: Topic, name: String?) async throws(HubError) {
    try await load()
    if await state.conversations[topic] == nil { try await say(.invitation(topic, name: name)) }
  }

  /// Stores an event and waits until it is in the state.
  private func say(_ event: OwnEvent) async throws(HubError) {
    try await load()
    let (content, attributes) = event.message(by: hub.setup.author.handle)
    let receipt = try await hub.postUnchecked(
      PostRequest(topic: log.topic, content: content, attributes: attributes))
    await log.note(receipt)
    _ = await log.outcome(of: receipt.id, until: loop.now.advanced(by: hub.setup.patience))
    await log.keep()
  }
}
