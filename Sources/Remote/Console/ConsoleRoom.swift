import ParleyCoordination
import ParleyRuntime

/// The owner as a participant of the conversation, and what the console shows of it. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class ConsoleRoom: @unchecked Sendable {
  /// Those who are offline are listed for an hour, in milliseconds.
  private static let offline: Int64 = 3_600_000
  /// Of the tasks that are over, so many for each topic.
  private static let ended = 5

  let participant: Participant
  let desk: ApprovalDesk?
  private let approvals: ApprovalRules?
  private let supervisor: Supervisor
  var hub: Hub { participant.hub }
  private var watching: [Task<Void, Never>] = []

  init(participant: Participant, supervisor: Supervisor, approvals: ApprovalRules?) {
    self.participant = participant
    self.supervisor = supervisor
    self.approvals = approvals
    desk = approvals.map { ApprovalDesk(hub: participant.hub, rules: $0) }
  }

  // MARK: News

  /// Calls `changed` on the loop after whatever changes a page.
  func watch(_ changed: @escaping @Sendable () -> Void) {
    participant.onChange(changed)
    supervisor.assumeIsolated { $0.observeHealth { _ in changed() } }
    let apart =
      [hub.setup.presenceTopic] + (approvals.map { [$0.topic] } ?? []).filter { !hub.setup.topics.contains($0) }
    watching = apart.map { topic in hub.loop.spawn { [hub] in await Self.follow(topic, hub, changed) } }
  }

  private static func follow(_ topic: Topic, _ hub: Hub, _ changed: @escaping @Sendable () -> Void) async {
    while !Task.isCancelled {
      do throws(HubError) {
        let end = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: 1)).next
        _ = await hub.supervisor.follow(topic, after: end) { _ in
          changed()
          return .more
        }
        return
      } catch {
        guard case .seam(let failure) = error, failure.code.isTransient else { return }
        await hub.loop.sleep(for: .seconds(1))
      }
    }
  }

  func stop() { for task in watching { task.cancel() } }

  // MARK: What is shown

  var health: Health { supervisor.assumeIsolated { $0.health } }

  /// Waits until what is unread is known, a moment.
  func unread() async -> [Topic: Unread] {
    _ = await participant.inbox.ready(until: hub.loop.now.advanced(by: .seconds(1)))
    return participant.inbox.assumeIsolated { $0.unread }
  }

  func participants() async throws(HubError) -> [ParleyCoordination.Participant] {
    var query = RosterQuery()
    query.since = Self.offline
    query.limit = 200
    return try await RosterReader(hub: hub, lifetime: hub.setup.presenceLifetime).read(query).participants
  }

  /// A page of a topic that the owner may use; those of the coordination parts are none.
  func messages(of topic: Topic, at position: Position, isWhole: Bool) async throws(HubError) -> ConsoleMessages {
    guard !topic.isReserved else { throw .topicNotAllowed(topic) }
    let limit = isWhole ? 1 : min(ConsoleMessages.limit, hub.setup.limits.pageMessages)
    let page = try await hub.fetch(FetchRequest(topic, position, limit: limit))
    return ConsoleMessages(topic: topic, position: position, page: page, isWhole: isWhole)
  }

  /// The boards of all topics; a topic without tasks has none.
  func boards() async throws(HubError) -> [(topic: Topic, board: Tasks.Board)] {
    var boards: [(topic: Topic, board: Tasks.Board)] = []
    for topic in hub.setup.topics {
      let board = try await participant.coordination.tasks.board(of: topic, ended: Self.ended)
      if !board.live.isEmpty || !board.ended.isEmpty { boards.append((topic, board)) }
    }
    return boards
  }

  func requests() async throws(HubError) -> [ApprovalDesk.Open] { try await desk?.open() ?? [] }
}
