import ParleyRuntime

/// Reads who there is, in one go: the presence topic, and for people in chat clients who spoke lately, or who is in the
/// rooms of topics where the backend tells.
public struct RosterReader: Sendable {
  /// Pages of the presence topic that are read at most, and topics that are searched for people.
  static let pages = 20
  static let peopleTopics = 50
  /// The newest messages of each topic whose senders count.
  static let peopleMessages = 200

  private let hub: Hub
  /// For records that do not say when their process counts as gone, and for people.
  private let lifetime: Int64

  /// A reader for the hub's participant; `lifetime` is `presence.ttl_ms`.
  public init(hub: Hub, lifetime: Duration) {
    self.hub = hub
    self.lifetime = lifetime.milliseconds
  }

  /// Who can be reached, and whether more was there than was read or asked for.
  public func read(_ query: RosterQuery) async throws(HubError) -> (participants: [Participant], truncated: Bool) {
    let (fold, accounts, now, isCut) = try await presence(query)
    var all = fold.roster(at: now, lifetime: lifetime, since: query.since)
    let known = Set(all.map(\.handle)).union(fold.all.map(\.handle))
    all += try await people(query, at: now, except: known, accounts)
    all.sort { ($1.lastSeen, $0.handle) < ($0.lastSeen, $1.handle) }
    let chosen = await choose(all, query)
    guard let limit = query.limit, chosen.count > limit else { return (chosen, isCut) }
    return (Array(chosen.prefix(limit)), true)
  }

  /// Filters on the hub's loop, whose patterns decide.
  private func choose(_ all: [Participant], _ query: RosterQuery) async -> [Participant] {
    let glob = query.filter.map { Glob($0) }
    return await hub.perform {
      var reachability = Reachability(hub: hub, scope: query.topic)
      return all.filter { participant in
        guard !query.onlineOnly || participant.isOnline, reachability.reaches(participant) else { return false }
        guard let glob else { return true }
        return glob?.matches(participant.handle.name) ?? false
      }
    }
  }

  private func presence(
    _ query: RosterQuery
  ) async throws(HubError) -> (fold: PresenceFold, accounts: Set<String>, now: Int64, isCut: Bool) {
    let topic = hub.setup.presenceTopic
    let wall = hub.loop.wallClockMilliseconds
    let since = wall - max(query.since, lifetime)
    let limit = min(500, hub.setup.limits.pageMessages)
    var page = try await fetch(FetchRequest(topic, .latest, limit: limit))
    let now = max(wall, page.messages.last?.storedAt ?? 0)
    var pages = [page.messages]
    while let previous = page.previous, let oldest = page.messages.first, oldest.storedAt >= since,
      pages.count < Self.pages
    {
      page = try await fetch(FetchRequest(topic, .before(previous, storedSince: since), limit: limit))
      pages.append(page.messages)
    }
    var fold = PresenceFold()
    for message in pages.reversed().joined() { fold.apply(message) }
    let isCut = page.previous != nil && page.messages.first.map { $0.storedAt >= since } ?? false
    return (fold, Set(pages.joined().compactMap(\.account)), now, isCut)
  }

  /// Senders without a record: people in chat clients, and whoever posts from a command line. With them whoever is in
  /// the room, unless it has the account of somebody's process.
  private func people(
    _ query: RosterQuery, at now: Int64, except known: Set<Handle>, _ accounts: Set<String>
  ) async throws(HubError) -> [Participant] {
    let topics = query.topic.map { [$0] } ?? Array(hub.setup.topics.prefix(Self.peopleTopics))
    var found: [Handle: Participant] = [:]
    func note(_ handle: Handle, on topic: Topic, at seen: Int64) {
      guard !known.contains(handle), !handle.name.isEmpty else { return }
      var person =
        found[handle]
        ?? Participant(
          handle: handle, party: .person, isOnline: false, topics: [], postTopics: [], lastSeen: seen, instances: 0)
      person.lastSeen = max(person.lastSeen, seen)
      person.isOnline = now - person.lastSeen < lifetime
      if !person.topics.contains(topic.name) { person.topics.append(topic.name) }
      found[handle] = person
    }
    for topic in topics {
      let limit = min(Self.peopleMessages, hub.setup.limits.pageMessages)
      for message in try await fetch(FetchRequest(topic, .latest, limit: limit)).messages
      where now - message.storedAt < query.since { note(message.sender, on: topic, at: message.storedAt) }
      for occupant in await occupants(of: topic) where occupant.account.map(accounts.contains) != true {
        note(occupant.handle, on: topic, at: occupant.seenAt ?? now)
      }
    }
    return Array(found.values)
  }

  /// Nobody where the backend does not tell, or cannot: who spoke is known all the same.
  private func occupants(of topic: Topic) async -> [Occupant] {
    do throws(SeamError) {
      return try await hub.supervisor.occupants(of: topic, deadline: hub.loop.now.advanced(by: hub.setup.patience))
    } catch {
      return []
    }
  }

  /// A topic that does not exist has nobody on it.
  private func fetch(_ request: FetchRequest) async throws(HubError) -> Page {
    do throws(HubError) {
      return try await hub.fetchUnchecked(request)
    } catch {
      guard case .seam(let failure) = error, failure.code == .noSuchTopic else { throw error }
      return Page(messages: [], next: Cursor(""), hasMore: false)
    }
  }
}
