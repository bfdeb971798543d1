import ParleyConformance
import ParleyCoordination
@testable import ParleyMonitor
import ParleyRuntime

/// Two participants on one simulated store in virtual time: `ada` acts, `bob` looks on.
struct MonitorWorld: Sendable {
  let loop: EventLoop
  let ada: Hub
  let bob: Hub
  let adaTasks: Tasks

  static func play(_ body: @escaping @Sendable (MonitorWorld) async throws -> Void) throws {
    let loop = try EventLoop(seed: 5)
    let store = SimulatedStore(loop: loop)
    let supervisors = [0, 1].map { _ in Supervisor(loop: loop, backend: SimulatedBackend(store: store)) }
    let (ada, bob) = (try hub("ada", supervisors[0]), try hub("bob", supervisors[1]))
    let world = MonitorWorld(loop: loop, ada: ada, bob: bob, adaTasks: Tasks(hub: ada))
    try loop.run { () async -> Result<Void, any Error> in
      let lives = supervisors.map { supervisor in loop.spawn { await supervisor.run() } }
      let result: Result<Void, any Error>
      do { result = .success(try await body(world)) } catch { result = .failure(error) }
      await world.adaTasks.stop()
      for life in lives {
        life.cancel()
        await life.value
      }
      return result
    }.get()
  }

  private static func hub(_ name: String, _ supervisor: Supervisor) throws -> Hub {
    try Hub(
      setup: Hub.Setup(
        author: Author(handle: Handle(name), instance: "instance-\(name)"), topics: [Topic("general"), Topic("ops")]),
      supervisor: supervisor)
  }

  /// Ada says something.
  @discardableResult
  func say(_ text: String, on topic: String = "general", to: String? = nil) async throws -> Receipt {
    try await ada.post(PostRequest(topic: Topic(topic), content: text, to: to.map { Handle($0) }))
  }

  /// A started feed for bob; it is stopped after `body`.
  func withFeed(
    _ options: MonitorOptions = MonitorOptions(), _ body: (MonitorFeed, MonitorChanges) async throws -> Void
  ) async throws {
    let feed = try MonitorFeed(hub: bob, options: options)
    let changes = MonitorChanges(loop: loop)
    try await feed.start { changes.note() }
    do {
      try await body(feed, changes)
      await feed.stop()
    } catch {
      await feed.stop()
      throw error
    }
  }
}
