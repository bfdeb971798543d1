import ParleyRuntime

extension XMPPBackend: PrivateTopics {
  /// Makes the topic's room one for members only, with the accounts of these handles; see `PrivateTopics.admit`.
  ///
  /// Throws `forbidden` where the room is another's and does not let its members bring others in.
  public func admit(_ handles: [Handle], to topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    let own = try connected("admit").jid.bare.description
    var accounts: [String] = []
    for handle in handles {
      let account = try await account(of: handle)
      if account != own, !accounts.contains(account) { accounts.append(account) }
    }
    try await restrict(topic, to: accounts, deadline: deadline)
  }

  /// The account of a handle, which may itself be one (`ann@example.org`).
  private func account(of handle: Handle) async throws(SeamError) -> String {
    if case .account(let account, _) = try await resolveIdentity(handle) { return account }
    if let jid = JID(handle.name), jid.isBare, !jid.local.isEmpty { return handle.name }
    throw SeamError(
      .invalidRequest, operation: "admit",
      cause: "the account of '\(handle.name)' is not known: it has said nothing here yet; name it under 'accounts' in "
        + "backend_config")
  }
}
