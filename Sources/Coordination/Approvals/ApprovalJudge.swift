import ParleyRuntime

/// Decides which messages of the approvals' topic are verdicts: a pure state, messages in log order in, verdicts out.
///
/// What does not count is ignored without a word. A verdict counts once, after its request in the log, within its time,
/// from a listed approver whom the backend has verified, or who proves the secret; never from a process of Parley's own
/// or its account, never late.
struct ApprovalJudge: Sendable {
  /// What waits for an answer.
  struct Pending: Hashable, Sendable {
    var code: String
    var message: MessageID
    var storedAt: Int64
    /// The request's message was met in the log: what follows can be its verdict.
    var isInLog = false
  }

  /// What was decided.
  struct Decision: Hashable, Sendable {
    var code: String
    var approval: Approval
    var by: Handle
    var request: MessageID
  }

  private let rules: ApprovalRules
  private let verifies: Bool
  private var pending: [String: Pending] = [:]
  /// Accounts under which Parley's processes post: they approve nothing.
  private var processAccounts: Set<String> = []
  /// Requests of other sessions, by the message that asks: a code that they use too says too little.
  private var others: [MessageID: (code: String, until: Int64)] = [:]

  /// `verifies`: the backend says for sure who wrote a message.
  init(rules: ApprovalRules, verifies: Bool) {
    self.rules = rules
    self.verifies = verifies
  }

  /// A request was stored. An earlier one of the same code can no longer be answered.
  mutating func ask(_ code: String, message: MessageID, storedAt: Int64) {
    pending[code] = Pending(code: code, message: message, storedAt: storedAt)
    others[message] = nil
  }

  /// A request is over; nil where it was not open.
  @discardableResult
  mutating func close(_ code: String, _ message: MessageID) -> Pending? {
    guard pending[code]?.message == message else { return nil }
    return pending.removeValue(forKey: code)
  }

  /// Takes the next message of the topic; the verdict that it is, if it counts.
  mutating func take(_ message: Message) -> Decision? {
    guard !message.isLate else { return nil }
    if message.instance != nil, let account = message.account { processAccounts.insert(account) }
    note(message)
    for (code, request) in pending where request.message == message.id { pending[code]?.isInLog = true }
    guard let (approval, code) = ApprovalEvent.verdict(of: message),
      let request = openRequest(code, repliedTo: message.inReplyTo, at: message.storedAt), request.isInLog,
      request.message != message.id,
      message.storedAt < request.storedAt + rules.lifetime.milliseconds,
      let approver = listedSender(of: message, approval, request)
    else { return nil }
    pending[request.code] = nil
    return Decision(code: request.code, approval: approval, by: approver, request: request.message)
  }

  private mutating func note(_ message: Message) {
    guard message.kind == ApprovalEvent.requestKind, let code = message.attributes["code"],
      pending[code]?.message != message.id
    else { return }
    if others.count >= 1_000 { others = others.filter { $0.value.until > message.storedAt } }
    others[message.id] = (code, message.storedAt + rules.lifetime.milliseconds)
  }

  private func openRequest(_ code: String?, repliedTo id: MessageID?, at now: Int64) -> Pending? {
    let named = code.flatMap { pending[$0] }
    guard let id else { return others.values.contains { $0.code == code && $0.until > now } ? nil : named }
    let replied = pending.values.first { $0.message == id }
    // A code that is not that of the message replied to is a mistake, and no verdict.
    return code == nil || named == replied ? replied : nil
  }

  private func listedSender(of message: Message, _ approval: Approval, _ request: Pending) -> Handle? {
    verifies ? verified(message) : proven(message, approval, request)
  }

  /// A person in a chat client whom the backend vouches for.
  private func verified(_ message: Message) -> Handle? {
    guard let account = message.account, message.instance == nil,
      message.kind == nil || message.kind == Message.reactionKind,
      !processAccounts.contains(account)
    else { return nil }
    if rules.approvers.contains(Handle(account)) { return Handle(account) }
    guard message.provenance == .verified, rules.approvers.contains(message.sender) else { return nil }
    return message.sender
  }

  /// Somebody who knows the secret and says so for this one request.
  private func proven(_ message: Message, _ approval: Approval, _ request: Pending) -> Handle? {
    ApprovalEvent.isProven(message, approval, code: request.code, request: request.message, rules: rules)
      ? message.sender : nil
  }
}
