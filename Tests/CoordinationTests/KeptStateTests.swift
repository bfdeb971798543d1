import Glibc
import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyCoordination

/// What a run leaves for the next one: it saves reading, and never says anything that the log does not.
@Suite struct KeptStateTests {
  /// A store, and runs over it one after the other.
  private struct World: Sendable {
    let loop: EventLoop
    let store: SimulatedStore
    let folder: TemporaryDirectory
    static let general = Topic("general")
    static let page = 10

    static func run(_ body: @escaping @Sendable (World) async throws -> Void) throws {
      let loop = try EventLoop(name: "test")
      let folder = try TemporaryDirectory()
      try loop.run { () async -> Result<Void, any Error> in
        do {
          try await body(World(loop: loop, store: SimulatedStore(loop: loop), folder: folder))
          return .success(())
        } catch { return .failure(error) }
      }.get()
    }

    /// One run: its tasks, with what is left in the folder where it `keeps`.
    func session<Value: Sendable>(
      keeps: Bool = true, on store: SimulatedStore? = nil,
      _ body: @Sendable (Hub, Tasks) async throws -> Value
    ) async throws -> Value {
      let supervisor = Supervisor(loop: loop, backend: SimulatedBackend(store: store ?? self.store))
      let life = loop.spawn { await supervisor.run() }
      var setup = Hub.Setup(author: Author(handle: Handle("ada"), instance: "one"), topics: [Self.general])
      if keeps { setup.stateFolder = folder.path("state") }
      let hub = try Hub(setup: setup, supervisor: supervisor)
      let tasks = Tasks(hub: hub, pageLimit: Self.page)
      let value = try await body(hub, tasks)
      await tasks.stop()
      life.cancel()
      await life.value
      return value
    }

    /// Reads the board in a run of its own: the state, and how many messages were read for it.
    func start(keeps: Bool = true, on store: SimulatedStore? = nil) async throws -> (state: String, read: Int) {
      let store = store ?? self.store
      let before = store.fetchedMessages
      return try await session(keeps: keeps, on: store) { _, tasks in
        _ = try await tasks.board(of: Self.general, catchesUp: false)
        let read = store.fetchedMessages - before
        return (try await tasks.state(of: Self.general).fold.text, read)
      }
    }

    /// Posts so many tasks, every third of which is done, with chatter between.
    func work(_ count: Int, keeps: Bool = true, on store: SimulatedStore? = nil) async throws {
      try await session(keeps: keeps, on: store) { hub, tasks in
        for number in 0..<count {
          let (task, _) = try await tasks.post(TaskPost(topic: Self.general, title: "t\(number)", body: "body"))
          _ = try await hub.post(PostRequest(topic: Self.general, content: "chatter"))
          guard number % 3 == 0 else { continue }
          let taken = try await tasks.claim(task.id.text)
          _ = try await tasks.update(task.id.text, fence: taken.claim?.fence.text, .done(result: "r\(number)"))
        }
        // A task that was posted last may be on its way back still.
        _ = try await tasks.state(of: Self.general)
      }
    }

    /// Where the state of the topic is left; nil where there is none.
    var file: String? {
      let name = "\(TaskFold().keptAs ?? "") \(TaskEvent.longest + 3_600_000) \(Self.general.name)"
      let path = StateFileHandle(folder: folder.path("state"), name: name).path
      return access(path, F_OK) == 0 ? path : nil
    }

    var length: Int { store.history(of: Self.general).count }
  }

  @Test func onlyWhatIsNewIsRead() throws {
    try World.run { world in
      // What one page brings needs no file.
      try await world.work(3)
      _ = try await world.start()
      #expect(world.file == nil)
      try await world.work(30, keeps: false)
      let whole = world.length
      let cold = try await world.start()
      #expect(cold.read == whole)
      let path = try #require(world.file)
      var status = stat()
      #expect(unsafe stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
      // The message that the state ends with, and nothing else.
      let warm = try await world.start()
      #expect(warm.read == 1 && warm.state == cold.state)
      try await world.work(2, keeps: false)
      let news = world.length - whole
      let next = try await world.start()
      let reference = try await world.start(keeps: false)
      #expect(next.read == news + 1 && next.state == reference.state && reference.read == world.length)
      // A run that saw more than a page leaves its own end.
      try await world.work(30)
      let last = try await world.start()
      let all = try await world.start(keeps: false)
      #expect(last.read <= 2 && last.state == all.state)
    }
  }

  @Test func whatIsDamagedOrForeignChangesNothing() throws {
    try World.run { world in
      try await world.work(30, keeps: false)
      let cold = try await world.start()
      let path = try #require(world.file)
      let good = try #require(TextFile.read(path))
      #expect(try await world.start().read == 1)
      let lines = good.split(separator: "\n", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
      #expect(lines.count == 4)
      var damaged = [
        "", "\n\n\n", String(good.dropLast()), good + " ", String(good.dropFirst(20)), "{}",
        good.replacing("body", with: "Body", maxReplacements: 1), good.replacing("\"order\":[", with: "\"order\":[[]"),
      ]
      // Whole, with a sum that is right: of another version, of another state, and one that is no state.
      let state = try #require(KeptState(Array(good.utf8)))
      var other = state
      other.name += "x"
      var empty = state
      empty.state = Array("{}".utf8)
      var foreign = state
      foreign.last.content += "!"
      var nowhere = state
      nowhere.anchor = Cursor("sqlite.abc.1")
      for kept in [other, empty, foreign, nowhere] { damaged.append(String(decoding: kept.bytes, as: UTF8.self)) }
      for text in damaged {
        try TextFile.write(text, to: path)
        #expect(chmod(path, 0o600) == 0)
        let start = try await world.start()
        #expect(start.state == cold.state && start.read >= world.length, "\(text.prefix(200))")
      }
      // What others could have written is not read, and a link is not followed.
      try TextFile.write(good, to: path)
      #expect(chmod(path, 0o644) == 0)
      #expect(try await world.start().read >= world.length)
      try TextFile.write(good, to: world.folder.path("elsewhere"))
      #expect(chmod(world.folder.path("elsewhere"), 0o600) == 0)
      #expect(unlink(path) == 0 && symlink(world.folder.path("elsewhere"), path) == 0)
      #expect(try await world.start().read >= world.length)
    }
  }

  /// A log that lost its end or its beginning, or is another one under the same name, is read as if nothing was left.
  @Test func theLogIsRight() throws {
    try World.run { world in
      try await world.work(30)
      #expect(try await world.start().read <= 2)
      world.store.restart(downtime: .milliseconds(1), losing: 25)
      await world.loop.sleep(for: .milliseconds(20))
      try await world.work(20, keeps: false)
      let after = try await world.start()
      let reference = try await world.start(keeps: false)
      #expect(after.state == reference.state && after.read >= reference.read && reference.read > World.page)
      #expect(try await world.start().read == 1)
      world.store.trim(World.general, keeping: 0)
      try await world.work(20, keeps: false)
      let trimmed = try await world.start()
      let short = try await world.start(keeps: false)
      #expect(trimmed.state == short.state && trimmed.read >= short.read)

      let other = SimulatedStore(loop: world.loop)
      try await world.work(60, keeps: false, on: other)
      let elsewhere = try await world.start(on: other)
      let plain = try await world.start(keeps: false, on: other)
      #expect(elsewhere.state == plain.state && elsewhere.read >= other.history(of: World.general).count)
    }
  }
}
