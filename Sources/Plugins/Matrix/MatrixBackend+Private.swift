import ParleyHTTPClient
import ParleyRuntime

extension MatrixBackend: PrivateTopics {
  /// Invites the accounts of these handles into the topic's room; see `PrivateTopics.admit`.
  public func admit(_ handles: [Handle], to topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    let own = try connected("admit").account
    var guests: [String] = []
    for handle in handles {
      guard let account = account(of: handle) else {
        throw SeamError(
          .invalidRequest, operation: "admit",
          cause: "the Matrix account of '\(handle.name)' is not known: it has said nothing here yet; name it under "
            + "'handles' in backend_config")
      }
      if account != own, !guests.contains(account) { guests.append(account) }
    }
    guard let room = try await room(of: topic, creating: true, operation: "admit", deadline: deadline) else { return }
    for guest in guests {
      do throws(MatrixFailure) {
        if try await !isInside(guest, of: room, deadline: deadline) {
          _ = try await call(.post, room.path + "/invite", body: ["user_id": .string(guest)], deadline: deadline)
        }
      } catch {
        throw error.seamError("admit")
      }
    }
  }

  /// The account of a handle, which may itself be one (`@ann:example.org`).
  private func account(of handle: Handle) -> String? {
    if case .account(let account, _) = identity(of: handle) { return account }
    return handle.name.hasPrefix("@") && handle.name.contains(":") ? handle.name : nil
  }

  private func isInside(_ account: String, of room: Room, deadline: LoopInstant) async throws(MatrixFailure) -> Bool {
    do throws(MatrixFailure) {
      let path = room.path + "/state/m.room.member/" + URLText.encode(account)
      let membership = try await call(.get, path, deadline: deadline).member("membership")?.string
      return membership == "join" || membership == "invite"
    } catch {
      guard error.status == 404 else { throw error }
      return false
    }
  }
}
