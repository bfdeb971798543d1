import ParleyHTTPClient
import ParleyRuntime

extension MatrixBackend {
  /// How far back a key is looked for.
  private static let window: Int64 = 86_400_000

  /// The earliest message of our account with this key among the last 24 hours of the room, read from the newest back
  /// to the event `until`, and the newest event of our account there is.
  func search(
    for key: String, in room: Room, until: String?, deadline: LoopInstant
  ) async throws(MatrixFailure) -> (earliest: EventReader.Entry?, newest: String?) {
    guard let session else { throw .transport(.init(.closed, cause: "not connected")) }
    let scope = EventReader.KeyScope(account: session.account, key: key)
    let oldest = loop.wallClockMilliseconds - Self.window
    var earliest: EventReader.Entry?
    var newest: String?
    var token: String?
    while true {
      let page = try await history(of: room, from: token, backwards: true, limit: 100, by: [scope.account], deadline)
      for event in page.events {
        let id = event.member("event_id")?.string
        newest = newest ?? id
        if let until, id == until { return (earliest, newest) }
        guard event.member("origin_server_ts")?.int ?? 0 >= oldest else { return (earliest, newest) }
        if let entry = session.reader.entry(event, in: room), entry.key == scope { earliest = entry }
      }
      guard let next = page.next else { return (earliest, newest) }
      token = next
    }
  }

  /// Leaves out later copies of messages whose key was used before, within 24 hours (S2). Ascending in, ascending out.
  ///
  /// Costs nothing where no event says that its key may recur; else the time before the first such event is read once.
  func withoutCopies(
    _ entries: [EventReader.Entry], in room: Room, deadline: LoopInstant
  ) async throws(MatrixFailure) -> [EventReader.Entry] {
    let open = entries.filter { $0.mayBeCopy && $0.key != nil && copies[$0.id] == nil }
    if let first = open.first {
      var earlier = try await keys(before: first, of: Set(open.compactMap(\.key)), in: room, deadline: deadline)
      let firstIndex = entries.firstIndex { $0.id == first.id } ?? 0
      for entry in entries[..<firstIndex] { if let key = entry.key { earlier.insert(key) } }
      for entry in entries[firstIndex...] {
        guard let key = entry.key else { continue }
        if entry.mayBeCopy, copies[entry.id] == nil { copies[entry.id] = earlier.contains(key) }
        earlier.insert(key)
      }
    }
    return entries.filter { copies[$0.id] != true }
  }

  /// Which of these keys stand in the 24 hours before an event.
  private func keys(
    before entry: EventReader.Entry, of wanted: Set<EventReader.KeyScope>, in room: Room, deadline: LoopInstant
  ) async throws(MatrixFailure) -> Set<EventReader.KeyScope> {
    guard let reader = session?.reader else { return [] }
    let oldest = entry.message.storedAt - Self.window
    var found: Set<EventReader.KeyScope> = []
    var token: String? = try await context(of: entry.id, in: room, deadline: deadline)?.end
    let accounts = Set(wanted.map(\.account)).sorted()
    while let from = token, found != wanted {
      let page = try await history(of: room, from: from, backwards: true, limit: 100, by: accounts, deadline)
      for event in page.events {
        guard event.member("origin_server_ts")?.int ?? 0 >= oldest else { return found }
        guard let other = reader.entry(event, in: room), other.id != entry.id else { continue }
        if let key = other.key, wanted.contains(key) { found.insert(key) }
      }
      token = page.next
    }
    return found
  }
}
