import ParleyHTTPClient
import ParleyRuntime

extension MatrixBackend {
  /// Events of one room that one answer may bring; more are read by pages.
  private static let timelineLimit = 50
  /// A longer filter is stored on the server instead of being sent with each request.
  private static let filterLimit = 4000

  /// Begins to sync for subscriptions, if it has not begun.
  func startSync() {
    guard !isSyncing else { return }
    isSyncing = true
    let epoch = epoch
    loop.spawn { await self.sync(epoch: epoch) }
  }

  /// The rooms of interest have changed: the request that is waiting is made anew, from the same place.
  func syncDiffers() {
    // Coalesced: a start subscribes many topics in one turn.
    loop.schedule(after: .milliseconds(2)) { [weak self] in
      self?.assumeIsolated { backend in
        guard backend.syncToken != nil, backend.lastSynced != Set(backend.feeds.keys) || backend.hasRoomless else {
          return
        }
        backend.syncRequest?.cancel()
      }
    }
  }

  /// Waits for the first answer of this session; false when the session ended.
  func syncHasBegun(_ epoch: UInt64) async -> Bool {
    while epoch == self.epoch, syncToken == nil {
      guard case .value = await synced.wait(synced.ticket(), until: nil) else { return false }
    }
    return epoch == self.epoch
  }

  private var hasRoomless: Bool { feeds.values.contains { $0.isAway || rooms[$0.topic] == nil } }

  private func sync(epoch: UInt64) async {
    var storedFilter: (text: String, id: String)?
    while epoch == self.epoch, !feeds.isEmpty {
      let isFirst = syncToken == nil
      let covered = feeds
      lastSynced = Set(covered.keys)
      var filter = Self.filter(rooms: isFirst ? [] : roomsToSync())
      if filter.utf8.count > Self.filterLimit {
        if storedFilter?.text != filter {
          if let id = await store(filter) { storedFilter = (filter, id) }
        }
        // A server that stores no filter gets none of rooms: we leave out ourselves what is of no interest.
        filter = storedFilter?.text == filter ? storedFilter?.id ?? "" : Self.filter(rooms: nil)
        guard epoch == self.epoch else { return }
      }
      var query = [("filter", filter), ("timeout", isFirst ? "0" : String(options.syncTimeout.milliseconds))]
      if let syncToken { query.append(("since", syncToken)) }
      query.append(("set_presence", "offline"))
      let (server, fields) = (server, query)
      let deadline = loop.now.advanced(by: options.syncTimeout).advanced(by: options.requestTimeout)
      let request = loop.spawn { () -> Result<JSONSlice, MatrixFailure> in
        do throws(MatrixFailure) {
          return .success(try await server.call(.get, "v3/sync", query: fields, deadline: deadline))
        } catch { return .failure(error) }
      }
      syncRequest = request
      let result = await request.value
      guard epoch == self.epoch else { return }
      switch result {
      case .success(let answer):
        take(answer, covered: covered)
        if !isFirst, Self.isQuiet(answer) { await checkMembership(epoch: epoch) }
      case .failure(let error): if await !recover(from: error) { return }
      }
    }
    if epoch == self.epoch {
      isSyncing = false
      syncToken = nil
    }
  }

  /// Nothing happened in any room until the server gave up waiting.
  private static func isQuiet(_ answer: JSONSlice) -> Bool {
    ["join", "leave", "invite"].allSatisfy { kind in
      answer.member("rooms")?.member(kind)?.members.contains { _ in true } != true
    }
  }

  /// After a /sync that had nothing to tell: a room that an administrator deletes is forgotten for its members too, of
  /// which Synapse tells them nothing.
  private func checkMembership(epoch: UInt64) async {
    let deadline = loop.now.advanced(by: options.requestTimeout)
    // What is entered while this is asked is not in the answer.
    let known = rooms
    guard let answer = try? await call(.get, "v3/joined_rooms", deadline: deadline), epoch == self.epoch,
      let members = answer.member("joined_rooms").map({ Set($0.elements.compactMap(\.string)) })
    else { return }
    for feed in feeds.values where !feed.isAway {
      guard let room = known[feed.topic], room == rooms[feed.topic], !members.contains(room.id) else { continue }
      leftRoom(of: feed)
    }
  }

  /// Whether to go on after a failure.
  private func recover(from error: MatrixFailure) async -> Bool {
    if case .transport(let failure) = error, failure.code == .cancelled { return true }
    if case .rateLimited(let wait) = error.seamError("sync").code {
      await loop.sleep(for: wait)
      return true
    }
    if error.status == 400, syncToken != nil {
      // The server does not know the place any more: everyone reads from where they stand.
      syncToken = nil
      for feed in feeds.values { breakOff(feed) }
      return true
    }
    var loss = error.seamError("sync")
    if loss.code == .timedOut { loss.code = .unavailable }
    lose(loss)
    return false
  }

  private func take(_ answer: JSONSlice, covered: [Topic: Feed]) {
    guard let next = answer.member("next_batch")?.string else {
      return lose(MatrixFailure.malformed("a sync without next_batch").seamError("sync"))
    }
    let isFirst = syncToken == nil
    syncToken = next
    let byRoom = Dictionary(grouping: feeds.values) { $0.roomID ?? "" }
    let places = answer.member("rooms")
    var hasNewRoom = false
    for room in places?.member("join")?.members ?? JSONSlice.emptyObject.members {
      guard let feeds = byRoom[room.name] else {
        hasNewRoom = true
        continue
      }
      // Somebody let us in again.
      if feeds.contains(where: \.isAway) { hasNewRoom = true }
      for feed in feeds where covered[feed.topic] === feed { take(room.value, feed) }
    }
    for room in places?.member("leave")?.members ?? JSONSlice.emptyObject.members {
      for feed in byRoom[room.name] ?? [] where !feed.isAway { leftRoom(of: feed) }
    }
    if places?.member("invite") != nil { hasNewRoom = true }
    // A topic that this request did not ask for: what came meanwhile is not in it.
    for feed in feeds.values where !isFirst && covered[feed.topic] !== feed { breakOff(feed) }
    if isFirst { for feed in feeds.values { breakOff(feed) } }
    if hasNewRoom {
      for feed in feeds.values where feed.isAway { loop.spawn { await self.lookForRoom(of: feed) } }
    }
    synced.resumeAll(())
  }

  private func take(_ place: JSONSlice, _ feed: Feed) {
    guard let room = rooms[feed.topic], let reader = session?.reader, let timeline = place.member("timeline") else {
      return
    }
    var entries: [EventReader.Entry] = []
    for event in timeline.member("events")?.elements ?? JSONSlice.emptyObject.elements {
      if event.member("type")?.isString("m.room.encryption") == true {
        encrypted.insert(room.id)
        notes["encrypted " + feed.topic.name] =
          "the room of topic '\(feed.topic.name)' was encrypted; Parley cannot read it"
        return breakOff(feed)
      }
      if event.member("type")?.isString("m.room.tombstone") == true {
        notes["replaced " + feed.topic.name] =
          "the room of topic '\(feed.topic.name)' was replaced by \(event.member("content")?.member("replacement_room")?.string ?? "another")"
      }
      if let entry = reader.entry(event, in: room) { entries.append(entry) }
    }
    let isWhole = timeline.member("limited")?.bool != true
    // Whether a key recurs is looked up where pages are read, so that no other room waits for it.
    guard isWhole, entries.allSatisfy({ !$0.mayBeCopy || copies[$0.id] == false }) else { return breakOff(feed) }
    deliver(entries, on: feed)
  }

  /// Nil where a topic waits for a room to appear, which may be any.
  private func roomsToSync() -> [String]? {
    hasRoomless ? nil : Set(feeds.keys.compactMap { rooms[$0]?.id }).sorted()
  }

  private static func filter(rooms: [String]?) -> String {
    // Without members' events Synapse would not tell that we were put out of a room.
    let types = EventReader.types + ["m.room.encryption", "m.room.tombstone", "m.room.member"]
    let nothing: JSONValue = ["not_types": ["*"]]
    var room: JSONObject = [
      "timeline": ["limit": .int(Int64(timelineLimit)), "types": .array(types.map { .string($0) })],
      "state": ["types": [], "lazy_load_members": true], "ephemeral": nothing, "account_data": nothing,
    ]
    if let rooms { room["rooms"] = .array(rooms.map { .string($0) }) }
    return JSONValue.object(["room": .object(room), "presence": nothing, "account_data": nothing]).text
  }

  private func store(_ filter: String) async -> String? {
    guard let account = session?.account, let body = try? JSONValue(parsing: filter) else { return nil }
    let path = "v3/user/\(URLText.encode(account))/filter"
    let deadline = loop.now.advanced(by: options.requestTimeout)
    return try? await call(.post, path, body: body, deadline: deadline).member("filter_id")?.string
  }
}
