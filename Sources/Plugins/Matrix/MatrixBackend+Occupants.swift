import ParleyHTTPClient
import ParleyRuntime

extension MatrixBackend: PeopledTopics {
  /// The joined members of the topic's room but for our account, with the time at which each came, or changed its name
  /// or picture: whether somebody looks at the room just now, Matrix does not tell. At most `memberLimit`.
  public func occupants(of topic: Topic, deadline: LoopInstant) async throws(SeamError) -> [Occupant] {
    let operation = "occupants"
    let reader = try connected(operation).reader
    guard let room = try await room(of: topic, creating: false, operation: operation, deadline: deadline) else {
      return []
    }
    let answer: JSONSlice
    do throws(MatrixFailure) {
      answer = try await call(.get, room.path + "/members", query: [("membership", "join")], deadline: deadline)
    } catch {
      throw error.seamError(operation)
    }
    var found: [Occupant] = []
    guard let members = answer.member("chunk") else { return [] }
    for event in members.elements where found.count < Self.memberLimit {
      guard let account = event.member("state_key")?.string, account != reader.account,
        event.member("content")?.member("membership")?.isString("join") == true
      else { continue }
      let seenAt = max(0, event.member("origin_server_ts")?.int ?? 0)
      found.append(Occupant(handle: reader.handle(of: account), account: account, seenAt: seenAt))
    }
    return found
  }

  private static let memberLimit = 500
}
