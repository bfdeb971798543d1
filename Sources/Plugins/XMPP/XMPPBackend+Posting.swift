import ParleyRuntime

extension XMPPBackend {
  /// Sends the draft to the topic's room and returns when the room reflects it with an id; see `Backend.post`.
  public func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    try draft.validate()
    guard draft.content.utf8.count <= contentLimit else {
      throw SeamError(
        .tooLarge(limit: contentLimit), operation: "post",
        cause: "the text has \(draft.content.utf8.count) bytes, the server takes stanzas of \(stanzaLimit)")
    }
    _ = try connected("post")
    guard deadline > loop.now else {
      throw SeamError(.timedOut, operation: "post", cause: "the deadline has passed")
    }
    let room = room(of: draft.topic)
    let key = FlightKey(room: room.jid, originID: WireFormat.originID(of: draft.key))
    let digest = WireFormat.digest(of: draft)
    while let flight = flights[key] {
      guard flight.digest == digest else { throw Self.reused(draft) }
      switch await outcome(of: flight, until: deadline) {
      case .value(.success(let id)):
        return try await settle(id, draft, room, digest, until: deadline, isRepeated: true)
      case .value(.failure(let error)):
        // Its caller gave up before it was sent: now it is ours.
        if flight.isSent || !(error.code == .timedOut || error.code == .cancelled) { throw error }
      case .timedOut, .cancelled:
        throw Self.giveUp(isSent: flight.isSent, isCancelled: Task.isCancelled)
      }
    }
    return try await fly(draft, key, room, digest, until: deadline, mayReenter: true)
  }

  /// A room that does not know us any more stored nothing: it is entered again, once.
  private func fly(
    _ draft: Draft, _ key: FlightKey, _ room: Room, _ digest: [UInt8], until deadline: LoopInstant, mayReenter: Bool
  ) async throws(SeamError) -> Receipt {
    let flight = Flight(digest: digest, loop: loop)
    flights[key] = flight
    do throws(SeamError) {
      if let receipt = try await launch(flight, draft, key, room, digest, until: deadline) {
        flights[key] = nil
        flight.finish(.success(receipt.id.text))
        return receipt
      }
    } catch {
      if flights[key] === flight { flights[key] = nil }
      flight.finish(.failure(error))
      throw error
    }
    switch await outcome(of: flight, until: deadline) {
    case .value(.success(let id)):
      return try await settle(id, draft, room, digest, until: deadline, isRepeated: false)
    case .value(.failure(let error)):
      guard flight.isOutside, mayReenter, flights[key] == nil else { throw error }
      return try await fly(draft, key, room, digest, until: deadline, mayReenter: false)
    case .timedOut: throw Self.giveUp(isSent: true, isCancelled: false)
    case .cancelled: throw Self.giveUp(isSent: true, isCancelled: true)
    }
  }

  private func outcome(
    of flight: Flight, until deadline: LoopInstant
  ) async -> WaitOutcome<Result<String, SeamError>> {
    if let result = flight.result { return .value(result) }
    return await flight.outcome.wait(flight.outcome.ticket(), until: deadline)
  }

  /// Gets a post out, unless it is stored already: then its receipt.
  private func launch(
    _ flight: Flight, _ draft: Draft, _ key: FlightKey, _ room: Room, _ digest: [UInt8], until deadline: LoopInstant
  ) async throws(SeamError) -> Receipt? {
    try await enter(room, as: draft.author.handle, until: deadline)
    var isMarked = draft.key.isChosen
    if doubts[key] != nil {
      if let id = try await find(key, in: room, until: deadline) {
        return try await settle(id, draft, room, digest, until: deadline, isRepeated: true)
      }
      isMarked = true
    }
    if draft.key.isChosen {
      try await readLedger(room, until: deadline)
      if let known = known(key, in: room) {
        guard known.digest == digest else { throw Self.reused(draft) }
        return receipt(known.id, storedAt: known.storedAt, isDuplicate: true)
      }
    }
    let session = try connected("post")
    if !session.hasRoom, await !session.room(until: deadline), deadline > loop.now, !Task.isCancelled {
      throw SeamError(.unavailable, operation: "post", cause: "the session ended meanwhile")
    }
    guard case .joined = room.state else {
      throw SeamError(.unavailable, operation: "post", cause: "we are not in the room at the moment")
    }
    guard !Task.isCancelled else { throw Self.giveUp(isSent: false, isCancelled: true) }
    guard deadline > loop.now else { throw Self.giveUp(isSent: false, isCancelled: false) }
    let mentions = WireFormat.mentions(in: draft.content, accounts: accounts(named: draft.content))
    let bytes = WireFormat.stanza(
      draft, to: room.jid, at: loop.wallClockMilliseconds, originID: key.originID, isMarked: isMarked,
      isFirst: room.isEmpty, mentions: mentions,
      answered: draft.inReplyTo.map { room.author(of: $0.text) }
    ).bytes
    guard bytes.count <= stanzaLimit else {
      throw SeamError(
        .tooLarge(limit: nil), operation: "post",
        cause: "the stanza has \(bytes.count) bytes with its markup, the server takes \(stanzaLimit)")
    }
    flight.lastBefore = room.lastID
    flight.number = try session.send(bytes: bytes)
    flight.isSent = true
    session.expect()
    return nil
  }

  private func accounts(named text: String) -> [Handle: String] {
    var found: [Handle: String] = [:]
    for handle in Mentions.handles(in: text) { found[handle] = options.accounts[handle]?.description ?? seen[handle] }
    return found
  }

  /// The receipt for a post that landed. Where copies are possible, the log's first one counts.
  private func settle(
    _ id: String, _ draft: Draft, _ room: Room, _ digest: [UInt8], until deadline: LoopInstant, isRepeated: Bool
  ) async throws(SeamError) -> Receipt {
    guard draft.key.isChosen else { return receipt(id, storedAt: nil, isDuplicate: isRepeated) }
    let key = FlightKey(room: room.jid, originID: WireFormat.originID(of: draft.key))
    do throws(SeamError) { try await readLedger(room, until: deadline) } catch {
      doubts[key] = .search(lastBefore: nil)
      throw SeamError(.outcomeUnknown, operation: "post", cause: error.cause)
    }
    guard let known = known(key, in: room) else { return receipt(id, storedAt: nil, isDuplicate: isRepeated) }
    guard known.digest == digest else { throw Self.reused(draft) }
    return receipt(known.id, storedAt: known.storedAt, isDuplicate: isRepeated || known.id != id)
  }

  /// The first copy of a key of ours, within the day that keys count.
  private func known(_ key: FlightKey, in room: Room) -> KeyLedger.Entry? {
    guard let session = live?.session, let account = ownAccount(in: room, session),
      let entry = room.ledger.entries[KeyLedger.Name(account: account, originID: key.originID)],
      loop.wallClockMilliseconds - entry.storedAt <= KeyLedger.window
    else { return nil }
    return entry
  }

  private func receipt(_ id: String, storedAt: Int64?, isDuplicate: Bool) -> Receipt {
    Receipt(
      id: MessageID(id), cursor: LogPlace.after(id).cursor, storedAt: storedAt, durability: .unknown,
      isDuplicate: isDuplicate)
  }

  private static func reused(_ draft: Draft) -> SeamError {
    SeamError(.keyReused, operation: "post", cause: "the key '\(draft.key.text)' was used for other content")
  }

  private static func giveUp(isSent: Bool, isCancelled: Bool) -> SeamError {
    if isSent {
      return SeamError(
        .outcomeUnknown, operation: "post", cause: "the room had not reflected the message when the wait ended")
    }
    return SeamError(
      isCancelled ? .cancelled : .timedOut, operation: "post",
      cause: isCancelled ? "the caller cancelled" : "the deadline passed before it was sent")
  }

  // MARK: What the room answers

  /// A reflection with the room's id. Whatever names our origin id under another nickname is somebody else's.
  func land(_ id: String?, originID: String, in room: Room) {
    let key = FlightKey(room: room.jid, originID: originID)
    if let flight = flights[key], flight.isSent {
      flights[key] = nil
      live?.session.met()
      if let id {
        flight.finish(.success(id))
      } else {
        // Not `unavailable`: trying again would show people one copy after the other.
        flight.finish(
          .failure(
            SeamError(
              .storageFull, operation: "post",
              cause: "the room's archive did not store it, as the server's log may explain; who is in the room saw it"))
        )
      }
    }
    // Whoever was told that the outcome is unknown may ask again.
    if let id, doubts[key] != nil {
      doubts[key] = .stored(id)
      doubtChanges.resumeAll(())
    }
  }

  /// An error for a message of ours: it was not stored.
  func takeRefusal(_ stanza: XMLElement, from: JID, in room: Room) {
    guard from.isBare, let originID = stanza["id"] else { return }
    let key = FlightKey(room: room.jid, originID: originID)
    // Not in it any more, or it is gone: joining again makes it anew.
    let isOutside = ["not-acceptable", "item-not-found", "recipient-unavailable"].contains(stanza.errorCondition)
    if let flight = flights[key], flight.isSent {
      flights[key] = nil
      doubts[key] = nil
      live?.session.met()
      let error =
        isOutside
        ? SeamError(.unavailable, operation: "post", cause: "we were no longer in the room")
        : SeamError(stanza: stanza, operation: "post to \(room.jid)")
      flight.isOutside = isOutside
      flight.finish(.failure(error))
    }
    if isOutside, case .joined = room.state {
      room.leave()
      rejoin(room)
    }
  }

  // MARK: Doubt

  /// The session ended: what was sent without a reflection is in doubt.
  func endFlights(_ error: SeamError) {
    for (key, flight) in flights where flight.isSent {
      flights[key] = nil
      doubts[key] = .sent(number: flight.number, lastBefore: flight.lastBefore)
      flight.finish(
        .failure(SeamError(.outcomeUnknown, operation: "post", cause: "the connection ended: \(error.cause)")))
    }
    if doubts.count > 10_000 { doubts = doubts.filter { if case .stored = $0.value { false } else { true } } }
  }

  /// What a new session knows of posts of the last: a resumed one exactly which of them the server handled.
  func settleDoubts(handled: UInt32?) {
    for (key, doubt) in doubts {
      switch doubt {
      case .sent(let number, let lastBefore):
        if let handled {
          doubts[key] = StreamManagement.covers(handled, number) ? .handled(lastBefore: lastBefore) : nil
        } else {
          doubts[key] = .search(lastBefore: lastBefore)
        }
      case .handled(let lastBefore): if handled == nil { doubts[key] = .search(lastBefore: lastBefore) }
      case .search, .stored: break
      }
    }
  }

  /// The id under which a post in doubt is stored; nil where it is not, and will not be.
  private func find(_ key: FlightKey, in room: Room, until deadline: LoopInstant) async throws(SeamError) -> String? {
    let patience = loop.now.advanced(by: .seconds(2))
    while case .handled(let lastBefore) = doubts[key] {
      let outcome = await doubtChanges.wait(doubtChanges.ticket(), until: min(patience, deadline))
      if case .value = outcome { continue }
      if case .handled = doubts[key] { doubts[key] = .search(lastBefore: lastBefore) }
    }
    switch doubts[key] {
    case .stored(let id): return id
    case .search(let lastBefore):
      let id: String?
      do throws(SeamError) { id = try await search(key, in: room, after: lastBefore, until: deadline) } catch {
        guard error.code.isTransient || error.code == .cancelled else { throw error }
        // Nothing was sent now, but what was sent before is as unknown as it was.
        throw SeamError(.outcomeUnknown, operation: "look for an earlier attempt", cause: error.cause)
      }
      doubts[key] = id.map { .stored($0) }
      return id
    case nil, .handled, .sent: return nil
    }
  }

  /// Searches the archive from what was known before the first attempt, else a day back.
  private func search(
    _ key: FlightKey, in room: Room, after start: String?, until deadline: LoopInstant
  ) async throws(SeamError) -> String? {
    let session = try connected("look for an earlier attempt")
    let account = ownAccount(in: room, session)
    var after = start
    while true {
      let page: ArchivePage
      do throws(SeamError) {
        let since = after == nil ? loop.wallClockMilliseconds - KeyLedger.window : nil
        page = try await archive(room, after: after, max: 250, since: since, until: deadline)
      } catch {
        guard error.code == .noSuchTopic, start != nil else { throw error }
        return try await search(key, in: room, after: nil, until: deadline)
      }
      for entry in page.entries {
        guard let content = WireFormat.content(of: entry.stanza), content.originID == key.originID,
          self.account(of: entry, in: room) == account
        else { continue }
        return entry.id
      }
      guard !page.isComplete else { return nil }
      after = page.entries.last?.id
    }
  }
}
