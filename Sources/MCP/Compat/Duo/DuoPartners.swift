import ParleyCoordination
import ParleyRuntime

/// Partners that have no session of their own here, such as those behind a broker's listener: each is somebody of its
/// own among the partners, and all share one reading of the partners' log.
package actor DuoPartners: LoopActor {
  /// Partners that are known here at the same time.
  private static let capacity = 1_000

  package nonisolated let loop: EventLoop
  let hub: Hub
  private let options: Duo.Options
  private let names: NameRules
  private let log: FoldedLog<PartnerFold>
  private var seats: [String: Duo] = [:]

  /// Makes the table; `options` are those of every partner, but for its id and name. `hub` is nobody's own.
  package init(hub: Hub, options: Duo.Options, guarded: Set<Handle>, isKnown: @escaping @Sendable (Handle) -> Bool) {
    loop = hub.loop
    self.hub = hub
    self.options = options
    names = NameRules(hub: hub, guarded: guarded, isKnown: isKnown)
    log = Duo.log(of: options.topic, hub)
  }

  /// Everyone says goodbye.
  package func stop() async {
    for seat in seats.values { await seat.stop() }
    seats = [:]
    await log.stop()
  }

  private func load() async throws(Refusal) {
    try await refusing { () throws(HubError) in
      try await log.load()
      try await log.catchUp(until: loop.now.advanced(by: hub.setup.patience))
    }
  }

  /// Registers a partner, or registers it again under what it says of itself now.
  func register(_ id: String, name: String?, project: String?) async throws(Refusal) -> DuoRecord.Partner {
    guard project?.utf8.count ?? 0 <= PartnerEvent.projectBytes else {
      throw Refusal(400, "invalid_argument", "projectPath has at most \(PartnerEvent.projectBytes) bytes")
    }
    let duo = try seat(id, name: name ?? id)
    do throws(Refusal) {
      try await duo.register(name: name, project: project)
    } catch {
      if await duo.seat == nil { seats[id] = nil }
      throw error
    }
    return try await record(of: id)
  }

  /// Takes a partner as gone, whoever it is; a listening call of it ends.
  func unregister(_ id: String) async throws(Refusal) {
    try await refusing { () throws(HubError) in _ = try await Duo.unregister(id, hub: hub, log) }
    await seats.removeValue(forKey: id)?.stop()
  }

  /// A partner that registered, here or at an earlier time.
  func partner(_ id: String) async throws(Refusal) -> Duo {
    if let duo = seats[id] {
      try await duo.touch()
      return duo
    }
    try await load()
    guard let known = await log.state.partners[id] else {
      throw Refusal(404, "unknown_partner", "unknown partner \"\(id.prefix(128))\"; register first")
    }
    let duo = try seat(id, name: known.name)
    try await duo.touch()
    return duo
  }

  private func seat(_ id: String, name: String) throws(Refusal) -> Duo {
    if let duo = seats[id] { return duo }
    try names.checkClaim(id, "partnerId")
    guard seats.count < Self.capacity else { throw Refusal(503, "unavailable", "too many partners") }
    var options = options
    (options.id, options.name, options.isNumbered) = (id, name, false)
    let duo = Duo(hub: hub, names: names, options: options, log: log)
    seats[id] = duo
    return duo
  }

  /// The newest messages of a conversation that one of the partners here is in.
  func history(
    _ id: String, limit: Int
  ) async throws(Refusal) -> (me: String, conversation: Conversation, messages: [Message]) {
    for seat in seats.values {
      do throws(Refusal) {
        return try await seat.history(id, limit: limit)
      } catch {
        guard ["conversation_not_found", "name_in_use"].contains(error.code) else { throw error }
      }
    }
    throw Refusal(404, "conversation_not_found", "Conversation not found, or no partner here is in it")
  }

  // MARK: Records

  /// All partners, those seen last first.
  func records() async throws(Refusal) -> [DuoRecord.Partner] {
    try await load()
    let (fold, now) = await (log.state, log.now)
    return fold.partners.values.sorted { ($1.lastSeen, $0.id) < ($0.lastSeen, $1.id) }.map { partner in
      DuoRecord.Partner(
        partner: partner, isOnline: fold.isOnline(partner.id, at: now),
        isListening: fold.isListening(partner.id, at: now))
    }
  }

  func record(of id: String) async throws(Refusal) -> DuoRecord.Partner {
    guard let found = try await records().first(where: { $0.partner.id == id }) else {
      throw Refusal(404, "unknown_partner", "unknown partner \"\(id.prefix(128))\"")
    }
    return found
  }
}
