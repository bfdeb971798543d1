import ParleyHTTPClient
import ParleyRuntime

extension MatrixBackend {
  /// The topic's room, joined; nil where there is none and it is not to be made.
  ///
  /// Throws `forbidden` where we may not enter, and `unsupported` for an encrypted room, with what to do about it.
  func room(
    of topic: Topic, creating: Bool, operation: String, deadline: LoopInstant
  ) async throws(SeamError) -> Room? {
    if let known = rooms[topic] {
      if encrypted.contains(known.id) { throw Self.encryptedRoom(topic, known.id, operation) }
      return known
    }
    let session = try connected(operation)
    let epoch = epoch
    let found: String?
    do throws(MatrixFailure) {
      found = try await enter(topic, session, creating: creating, deadline: deadline)
    } catch {
      throw explain(error, topic, operation)
    }
    guard epoch == self.epoch else { throw SeamError(.unavailable, operation: operation, cause: "disconnected") }
    guard let found else { return nil }
    let room = Room(topic: topic, id: found)
    rooms[topic] = room
    if encrypted.contains(found) {
      notes["encrypted " + topic.name] = "the room of topic '\(topic.name)' is encrypted, which Parley cannot read"
      throw Self.encryptedRoom(topic, found, operation)
    }
    notes["away " + topic.name] = nil
    roomFound(room)
    return room
  }

  private func enter(
    _ topic: Topic, _ session: Session, creating: Bool, deadline: LoopInstant
  ) async throws(MatrixFailure) -> String? {
    let given = options.rooms[topic.name]
    if let given, given.hasPrefix("!") {
      try await join(given, as: given, deadline: deadline)
      return given
    }
    let alias = given ?? RoomAlias.alias(of: topic, server: session.serverName)
    for _ in 0..<3 {
      if let id = try await lookUp(alias, deadline: deadline) {
        do throws(MatrixFailure) {
          try await join(id, as: alias, deadline: deadline)
          deserted[alias] = nil
          return id
        } catch {
          guard creating, given == nil, error.status == 404 else { throw error }
          try await abandon(id, of: alias, deadline: deadline)
        }
      }
      guard creating, given == nil else { return nil }
      if let id = try await create(topic, session, deadline: deadline) {
        joined?.insert(id)
        // A server may encrypt every new room (Synapse: encryption_enabled_by_default_for_room_type).
        try await checkEncryption(of: id, deadline: deadline)
        return id
      }
      // Somebody else made it meanwhile.
    }
    throw .unsettled("alias \(alias) is taken and leads nowhere")
  }

  /// Frees the alias of a room that nobody can enter, since nobody is in it.
  ///
  /// A homeserver writes the alias of a new room before its maker's membership (Synapse does), so that such a room is in
  /// the making at first, and only when it stays so did its server or everybody leave it. Throws `unsettled` till then.
  private func abandon(_ id: String, of alias: String, deadline: LoopInstant) async throws(MatrixFailure) {
    guard let since = deserted[alias] else {
      deserted[alias] = loop.now
      throw .unsettled("nobody is in the room of \(alias) yet")
    }
    guard since.duration(to: loop.now) > Self.timeToEnterOwnRoom else {
      throw .unsettled("nobody is in the room of \(alias) yet")
    }
    deserted[alias] = nil
    // Another process may have done it a moment ago, and then the alias names the new room.
    guard try await lookUp(alias, deadline: deadline) == id else { return }
    _ = try await call(.delete, "v3/directory/room/" + URLText.encode(alias), deadline: deadline)
  }

  private static let timeToEnterOwnRoom: Duration = .seconds(5)

  private func lookUp(_ alias: String, deadline: LoopInstant) async throws(MatrixFailure) -> String? {
    do throws(MatrixFailure) {
      let answer = try await call(.get, "v3/directory/room/" + URLText.encode(alias), deadline: deadline)
      guard let id = answer.member("room_id")?.string else { throw .malformed("a directory answer without room_id") }
      return id
    } catch {
      if error.status == 404 { return nil }
      throw error
    }
  }

  /// A member does not join again: that would be an event in the room for each start. Nor is a request for state a test,
  /// since those who were put out may read what was theirs.
  private func join(_ id: String, as name: String, deadline: LoopInstant) async throws(MatrixFailure) {
    if try await !memberships(deadline: deadline).contains(id) {
      _ = try await call(.post, "v3/join/" + URLText.encode(name), body: [:], deadline: deadline)
      joined?.insert(id)
    }
    if !encrypted.contains(id) { try await checkEncryption(of: id, deadline: deadline) }
  }

  /// The rooms that this account is a member of.
  private func memberships(deadline: LoopInstant) async throws(MatrixFailure) -> Set<String> {
    if let joined { return joined }
    let answer = try await call(.get, "v3/joined_rooms", deadline: deadline)
    let members = Set(answer.member("joined_rooms")?.elements.compactMap(\.string) ?? [])
    joined = members
    return members
  }

  private func checkEncryption(of id: String, deadline: LoopInstant) async throws(MatrixFailure) {
    do throws(MatrixFailure) {
      let path = "v3/rooms/\(URLText.encode(id))/state/m.room.encryption/"
      _ = try await call(.get, path, deadline: deadline)
      encrypted.insert(id)
    } catch {
      guard error.status == 404 else { throw error }
    }
  }

  /// Nil when the alias is taken meanwhile.
  private func create(
    _ topic: Topic, _ session: Session, deadline: LoopInstant
  ) async throws(MatrixFailure) -> String? {
    // What only coordination reads is no room that people want in their list.
    let guests = topic.isReserved ? [] : options.invite.filter { $0 != session.account }
    var state: [JSONValue] = [
      [
        "type": "m.room.history_visibility", "state_key": "", "content": ["history_visibility": "shared"],
      ]
    ]
    if topic.name.hasPrefix("@") { state.append(Self.open(to: try await memberships(deadline: deadline))) }
    let body: JSONValue = [
      "room_alias_name": .string(RoomAlias.localpart(of: topic, server: session.serverName)),
      "name": .string(topic.name), "visibility": "private",
      "preset": .string(preset(of: topic)),
      "invite": .array(guests.map { .string($0) }),
      "initial_state": .array(state),
    ]
    do throws(MatrixFailure) {
      let answer = try await call(.post, "v3/createRoom", body: body, deadline: deadline)
      guard let id = answer.member("room_id")?.string else { throw .malformed("a new room without room_id") }
      return id
    } catch {
      if error.code == "M_ROOM_IN_USE" || error.status == 409 { return nil }
      throw error
    }
  }

  private func preset(of topic: Topic) -> String {
    !topic.isReserved && options.visibility == .public ? "public_chat" : "private_chat"
  }

  /// Into a participant's own topic others put invitations, but no stranger who guesses its alias comes in: it is open to
  /// who shares a room with the account that makes it (`restricted`, room version 8 and later).
  private static func open(to rooms: Set<String>) -> JSONValue {
    let allowed = rooms.sorted().prefix(openLimit).map { room -> JSONValue in
      ["type": "m.room_membership", "room_id": .string(room)]
    }
    return [
      "type": "m.room.join_rules", "state_key": "",
      "content": ["join_rule": "restricted", "allow": .array(allowed)],
    ]
  }

  /// Rooms that such a rule names: an event has 64 KiB, a room's id at most 255 bytes.
  private static let openLimit = 150

  /// Forgets a room that a request was refused for, so that the next look-up finds out what became of it.
  func forget(_ room: Room) {
    joined = nil
    guard rooms[room.topic] == room else { return }
    rooms[room.topic] = nil
    if let feed = feeds[room.topic], !feed.isAway { leftRoom(of: feed) }
  }

  private func explain(_ error: MatrixFailure, _ topic: Topic, _ operation: String) -> SeamError {
    var failure = error.seamError(operation)
    guard failure.code == .forbidden || failure.code == .noSuchTopic else { return failure }
    let place = options.rooms[topic.name] ?? "its room"
    failure.cause =
      "topic '\(topic.name)': \(session?.account ?? "this account") may not enter \(place) (\(failure.cause)); "
      + "let a member invite it, or name another room under 'rooms'"
    notes["away " + topic.name] = failure.cause
    return failure
  }

  static func encryptedRoom(_ topic: Topic, _ id: String, _ operation: String) -> SeamError {
    SeamError(
      .unsupported, operation: operation,
      cause: "the room of topic '\(topic.name)' (\(id)) is encrypted, and Parley does not do end-to-end encryption; "
        + "use a room without encryption (it cannot be switched off in a room), for example one that Parley makes")
  }
}
