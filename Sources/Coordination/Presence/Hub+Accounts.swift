import ParleyRuntime

extension Hub {
  /// Topics that are looked through for somebody whose account is not known yet, beside the presence topic, and the
  /// newest messages of each.
  private static let searchedTopics = 10
  private static let searchedMessages = 200

  /// The account behind a handle: the one that configuration gives it, or that went by it last. A process that knows none
  /// yet, such as a command that just began, reads who announced itself and who spoke. Nil where nobody did, and where
  /// senders have no accounts.
  nonisolated func account(of handle: Handle, until deadline: LoopInstant) async -> String? {
    if let known = await knownAccount(of: handle, until: deadline) { return known }
    guard await supervisor.traits.authenticatesSenders else { return nil }
    let limit = min(Self.searchedMessages, setup.limits.pageMessages)
    for topic in [setup.presenceTopic] + setup.topics.prefix(Self.searchedTopics) {
      do throws(HubError) {
        _ = try await fetchUnchecked(FetchRequest(topic, .latest, limit: limit))
      } catch {
        // Somebody else's room, or none: it tells nothing.
        continue
      }
      if let known = await knownAccount(of: handle, until: deadline) { return known }
    }
    return nil
  }

  private nonisolated func knownAccount(of handle: Handle, until deadline: LoopInstant) async -> String? {
    do throws(SeamError) {
      guard case .account(let account, _) = try await supervisor.resolveIdentity(handle, deadline: deadline) else {
        return nil
      }
      return account
    } catch {
      return nil
    }
  }
}
