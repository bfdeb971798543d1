import ParleyRuntime

/// Who may allow what a session asks for, and how that is known.
public struct ApprovalRules: Hashable, Sendable {
  /// Where requests are posted and answered.
  public var topic: Topic
  /// Handles, or accounts of the backend.
  public var approvers: [Handle]
  /// Proves verdicts where the backend cannot verify senders.
  public var secret: String?
  /// A request can be answered for so long.
  public var lifetime: Duration

  /// Makes rules.
  public init(topic: Topic, approvers: [Handle], secret: String? = nil, lifetime: Duration = .seconds(600)) {
    self.topic = topic
    self.approvers = approvers
    self.secret = secret
    self.lifetime = lifetime
  }

  /// Why what a handle asks cannot be answered safely on a backend; nil where it can.
  public func obstacle(to handle: Handle, on traits: BackendTraits) -> String? {
    if approvers.contains(handle) { return "\(handle.name) would approve itself, so nobody is asked" }
    guard !traits.authenticatesSenders, secret == nil else { return nil }
    return "\(traits.name) does not say for sure who wrote a message, so verdicts need approvals.secret_file"
  }

  /// Those approvers who have the account that the asking process posts with: what they say approves nothing. Nil where
  /// there is none. The accounts are known once the backend has connected.
  public func ownApprovers(on supervisor: Supervisor, until deadline: LoopInstant) async -> OwnApprovers? {
    guard let own = await supervisor.traits.account else { return nil }
    var found: [Handle] = []
    for approver in approvers {
      var account = approver.name
      if let identity = try? await supervisor.resolveIdentity(approver, deadline: deadline),
        case .account(let known, .verified) = identity
      {
        account = known
      }
      if account == own { found.append(approver) }
    }
    return found.isEmpty ? nil : OwnApprovers(handles: found, account: own, areAll: found.count == approvers.count)
  }

  /// See `ownApprovers`.
  public struct OwnApprovers: Hashable, Sendable {
    /// Who they are, as configured.
    public var handles: [Handle]
    /// The account.
    public var account: String
    /// Nobody else is listed, so nobody can answer.
    public var areAll: Bool

    /// What is wrong, in words.
    public var reason: String {
      "\(handles.map(\.name).joined(separator: ", ")) would answer from \(account), which this process posts with: "
        + "an agent never approves itself" + (areAll ? ", so nobody is asked" : "")
    }
  }
}
