import ParleyCoordination
import ParleyRuntime

/// Who is here, read again when the presence topic has news and when somebody's time runs out. Confined to its loop.
//
// @unchecked: confined to the loop's thread, by the feed that owns it.
final class MonitorRoster: @unchecked Sendable {
  private let hub: Hub
  private let query: RosterQuery
  private let reader: RosterReader
  private(set) var participants: [Participant] = []
  /// How long one read of the store took.
  private(set) var readTime: Duration?
  private var known: Set<Handle> = []
  private var follow: FollowID?
  private var timer: LoopTimer?
  private var lastRead: LoopInstant?
  private var isDue = false

  init(hub: Hub, query: RosterQuery) {
    self.hub = hub
    self.query = query
    reader = RosterReader(hub: hub, lifetime: hub.setup.presenceLifetime)
  }

  /// Whether a sender is in the list already.
  func knows(_ handle: Handle) -> Bool { known.contains(handle) }

  /// Runs `action` as soon as the last reading is `interval` ago; calls until then are one.
  func refreshLater(atMostEvery interval: Duration, _ action: @escaping () -> Void) {
    guard !isDue else { return }
    isDue = true
    if let timer { hub.loop.cancel(timer) }
    let wait = lastRead.map { hub.loop.now.duration(to: $0.advanced(by: interval)) } ?? .zero
    timer = hub.loop.schedule(after: max(wait, .zero)) { action() }
  }

  /// Reads who is here, and calls `stale` when that will not hold any more.
  func refresh(isolation: isolated (any Actor)? = #isolation, _ stale: @escaping @Sendable () -> Void) async {
    isDue = false
    lastRead = hub.loop.now
    do throws(HubError) {
      let start = hub.loop.now
      let page = try await hub.fetchUnchecked(FetchRequest(hub.setup.presenceTopic, .latest, limit: 1))
      readTime = start.duration(to: hub.loop.now)
      if follow == nil {
        follow = await hub.supervisor.follow(hub.setup.presenceTopic, after: page.next) { _ in
          stale()
          return .more
        }
      }
      participants = try await reader.read(query).participants
      known.formUnion(participants.map(\.handle))
    } catch {
      // The backend's state is on the screen; what was known stays.
      Log.write(.info, "who is here could not be read", [("cause", error.description)])
    }
    scheduleExpiry(stale)
  }

  private func scheduleExpiry(_ stale: @escaping @Sendable () -> Void) {
    // News came meanwhile: it is read again soon.
    guard !isDue else { return }
    if let timer { hub.loop.cancel(timer) }
    let now = hub.loop.wallClockMilliseconds
    let lifetime = hub.setup.presenceLifetime.milliseconds
    let next = participants.filter(\.isOnline).map { $0.lastSeen + lifetime }.filter { $0 > now }.min()
    timer = next.map { next in hub.loop.schedule(after: .milliseconds(next - now + 1)) { stale() } }
  }

  func stop(isolation: isolated (any Actor)? = #isolation) async {
    if let timer { hub.loop.cancel(timer) }
    timer = nil
    if let follow { await hub.supervisor.unfollow(follow) }
    follow = nil
  }
}
