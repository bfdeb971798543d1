import ParleyRuntime

extension XMPPBackend: PeopledTopics {
  /// Who is in the topic's room at this moment but for our account, as far as we are in it ourselves: a room is not
  /// entered to look.
  public func occupants(of topic: Topic, deadline: LoopInstant) async throws(SeamError) -> [Occupant] {
    let own = try connected("occupants").jid.bare
    let room = room(of: topic)
    guard case .joined = room.state else { return [] }
    return room.occupants.compactMap { nick, occupant in
      let account = occupant.jid?.bare
      guard nick != room.nick, account != own else { return nil }
      let tied = options.accounts.first { $0.value == account }?.key
      return Occupant(handle: tied ?? Handle(nick), account: account?.description, seenAt: nil)
    }
  }
}
