import ParleyRuntime

/// Where somebody stands who comes (back) to a topic, in one piece.
public struct Orientation: Sendable {
  /// The topic.
  public var topic: Topic
  /// Who is there now.
  public var here: [Participant]
  /// Up to where the participant has read; nil where it never said so.
  public var mark: Cursor?
  /// The latest summary for the participant or for all.
  public var summary: Summary?
  /// What the participant holds, what is for it, and what it waits for: tasks that are not over.
  public var tasks: [TaskRecord]
  /// The newest messages, ascending, without bookkeeping.
  public var messages: [Message]
  /// Where reading goes on.
  public var next: Cursor
  /// The store's time, milliseconds since 1970.
  public var now: Int64
}

extension Coordination {
  /// Participants that an orientation names at most.
  static let oriented = 50

  /// What somebody needs who comes (back) to a topic, with the newest `limit` messages.
  public func orientation(on topic: Topic, limit: Int, in hub: Hub) async throws(HubError) -> Orientation {
    try await hub.check(topic)
    let me = hub.setup.author.handle
    var query = RosterQuery()
    query.topic = topic
    query.onlineOnly = true
    query.limit = Self.oriented
    let here = try await RosterReader(hub: hub, lifetime: hub.setup.presenceLifetime).read(query).participants
    let board = try await tasks.board(of: topic, ended: 0)
    let mine = board.live.filter { task in
      task.to == me || task.poster.handle == me || task.heldClaim(at: board.now)?.holder.handle == me
    }
    let page = try await hub.fetch(
      FetchRequest(topic, .latest, limit: min(max(1, limit) * 2, hub.setup.limits.pageMessages)))
    let written = try await summaries.latest(on: topic)
    return Orientation(
      topic: topic, here: here.filter { $0.handle != me }, mark: await marks.marks[topic],
      summary: written.latest(for: me), tasks: mine,
      messages: page.messages.filter { !$0.isQuiet }.suffix(limit), next: page.next, now: board.now)
  }
}
