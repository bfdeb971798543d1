import ParleyRuntime

/// An entry of a room's archive.
struct ArchiveEntry: Sendable {
  let id: String
  /// Milliseconds since 1970, as the archive stamps it: whole seconds on Prosody, finer elsewhere.
  let stamp: Int64
  let stanza: XMLElement

  /// In whole seconds everywhere.
  var storedAt: Int64 { stamp / 1000 * 1000 }
}

/// A page of a room's archive, ascending.
struct ArchivePage: Sendable {
  var entries: [ArchiveEntry]
  /// There is nothing more in the direction of the query.
  var isComplete: Bool
}

/// A query that collects its results until its answer comes.
struct ArchiveQuery {
  let room: JID
  let limit: Int
  var entries: [ArchiveEntry] = []
}

extension XMPPBackend {
  /// Asks a room's archive (XEP-0313) for one page: what follows `after`, or what precedes `before` (the newest for an
  /// empty one), or the oldest there is.
  ///
  /// Throws `noSuchTopic` where there is no room, or no entry of that id.
  func archive(
    _ room: Room, after: String? = nil, before: String? = nil, max: Int, since: Int64? = nil,
    until deadline: LoopInstant
  ) async throws(SeamError) -> ArchivePage {
    let operation = "read the archive of \(room.jid)"
    let session = try connected(operation)
    lastQuery += 1
    let name = "q\(lastQuery)-\(String(loop.random(), radix: 36))"
    let limit = min(max, 250)
    var set = XMLElement(
      "set", Namespace.resultSet, children: [XMLElement("max", Namespace.resultSet, text: String(limit))])
    if let after { set.children.append(XMLElement("after", Namespace.resultSet, text: after)) }
    if let before { set.children.append(XMLElement("before", Namespace.resultSet, text: before)) }
    var query = XMLElement("query", Namespace.archive, ["queryid": name])
    if let since {
      func field(_ name: String, _ value: String, type: String? = nil) -> XMLElement {
        XMLElement(
          "field", Namespace.form, ["var": name, "type": type],
          children: [XMLElement("value", Namespace.form, text: value)])
      }
      query.children.append(
        XMLElement(
          "x", Namespace.form, ["type": "submit"],
          children: [field("FORM_TYPE", Namespace.archive, type: "hidden"), field("start", Timestamp.text(since))]))
    }
    query.children.append(set)
    queries[name] = ArchiveQuery(room: room.jid, limit: limit)
    defer { queries[name] = nil }
    let answer: XMLElement
    do throws(SeamError) {
      answer = try await session.request("set", to: room.jid, query, operation, until: deadline)
    } catch { throw explained(error, of: room) }
    room.isKnown = true
    let fin = answer.child("fin", Namespace.archive)
    let isComplete = fin?["complete"] == "true" || fin?["complete"] == "1"
    let entries = queries[name]?.entries ?? []
    // A page without entries cannot be followed by another.
    return ArchivePage(entries: entries, isComplete: isComplete || entries.isEmpty)
  }

  /// Takes a result of a query of ours; whether the stanza claims to be one. Only the room that was asked may answer.
  func takeArchived(_ stanza: XMLElement, from: JID) -> Bool {
    guard let result = stanza.child("result", Namespace.archive) else { return false }
    guard let name = result["queryid"], let query = queries[name], query.room == from,
      query.entries.count < query.limit,
      let id = result["id"], !id.isEmpty, let forwarded = result.child("forwarded", Namespace.forward),
      let stamp = forwarded.child("delay", Namespace.delay)?["stamp"].flatMap({ Timestamp.milliseconds($0) }),
      let message = forwarded.children.first(where: { $0.name == "message" })
    else { return true }
    queries[name]?.entries.append(ArchiveEntry(id: id, stamp: stamp, stanza: message))
    return true
  }

  // MARK: Keys

  /// Reads the keys that the room's archive got since the ledger was last used.
  func readLedger(_ room: Room, until deadline: LoopInstant) async throws(SeamError) {
    let ledger = room.ledger
    let now = loop.wallClockMilliseconds
    if ledger.reachesBackTo == nil {
      ledger.reset()
      ledger.reachesBackTo = now - 2 * KeyLedger.window
    }
    let since = ledger.last == nil ? ledger.reachesBackTo : nil
    while true {
      let page: ArchivePage
      do throws(SeamError) {
        page = try await archive(
          room, after: ledger.last, max: 250, since: ledger.last == nil ? since : nil, until: deadline)
      } catch {
        // What it knew is gone from the archive: it begins anew.
        let isGone = error.code == .noSuchTopic && ledger.last != nil
        ledger.reset()
        guard isGone else { throw error }
        return try await readLedger(room, until: deadline)
      }
      for entry in page.entries { note(entry, in: room) }
      ledger.last = page.entries.last?.id ?? ledger.last
      if page.isComplete { break }
    }
    ledger.prune(now: now)
  }

  private func note(_ entry: ArchiveEntry, in room: Room) {
    guard let content = WireFormat.content(of: entry.stanza), content.isMarked,
      let name = name(of: content, entry, room)
    else { return }
    room.ledger.take(
      name, KeyLedger.Entry(id: entry.id, storedAt: entry.storedAt, digest: WireFormat.digest(of: content)))
  }

  func name(of content: WireFormat.Content, _ entry: ArchiveEntry, _ room: Room) -> KeyLedger.Name? {
    guard let originID = content.originID, let account = account(of: entry, in: room) else { return nil }
    return KeyLedger.Name(account: account, originID: originID)
  }

  /// Our own name in a room's ledger.
  func ownAccount(in room: Room, _ session: XMPPSession) -> String? {
    if room.isNonAnonymous { return session.jid.bare.description }
    return room.occupants[room.nick]?.occupantID.map { "occupant-id:\($0)" }
  }

  func account(of entry: ArchiveEntry, in room: Room) -> String? { room.account(ofArchived: entry.stanza) }

  /// Whether a marked message is a later copy of one within the day before it.
  func isCopy(
    _ content: WireFormat.Content, _ entry: ArchiveEntry, in room: Room, until deadline: LoopInstant
  ) async throws(SeamError) -> Bool {
    guard content.isMarked, let name = name(of: content, entry, room) else { return false }
    if let isFirst = room.ledger.isFirst(name, id: entry.id, storedAt: entry.storedAt) { return !isFirst }
    if entry.storedAt - KeyLedger.window >= room.ledger.reachesBackTo
      ?? (loop.wallClockMilliseconds - 2 * KeyLedger.window)
    {
      try await readLedger(room, until: deadline)
      if let isFirst = room.ledger.isFirst(name, id: entry.id, storedAt: entry.storedAt) { return !isFirst }
    }
    // Older than the ledger: the day before the message is read for it alone.
    var after: String?
    while true {
      let page = try await archive(
        room, after: after, max: 250, since: after == nil ? entry.storedAt - KeyLedger.window : nil, until: deadline)
      for other in page.entries {
        if other.id == entry.id { return false }
        guard let found = WireFormat.content(of: other.stanza), found.isMarked else { continue }
        if self.name(of: found, other, room) == name { return true }
      }
      guard !page.isComplete else { return false }
      after = page.entries.last?.id
    }
  }
}
