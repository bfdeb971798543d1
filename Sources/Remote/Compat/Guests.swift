import ParleyMCP
import ParleyRuntime

/// Those who use tool sets of other systems, each from its first request until it was away for a while. Confined to the
/// loop.
///
/// Clients with a consent for one handle are one guest, at every door on the same records: a client registers anew whenever
/// it likes, and is the same participant to the owner. A token is one of its own, since the owner makes it for one program.
//
// @unchecked: confined to the loop's thread.
final class Guests: @unchecked Sendable {
  private static let limit = 10_000

  private let options: CompatOptions
  private let supervisor: Supervisor
  private let idleTime: Duration
  private var guests: [String: Guest] = [:]
  private var sweep: LoopTimer?
  private var loop: EventLoop { supervisor.loop }

  init(_ options: CompatOptions, supervisor: Supervisor, idleTime: Duration) {
    self.options = options
    self.supervisor = supervisor
    self.idleTime = idleTime
  }

  /// Whether any set is offered.
  var isEmpty: Bool { options.isEmpty }
  /// Whether sessions can be pushed into by them.
  var pushes: Bool { options.channels != nil }

  /// The guest that a principal is; `room` is whose handle it has.
  func guest(of principal: Principal, in room: Room) throws(HubError) -> Guest {
    if let guest = guests[principal.guest] { return guest }
    if guests.count >= Self.limit,
      let idle = guests.filter({ $0.value.uses == 0 }).min(by: { $0.value.lastUse < $1.value.lastUse })
    {
      guests.removeValue(forKey: idle.key)?.stop()
    }
    var setup = room.participant.hub.setup
    setup.author = Author(
      handle: setup.author.handle, instance: Self.instance(of: principal),
      stableInstance: setup.author.stableInstance)
    let guest = Guest(options, hub: try Hub(setup: setup, supervisor: supervisor), beside: room.setup)
    guests[principal.guest] = guest
    if sweep == nil { sweepLater() }
    return guest
  }

  /// What names are bound to: the same for one guest at every replica and after a restart, where something lets it in that
  /// has an id of its own.
  private static func instance(of principal: Principal) -> String {
    principal.holder.isEmpty ? UUIDv4.make() : "guest-\(SHA256.hexadecimal(principal.guest, digits: 32))"
  }

  /// The sets in which a session is somebody of its own; nil where none is offered.
  func agent(of hub: Hub) -> SessionAgent? {
    pushes ? SessionAgent(CompatSets(options.ofOneSession, hub: hub), loop: loop) : nil
  }

  private func sweepLater() {
    sweep = loop.schedule(after: min(idleTime, .seconds(60))) { [weak self] in
      guard let self else { return }
      sweep = nil
      for (name, guest) in guests where guest.uses == 0 && guest.lastUse.advanced(by: idleTime) <= loop.now {
        guests[name] = nil
        guest.stop()
      }
      if !guests.isEmpty { sweepLater() }
    }
  }

  /// All say goodbye; the tasks that end with it.
  func stop() -> [Task<Void, Never>] {
    if let sweep { loop.cancel(sweep) }
    sweep = nil
    let all = guests.values
    guests = [:]
    return all.map { $0.stop() }
  }
}
