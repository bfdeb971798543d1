import ParleyRuntime
import ParleyTLS

extension XMPPBackend {
  /// Returns when we are in the room, which is made where it does not exist.
  func enter(_ room: Room, as handle: Handle? = nil, until deadline: LoopInstant) async throws(SeamError) {
    while true {
      let session = try connected("join \(room.jid)")
      switch room.state {
      case .joined:
        if let handle { rename(room, to: handle, session) }
        return
      case .out:
        room.state = .joining
        room.trouble = nil
        loop.spawn { await self.join(room, as: handle, session) }
      case .joining: break
      }
      switch await room.joins.wait(room.joins.ticket(), until: deadline) {
      case .value: break
      case .timedOut:
        throw SeamError(.timedOut, operation: "join \(room.jid)", cause: "the room did not answer before the deadline")
      case .cancelled: throw SeamError(.cancelled, operation: "join \(room.jid)", cause: "the caller cancelled")
      }
      if case .out = room.state, let trouble = room.trouble { throw trouble }
    }
  }

  /// Joins, however long the callers wait, and tells them.
  private func join(_ room: Room, as handle: Handle?, _ session: XMPPSession) async {
    guard await joining.enter() else { return room.joins.resumeAll(()) }
    defer { joining.leave() }
    // The session may have ended while it waited for its turn.
    guard live?.session === session, case .joining = room.state else { return room.joins.resumeAll(()) }
    do throws(SeamError) {
      let isNew = try await present(room, as: handle, session)
      let deadline = loop.now.advanced(by: options.timeout)
      if isNew { try await configure(room, session, until: deadline) }
      room.features = try await features(of: room, until: deadline)
      try requireArchive(room)
      let newest = try await archive(room, before: "", max: 1, until: deadline)
      guard live?.session === session, case .joining = room.state else {
        throw SeamError(.unavailable, operation: "join \(room.jid)", cause: "we were removed while we joined")
      }
      room.lastID = newest.entries.last?.id ?? room.lastID
      room.isEmpty = newest.entries.isEmpty
      room.isKnown = true
      room.trouble = nil
      room.state = .joined
      room.lastHeard = loop.now
    } catch {
      if live?.session === session {
        room.leave()
        room.trouble =
          error.code == .timedOut ? SeamError(.unavailable, operation: error.operation, cause: error.cause) : error
      }
    }
    room.joins.resumeAll(())
  }

  /// Sends presence under one nickname after the other until the room takes one; whether the room is new.
  private func present(_ room: Room, as handle: Handle?, _ session: XMPPSession) async throws(SeamError) -> Bool {
    let base = nickname(for: handle)
    room.hasDefaultNick = options.nick == nil && handle == nil
    var conflicts = 0
    var tries = 0
    while true {
      room.nick = Self.nickname(base, attempt: conflicts, account: session.jid)
      var wish = XMLElement(
        "x", Namespace.muc, children: [XMLElement("history", Namespace.muc, ["maxstanzas": "0"])])
      if room.asksForPassword, let password = options.roomPassword {
        wish.children.append(XMLElement("password", Namespace.muc, text: password))
      }
      let ticket = room.entering.ticket()
      try session.send(
        XMLElement(
          "presence", Namespace.client, ["to": room.jid.with(resource: room.nick).description], children: [wish]))
      session.expect()
      let entry = await room.entering.wait(ticket, until: loop.now.advanced(by: options.timeout))
      session.met()
      switch entry {
      case .value(.entered(let isNew)): return isNew
      case .value(.ended(let error)): throw error
      case .value(.refused(let stanza)):
        tries += 1
        switch stanza.errorCondition {
        case "conflict" where conflicts < 5: conflicts += 1
        // Somebody else is making it at this moment.
        case "item-not-found" where tries <= 8, "recipient-unavailable" where tries <= 8:
          guard await loop.sleep(for: .milliseconds(100 * tries)) else { throw Self.cancelled(room) }
        // The password is told to rooms that ask for one, and to no others.
        case "not-authorized" where options.roomPassword != nil && !room.asksForPassword: room.asksForPassword = true
        default: throw refusal(stanza, of: room)
        }
      case .timedOut:
        throw SeamError(.unavailable, operation: "join \(room.jid)", cause: "the room does not answer")
      case .cancelled: throw Self.cancelled(room)
      }
    }
  }

  private static func cancelled(_ room: Room) -> SeamError {
    SeamError(.cancelled, operation: "join \(room.jid)", cause: "the caller cancelled")
  }

  // MARK: Nicknames

  private func nickname(for handle: Handle?) -> String {
    let wanted = options.nick ?? handle?.name ?? options.username
    var clean = ""
    for scalar in wanted.unicodeScalars.prefix(128) {
      let isPlain = scalar.properties.generalCategory != .control && XMLText.isFaithful(String(scalar))
      clean.unicodeScalars.append(isPlain ? scalar : "_")
    }
    let trimmed = clean.drop { $0 == " " }
    return trimmed.isEmpty ? options.username : String(trimmed)
  }

  /// Where somebody else has the name: the same suffix each time, from the account, then from the session.
  static func nickname(_ base: String, attempt: Int, account: JID) -> String {
    switch attempt {
    case 0: base
    case 1: "\(base)-\(SHA256.hexadecimal(account.bare.description, digits: 4))"
    default: "\(base)-\(SHA256.hexadecimal("\(account)#\(attempt)", digits: 6))"
    }
  }

  /// The first post gives its handle to a session that is in the room under the account's name.
  private func rename(_ room: Room, to handle: Handle, _ session: XMPPSession) {
    guard room.hasDefaultNick, options.nick == nil else { return }
    room.hasDefaultNick = false
    let wanted = nickname(for: handle)
    guard wanted != room.nick else { return }
    _ = try? session.send(
      XMLElement("presence", Namespace.client, ["to": room.jid.with(resource: wanted).description]))
  }

  // MARK: What the room says

  func takePresence(_ stanza: XMLElement, from: JID, in room: Room) {
    let user = stanza.child("x", Namespace.mucUser)
    let codes = Set(user?.all("status", Namespace.mucUser).compactMap { $0["code"] } ?? [])
    let item = user?.child("item", Namespace.mucUser)
    let isOwn = codes.contains("110") || (from.resource == room.nick && !from.isBare)
    room.lastHeard = loop.now
    switch stanza["type"] {
    case nil:
      room.occupants[from.resource] = Room.Occupant(
        jid: item?["jid"].flatMap { JID($0) }, occupantID: stanza.child("occupant-id", Namespace.occupantID)?["id"])
      guard isOwn else { return }
      room.nick = from.resource
      room.entering.resumeAll(.entered(isNew: codes.contains("201")))
    case "unavailable":
      room.occupants[from.resource] = nil
      guard isOwn else { return }
      if codes.contains("303"), let nick = item?["nick"] {
        room.nick = nick
        return
      }
      // Kicked, banned, destroyed, shut down, or the room forgot us.
      let isIn: Bool
      if case .joined = room.state { isIn = true } else { isIn = false }
      room.leave()
      if user?.child("destroy", Namespace.mucUser) != nil { room.features = nil }
      if isIn { rejoin(room) } else { room.joins.resumeAll(()) }
    case "error":
      if case .joining = room.state { room.entering.resumeAll(.refused(stanza)) }
    default: break
    }
  }

  /// Goes back into a room that subscriptions need, and lets them catch up from the archive.
  func rejoin(_ room: Room) {
    guard !room.feeds.isEmpty, let session = live?.session else { return }
    for feed in room.feeds where !feed.isPaused { feed.state = .reading(isDirty: false) }
    loop.spawn { await self.comeBack(to: room, session) }
  }

  private func comeBack(to room: Room, _ session: XMPPSession) async {
    var pause = Duration.milliseconds(200)
    while live?.session === session, !room.feeds.isEmpty {
      do throws(SeamError) {
        try await enter(room, until: loop.now.advanced(by: options.timeout))
        for feed in room.feeds { wake(feed) }
        return
      } catch {
        await loop.sleep(for: pause)
        pause = min(pause * 2, .seconds(60))
      }
    }
  }

  /// What service discovery says of the room; throws `noSuchTopic` where there is none.
  func features(of room: Room, until deadline: LoopInstant) async throws(SeamError) -> RoomFeatures {
    let session = try connected("ask \(room.jid)")
    let answer = try await session.request(
      "get", to: room.jid, XMLElement("query", Namespace.info), "ask \(room.jid)", until: deadline)
    return RoomFeatures(answer.child("query", Namespace.info) ?? XMLElement("query", Namespace.info))
  }

  func requireArchive(_ room: Room) throws(SeamError) {
    guard let features = room.features else { return }
    guard features.hasArchive, features.hasStanzaIDs else {
      throw SeamError(
        .unsupported, operation: "use \(room.jid)",
        cause: "the room keeps no archive (XEP-0313 with stanza ids): on Prosody enable muc_mam at the component "
          + "\(options.mucService), on ejabberd mod_mam and the room's option mam, and archiving in the room itself")
    }
  }
}
