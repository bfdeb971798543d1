import Glibc
import ParleyRuntime

/// The sessions of the revisions with a handshake, by id. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class SessionTable: @unchecked Sendable {
  private let loop: EventLoop
  private let limit: Int
  private let idleTime: Duration
  private let ended: (Inbox) -> Void
  private var sessions: [String: LegacySession] = [:]
  private var sweep: LoopTimer?

  /// `ended` is given the inbox of each session that is over.
  init(loop: EventLoop, limit: Int, idleTime: Duration, ended: @escaping (Inbox) -> Void) {
    self.loop = loop
    self.limit = limit
    self.idleTime = idleTime
    self.ended = ended
  }

  var count: Int { sessions.count }
  var all: [LegacySession] { Array(sessions.values) }

  /// The session with this id, where it is this principal's. A session never vouches for whoever knows its id.
  func find(_ id: String, of principal: Principal) -> LegacySession? {
    sessions[id].flatMap { $0.principal.name == principal.name ? $0 : nil }
  }

  /// 128 bits of the system's randomness; nil where there are too many sessions, all of them in use.
  func newID() -> String? {
    if sessions.count >= limit {
      guard let idle = sessions.values.filter({ !$0.isInUse }).min(by: { $0.lastUse < $1.lastUse }) else { return nil }
      end(idle)
    }
    return UUIDv4.make()
  }

  func insert(_ session: LegacySession) {
    sessions[session.id] = session
    if sweep == nil { sweepLater() }
  }

  func end(_ session: LegacySession) {
    sessions[session.id] = nil
    if let inbox = session.end() { ended(inbox) }
  }

  func endAll() {
    for session in Array(sessions.values) { end(session) }
    if let sweep { loop.cancel(sweep) }
    sweep = nil
  }

  /// Sessions that nobody has used for a while end.
  private func sweepLater() {
    let step = min(idleTime, .seconds(60))
    sweep = loop.schedule(after: step) { [weak self] in
      guard let self else { return }
      sweep = nil
      let now = loop.now
      for session in Array(sessions.values)
      where !session.isInUse && session.lastUse.advanced(by: idleTime) <= now {
        end(session)
      }
      if !sessions.isEmpty { sweepLater() }
    }
  }
}
