import ParleyRuntime

/// Asks people on a topic for what a session may not do by itself, and brings their verdicts back.
///
/// A request that nobody answers in its time is denied. What was asked, answered and decided stands in the topic.
public actor Approvals: LoopActor {
  /// Requests that wait for an answer at the same time.
  static let pendingLimit = 100

  public nonisolated let loop: EventLoop
  private let hub: Hub
  private let rules: ApprovalRules
  private let host: String
  private var answer: @Sendable (_ code: String, Approval) -> Void = { _, _ in }
  private var judge: ApprovalJudge?
  private var follow: FollowID?
  private var expiries: [MessageID: LoopTimer] = [:]
  private var isStopped = false
  /// Every approver has our account.
  private var isUnanswerable = false

  /// Asks as the hub's participant; `host` tells people which machine asks.
  public init(hub: Hub, rules: ApprovalRules, host: String) {
    loop = hub.loop
    self.hub = hub
    self.rules = rules
    self.host = host
  }

  /// Calls `answer` on the loop with each verdict, once for each request.
  public func onVerdict(_ answer: @escaping @Sendable (_ code: String, Approval) -> Void) { self.answer = answer }

  /// Posts a request and waits for its verdict elsewhere (`answer`). What cannot be posted is left to the session's own
  /// prompt.
  public func ask(_ request: PermissionRequest) async {
    guard !isStopped, expiries.count < Self.pendingLimit else { return }
    do throws(HubError) {
      try await listen()
      guard !isUnanswerable else { return }
      let (content, attributes) = ApprovalEvent.request(
        request, from: hub.setup.author.handle, on: host, lifetime: rules.lifetime.milliseconds)
      let posted = try await hub.postUnchecked(
        PostRequest(topic: rules.topic, content: content, attributes: attributes))
      guard !isStopped else { return }
      let storedAt = posted.storedAt ?? loop.wallClockMilliseconds
      judge?.ask(request.code, message: posted.id, storedAt: storedAt)
      expiries[posted.id] = loop.schedule(after: rules.lifetime) { [weak self] in
        self?.assumeIsolated { $0.expire(request.code, posted.id) }
      }
      // It may have come back before its id was known here; nothing can have answered it by then but what came after.
      replay(after: posted)
    } catch {
      Log.write(.warning, "a request for leave was not posted", [("cause", error.description)])
    }
  }

  /// Messages that came while a request was on its way, the newest last.
  private var recent: [Message] = []

  private func replay(after receipt: Receipt) {
    guard let start = recent.firstIndex(where: { $0.id == receipt.id }) else { return }
    let missed = recent[start...]
    for message in missed { decide(by: message) }
  }

  /// Follows the topic from its end.
  private func listen() async throws(HubError) {
    guard follow == nil, !isUnanswerable else { return }
    judge = ApprovalJudge(rules: rules, verifies: await hub.supervisor.traits.authenticatesSenders)
    let end = try await hub.fetchUnchecked(FetchRequest(rules.topic, .latest, limit: 200))
    // Who posts here by a process is known from what was posted before.
    for message in end.messages { _ = judge?.take(message) }
    if let own = await rules.ownApprovers(on: hub.supervisor, until: loop.now.advanced(by: hub.setup.patience)) {
      Log.write(.warning, "approvals: " + own.reason)
      isUnanswerable = own.areAll
    }
    guard !isUnanswerable else { return }
    guard follow == nil, !isStopped else { return }
    follow = await hub.supervisor.follow(rules.topic, after: end.next) { [weak self] delivery in
      if case .message(let message) = delivery { self?.assumeIsolated { $0.take(message) } }
      return .more
    }
  }

  private func take(_ message: Message) {
    recent.append(message)
    if recent.count > 256 { recent.removeFirst(128) }
    decide(by: message)
  }

  private func decide(by message: Message) {
    guard let decision = judge?.take(message) else { return }
    if let timer = expiries.removeValue(forKey: decision.request) { loop.cancel(timer) }
    conclude(decision.code, decision.approval, by: decision.by, decision.request)
  }

  private func expire(_ code: String, _ request: MessageID) {
    expiries[request] = nil
    guard judge?.close(code, request) != nil else { return }
    conclude(code, .deny, by: nil, request)
  }

  private func conclude(_ code: String, _ approval: Approval, by handle: Handle?, _ request: MessageID) {
    answer(code, approval)
    let (content, attributes) = ApprovalEvent.result(code, approval, by: handle, request: request)
    loop.spawn { [hub, rules] in
      do throws(HubError) {
        _ = try await hub.postUnchecked(
          PostRequest(topic: rules.topic, content: content, inReplyTo: request, attributes: attributes))
      } catch {
        Log.write(.warning, "what became of a request was not noted", [("cause", error.description)])
      }
    }
  }

  /// Nothing is asked or answered afterwards.
  public func stop() async {
    isStopped = true
    for timer in expiries.values { loop.cancel(timer) }
    expiries = [:]
    if let follow { await hub.supervisor.unfollow(follow) }
    follow = nil
  }
}

/// Answers requests by hand, from a console or the command line.
public struct ApprovalDesk: Sendable {
  private let hub: Hub
  private let rules: ApprovalRules

  /// A request that can still be answered.
  public struct Open: Hashable, Sendable {
    /// The code by which it is answered.
    public var code: String
    /// The message that asks.
    public var message: Message
  }

  /// Answers as the hub's participant.
  public init(hub: Hub, rules: ApprovalRules) {
    self.hub = hub
    self.rules = rules
  }

  /// The requests that can still be answered, the newest last.
  public func open() async throws(HubError) -> [Open] {
    let page = try await hub.fetchUnchecked(
      FetchRequest(rules.topic, .latest, limit: hub.setup.limits.pageMessages))
    let now = max(hub.loop.wallClockMilliseconds, page.messages.last?.storedAt ?? 0)
    var open: [Open] = []
    for message in page.messages {
      open.removeAll { isAnswered($0, by: message) }
      guard let code = message.attributes["code"] else { continue }
      if message.kind == ApprovalEvent.resultKind {
        open.removeAll { $0.message.id == message.inReplyTo }
      } else if message.kind == ApprovalEvent.requestKind, PermissionRequest.isCode(code),
        let lifetime = message.attributes["ttl_ms"].flatMap({ Int64($0) }), message.storedAt + lifetime > now
      {
        open.removeAll { $0.code == code && $0.message.sender == message.sender }
        open.append(Open(code: code, message: message))
      }
    }
    return open
  }

  /// What became of it may not be noted yet.
  private func isAnswered(_ request: Open, by message: Message) -> Bool {
    guard let (approval, _) = ApprovalEvent.verdict(in: message.content) else { return false }
    return ApprovalEvent.isProven(
      message, approval, code: request.code, request: request.message.id, rules: rules)
  }

  /// Why the hub's participant cannot answer any request here; nil where it can.
  public func obstacle() async -> HubError? {
    let me = hub.setup.author.handle
    guard rules.approvers.contains(me) else {
      return .refused(code: "notApprover", reason: "\(me.name) is not in approvals.approvers")
    }
    guard await !hub.supervisor.traits.authenticatesSenders else {
      return .refused(
        code: "notApprover",
        reason: "on this backend a verdict must come from the approver's own account, in a chat client")
    }
    return rules.secret == nil ? Self.noSecret : nil
  }

  private static let noSecret = HubError.refused(code: "noSecret", reason: "a verdict needs approvals.secret_file")

  /// Answers a request with the proof that it needs; with `message`, only the request that this message asks: another
  /// may have come under the same code since it was read.
  public func answer(
    _ approval: Approval, to code: String, asking message: MessageID? = nil
  ) async throws(HubError) -> Open {
    let me = hub.setup.author.handle
    if let obstacle = await obstacle() { throw obstacle }
    guard let secret = rules.secret else { throw Self.noSecret }
    let found = try await open().filter { $0.code == code.lowercased() }
    guard let request = found.last, message ?? request.message.id == request.message.id else {
      throw .refused(code: "approvalUnknown", reason: "no request \(code) waits for an answer")
    }
    guard found.count == 1 else {
      throw .refused(
        code: "approvalAmbiguous", reason: "several participants ask under \(code); answer at the terminal")
    }
    let text = ApprovalEvent.proofText(
      approval, code: request.code, request: request.message.id, topic: rules.topic, by: me)
    _ = try await hub.postUnchecked(
      PostRequest(
        topic: rules.topic, content: "\(approval.word) \(request.code)", inReplyTo: request.message.id,
        attributes: [
          "kind": ApprovalEvent.verdictKind, ApprovalEvent.proof: HMACSHA256.hexadecimal(of: text, key: secret),
        ]))
    return request
  }
}
