import ParleyConformance
import ParleyRuntime
import Synchronization
import Testing

@testable import ParleyCoordination

/// Several processes of bob on one simulated store in virtual time.
private struct Desk: Sendable {
  let loop: EventLoop
  let store: SimulatedStore
  let hubs: [Hub]

  static func play<T: Sendable>(
    seed: UInt64 = 3, processes: Int = 2, _ body: @escaping @Sendable (Desk) async throws -> T
  ) throws -> T {
    let loop = try EventLoop(seed: seed)
    let store = SimulatedStore(loop: loop)
    let supervisors = (0..<processes).map { _ in Supervisor(loop: loop, backend: SimulatedBackend(store: store)) }
    var hubs: [Hub] = []
    for (index, supervisor) in supervisors.enumerated() {
      let author = Author(handle: Handle("bob"), instance: "instance-\(index)")
      hubs.append(try Hub(setup: Hub.Setup(author: author, topics: [Topic("general")]), supervisor: supervisor))
    }
    let desk = Desk(loop: loop, store: store, hubs: hubs)
    return try loop.run { () async -> Result<T, any Error> in
      let lives = supervisors.map { supervisor in loop.spawn { await supervisor.run() } }
      let result: Result<T, any Error>
      do { result = .success(try await body(desk)) } catch { result = .failure(error) }
      for life in lives {
        life.cancel()
        await life.value
      }
      return result
    }.get()
  }

  /// The read marks of one process, loaded and following.
  func marks(_ process: Int = 0, pageLimit: Int = 200, follows: Bool = true) async throws -> ReadMarks {
    let marks = ReadMarks(hub: hubs[process], pageLimit: pageLimit)
    try await marks.load()
    if follows { await marks.start() }
    return marks
  }

  func settle() async { await loop.sleep(for: .seconds(1)) }

  var history: [HistoryChecker.Entry] { store.history(of: Topic("@bob")) }
}

@Suite struct ReadMarksTests {
  private static let general = Topic("general")

  @Test func aMarkOutlivesTheProcess() throws {
    try Desk.play { desk in
      let first = try await desk.marks()
      #expect(await first.marks.isEmpty)
      try await first.mark(Self.general, at: Cursor("7"), storedAt: 70)
      #expect(await first.marks == [Self.general: Cursor("7")])
      let second = try await desk.marks(1)
      #expect(await second.marks == [Self.general: Cursor("7")])
    }
  }

  @Test func theSameOrAnOlderPlaceWritesNothing() throws {
    try Desk.play { desk in
      let marks = try await desk.marks()
      try await marks.mark(Self.general, at: Cursor("7"), storedAt: 70)
      try await marks.mark(Self.general, at: Cursor("7"), storedAt: 70)
      try await marks.mark(Self.general, at: Cursor("6"), storedAt: 60)
      #expect(desk.history.count == 1)
      #expect(await marks.marks == [Self.general: Cursor("7")])
    }
  }

  @Test func whatAnotherProcessMarksArrivesAndIsToldOnce() throws {
    try Desk.play { desk in
      let told = Mutex<[String]>([])
      let here = try await desk.marks(0)
      let there = try await desk.marks(1)
      await here.observe { topic, cursor in told.withLock { $0.append("\(topic) \(cursor)") } }
      try await there.mark(Self.general, at: Cursor("7"), storedAt: 70)
      await desk.settle()
      try await here.mark(Self.general, at: Cursor("8"), storedAt: 80)
      await desk.settle()
      try await there.mark(Self.general, at: Cursor("7"), storedAt: 70)
      await desk.settle()
      #expect(told.withLock { $0 } == ["general 7"])
      #expect(await there.marks == [Self.general: Cursor("8")])
      await here.stop()
      try await there.mark(Self.general, at: Cursor("9"), storedAt: 90)
      await desk.settle()
      #expect(await here.marks == [Self.general: Cursor("8")])
    }
  }

  @Test func theOtherParleysFileIsTakenOverOnce() throws {
    try Desk.play { desk in
      let marks = try await desk.marks()
      try await marks.mark(Self.general, at: Cursor("7"), storedAt: 70)
      try await marks.importOnce([Self.general: Cursor("3"), Topic("b"): Cursor("4")])
      #expect(await marks.marks == [Self.general: Cursor("7"), Topic("b"): Cursor("4")])
      try await marks.importOnce([Topic("c"): Cursor("9")])
      let later = try await desk.marks(1)
      try await later.importOnce([Topic("c"): Cursor("9")])
      #expect(await later.marks == [Self.general: Cursor("7"), Topic("b"): Cursor("4")])
      #expect(desk.history.count == 2)
      // An imported mark has no time of its own, so that the first real one supersedes it.
      try await later.mark(Topic("b"), at: Cursor("5"), storedAt: 1)
      #expect(await later.marks[Topic("b")] == Cursor("5"))
    }
  }

  @Test func twoProcessesThatImportAtOnceAgree() throws {
    try Desk.play { desk in
      let first = try await desk.marks(0, follows: false)
      let second = try await desk.marks(1, follows: false)
      try await first.importOnce([Topic("a"): Cursor("1")])
      try await second.importOnce([Topic("a"): Cursor("2"), Topic("b"): Cursor("3")])
      #expect(await second.marks == [Topic("a"): Cursor("1")])
      #expect(desk.history.count == 1)
    }
  }

  @Test func aCheckpointKeepsLoadingShortAndOutlivesTrimming() throws {
    try Desk.play { desk in
      let marks = try await desk.marks()
      try await marks.importOnce([Topic("old"): Cursor("1")])
      for number in 1...300 {
        try await marks.mark(Topic("t\(number % 7)"), at: Cursor("\(number)"), storedAt: Int64(number))
        await desk.settle()
      }
      let checkpoints = desk.history.filter { $0.content.hasPrefix("[") && $0.content.contains("\"t0\"") }
      #expect(checkpoints.count == 2)
      let expected = await marks.marks
      #expect(expected.count == 8)
      desk.store.trim(Topic("@bob"), keeping: 100)
      let later = try await desk.marks(1, pageLimit: 10)
      #expect(await later.marks == expected)
      try await later.importOnce([Topic("new"): Cursor("1")])
      #expect(await later.marks == expected)
    }
  }

  /// 90 days on a store that keeps a week: marks that nobody moves are there at the end.
  @Test(arguments: [1, 200])
  func marksOutliveRetention(_ pageLimit: Int) throws {
    try Desk.play { desk in
      let marks = try await desk.marks()
      try await marks.mark(Self.general, at: Cursor("7"), storedAt: 70)
      try await marks.importOnce([Topic("old"): Cursor("1")])
      for day in 0..<90 {
        await desk.loop.sleep(for: .seconds(86_400))
        if day == 30 { try await marks.mark(Topic("b"), at: Cursor("2"), storedAt: 2) }
        desk.store.expire(Topic("@bob"), olderThan: .seconds(7 * 86_400))
      }
      #expect(desk.history.count { !$0.isRemoved } < 10)
      let later = try await desk.marks(1, pageLimit: pageLimit)
      #expect(await later.marks == [Self.general: Cursor("7"), Topic("b"): Cursor("2"), Topic("old"): Cursor("1")])
    }
  }

  /// A checkpoint knows the log up to `through` alone: what another process marked in between must not be lost.
  @Test(arguments: [1, 2, 3, 200])
  func whatWasMarkedJustBeforeACheckpointIsKept(_ pageLimit: Int) throws {
    try Desk.play { desk in
      let marks = try await desk.marks(1, follows: false)
      try await marks.mark(Topic("a"), at: Cursor("1"), storedAt: 1)
      let through = try #require(try await desk.hubs[0].fetchUnchecked(FetchRequest(Topic("@bob"))).messages.last)
      try await marks.mark(Topic("b"), at: Cursor("2"), storedAt: 2)
      let (content, attributes) = ReadMarkEvent.checkpoint(
        [Topic("a"): ReadMark(cursor: Cursor("1"), storedAt: 1)], hasImported: false, through: through.cursor
      ).message
      _ = try await desk.hubs[0].postUnchecked(
        PostRequest(topic: Topic("@bob"), content: content, attributes: attributes))
      let later = try await desk.marks(0, pageLimit: pageLimit)
      #expect(await later.marks == [Topic("a"): Cursor("1"), Topic("b"): Cursor("2")])
    }
  }

  /// Random histories of two processes: whoever followed, and whoever loads with any page size, agrees with the plain
  /// fold over the whole log.
  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func everyReaderComesToTheSameState(_ seed: UInt64) throws {
    try Desk.play(seed: seed, processes: 3) { desk in
      let writers = [try await desk.marks(0), try await desk.marks(1)]
      func random(_ bound: UInt64) -> UInt64 { desk.loop.random() % bound }
      for _ in 0..<(150 + random(200)) {
        let storedAt = Int64(random(400))
        switch random(20) {
        case 0:
          _ = try await desk.hubs[0].postUnchecked(
            PostRequest(topic: Topic("@bob"), content: "status: busy", attributes: ["kind": "status"]))
        case 1: await desk.settle()
        default:
          try await writers[Int(random(2))].mark(
            Topic("t\(random(4))"), at: Cursor("\(storedAt)"), storedAt: storedAt)
        }
      }
      await desk.settle()
      var whole = ReadMarkFold(owner: Handle("bob"))
      var page = try await desk.hubs[2].fetchUnchecked(FetchRequest(Topic("@bob"), .after(Cursor("0")), limit: 1000))
      #expect(!page.messages.isEmpty)
      while true {
        for message in page.messages { whole.apply(message) }
        guard page.hasMore else { break }
        page = try await desk.hubs[2].fetchUnchecked(FetchRequest(Topic("@bob"), .after(page.next), limit: 1000))
      }
      let expected = whole.marks.mapValues(\.cursor)
      for writer in writers { #expect(await writer.marks == expected) }
      for pageLimit in [1, 7, 200] {
        let loaded = try await desk.marks(2, pageLimit: pageLimit, follows: false)
        #expect(await loaded.marks == expected, "page limit \(pageLimit)")
      }
    }
  }

  @Test func loadingWaitsForTheBackendAndThenSaysWhy() throws {
    try Desk.play { desk in
      desk.store.restart(downtime: .seconds(20))
      let marks = ReadMarks(hub: desk.hubs[0])
      await #expect(throws: HubError.self) { try await marks.load(until: desk.loop.now.advanced(by: .seconds(2))) }
      try await marks.load(until: desk.loop.now.advanced(by: .seconds(60)))
      #expect(desk.loop.now.nanoseconds > 20_000_000_000)
    }
  }
}
