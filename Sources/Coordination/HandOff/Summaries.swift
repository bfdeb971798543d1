import ParleyRuntime

/// What was written down on the topics that a participant works on. A topic is read when it is first asked about.
public actor Summaries: LoopActor {
  /// A summary is found for so long after it was written, or stored again as a checkpoint.
  static let window: Duration = .seconds(90 * 86_400)

  public nonisolated let loop: EventLoop
  private let hub: Hub
  private let pageLimit: Int
  private var logs: [Topic: FoldedLog<SummaryFold>] = [:]

  /// The summaries of the hub's topics; nothing is read until it is needed.
  public init(hub: Hub) { self.init(hub: hub, pageLimit: 1000) }

  init(hub: Hub, pageLimit: Int) {
    loop = hub.loop
    self.hub = hub
    self.pageLimit = pageLimit
  }

  /// Ends following.
  public func stop() async {
    let all = logs.values
    logs = [:]
    for log in all { await log.stop() }
  }

  private func log(of topic: Topic) async throws(HubError) -> FoldedLog<SummaryFold> {
    try await hub.check(topic)
    let log =
      logs[topic]
      ?? FoldedLog(hub: hub, topic: topic, window: Self.window.milliseconds, pageLimit: pageLimit) { SummaryFold() }
    logs[topic] = log
    try await log.load()
    return log
  }

  /// The latest summaries of a topic, everything that is stored now.
  public func latest(on topic: Topic) async throws(HubError) -> SummaryFold {
    let log = try await log(of: topic)
    try await log.catchUp(until: loop.now.advanced(by: hub.setup.patience))
    return await log.state
  }

  /// Writes a summary for one participant, or for all.
  public func write(
    _ text: String, scope: Handle?, on topic: Topic, key: String? = nil
  ) async throws(HubError) -> Receipt {
    if let scope { try ParticipantName.check(scope, "scope", limit: hub.setup.limits.handleBytes) }
    guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }), !text.utf8.contains(0) else {
      throw .badArgument(name: "summary", reason: "must not be blank or contain NUL")
    }
    let limit = min(SummaryEvent.textBytes, hub.setup.limits.contentBytes)
    guard text.utf8.count <= limit else { throw .overLimit(what: "summary", bytes: text.utf8.count, limit: limit) }
    let log = try await log(of: topic)
    let (content, attributes) = SummaryEvent.summary(scope: scope, text: text).message
    let receipt = try await hub.postUnchecked(
      PostRequest(topic: topic, content: content, key: key.map { "summary:" + $0 }, attributes: attributes))
    await log.note(receipt)
    _ = await log.outcome(of: receipt.id, until: loop.now.advanced(by: hub.setup.patience))
    await log.keep()
    return receipt
  }
}
