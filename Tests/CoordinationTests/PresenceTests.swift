import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyCoordination

/// Several processes on one simulated store in virtual time.
struct Crowd: Sendable {
  let loop: EventLoop
  let store: SimulatedStore
  let hubs: [Hub]

  static let general = Topic("general")

  static func play<T: Sendable>(
    seed: UInt64 = 5, _ handles: [String], plan: FaultPlan? = nil,
    _ body: @escaping @Sendable (Crowd) async throws -> T
  ) throws -> T {
    let loop = try EventLoop(seed: seed)
    let store = SimulatedStore(loop: loop)
    if let plan { store.plan = plan }
    let supervisors = handles.map { _ in Supervisor(loop: loop, backend: SimulatedBackend(store: store)) }
    var hubs: [Hub] = []
    for (index, handle) in handles.enumerated() {
      let author = Author(handle: Handle(handle), instance: "instance-\(index)")
      hubs.append(
        try Hub(setup: Hub.Setup(author: author, topics: [general, Topic("ops")]), supervisor: supervisors[index]))
    }
    let crowd = Crowd(loop: loop, store: store, hubs: hubs)
    return try loop.run { () async -> Result<T, any Error> in
      let lives = supervisors.map { supervisor in loop.spawn { await supervisor.run() } }
      let result: Result<T, any Error>
      do { result = .success(try await body(crowd)) } catch { result = .failure(error) }
      for life in lives {
        life.cancel()
        await life.value
      }
      return result
    }.get()
  }

  func settle(_ seconds: Int = 1) async { await loop.sleep(for: .seconds(seconds)) }
}

/// A process's presence as a server runs it.
private struct Attendance: Sendable {
  let presence: Presence
  let task: Task<Void, Never>

  init(_ hub: Hub, heartbeat: Int = 10, lifetime: Int = 30, exclusive: Bool = false, answers: Bool = true) {
    var options = Presence.Options(heartbeat: .seconds(heartbeat), lifetime: .seconds(lifetime))
    options.isExclusive = exclusive
    options.answers = answers
    presence = Presence(hub: hub, options: options)
    task = hub.loop.spawn { [presence] in await presence.run() }
  }

  func leave() async {
    task.cancel()
    await task.value
    await presence.sayGoodbye(within: .seconds(1))
  }

  /// As `kill -9` would.
  func die() async {
    task.cancel()
    await task.value
  }
}

@Suite struct PresenceTests {
  private static func expectOnline(
    _ crowd: Crowd, _ handles: [String], _ location: SourceLocation = #_sourceLocation
  ) async throws {
    var query = RosterQuery()
    query.onlineOnly = true
    let reader = RosterReader(hub: crowd.hubs[0], lifetime: .seconds(30))
    let online = try await reader.read(query).participants.map(\.handle.name).sorted()
    #expect(online == handles, sourceLocation: location)
  }

  @Test func beatsKeepAProcessThereAndAGoodbyeEndsItAtOnce() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let ada = Attendance(crowd.hubs[0])
      let bob = Attendance(crowd.hubs[1])
      await crowd.settle(100)
      try await Self.expectOnline(crowd, ["ada", "bob"])
      await bob.leave()
      try await Self.expectOnline(crowd, ["ada"])
      let kinds = crowd.store.history(of: Topic("parley-presence")).compactMap {
        PresenceRecord($0.content, storedAt: .max / 2)
      }.filter { $0.instance == "instance-1" }.map(\.phase)
      #expect(kinds.first == .hello && kinds.last == .goodbye)
      #expect(kinds.count >= 10 && kinds.count <= 13)
      await ada.leave()
    }
  }

  @Test func aCrashedProcessIsGoneAfterItsLifetime() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let ada = Attendance(crowd.hubs[0])
      let bob = Attendance(crowd.hubs[1])
      await crowd.settle(3)
      await bob.die()
      await crowd.settle(20)
      try await Self.expectOnline(crowd, ["ada", "bob"])
      await crowd.settle(15)
      try await Self.expectOnline(crowd, ["ada"])
      let everyone = try await RosterReader(hub: crowd.hubs[0], lifetime: .seconds(30)).read(RosterQuery())
      #expect(everyone.participants.map(\.handle.name) == ["ada", "bob"])
      await ada.leave()
    }
  }

  @Test func aBeatThatTheBackendMissedIsMadeGood() throws {
    try Crowd.play(["ada"]) { crowd in
      crowd.store.restart(downtime: .seconds(25))
      let ada = Attendance(crowd.hubs[0])
      await crowd.settle(60)
      try await Self.expectOnline(crowd, ["ada"])
      await ada.leave()
    }
  }

  @Test func whoSpokeLatelyIsListedAsAPerson() throws {
    try Crowd.play(["ada", "carol"]) { crowd in
      let ada = Attendance(crowd.hubs[0])
      _ = try await crowd.hubs[1].post(PostRequest(topic: Crowd.general, content: "good morning"))
      _ = try await crowd.hubs[0].post(PostRequest(topic: Crowd.general, content: "hello"))
      await crowd.settle(2)
      let reader = RosterReader(hub: crowd.hubs[0], lifetime: .seconds(30))
      let all = try await reader.read(RosterQuery()).participants
      #expect(Set(all.map(\.handle.name)) == ["ada", "carol"])
      let carol = try #require(all.first { $0.handle == Handle("carol") })
      #expect(carol.party == .person && carol.isOnline && carol.topics == ["general"])
      await crowd.settle(60)
      let later = try await reader.read(RosterQuery()).participants.first { $0.handle == Handle("carol") }
      #expect(later?.isOnline == false)
      await ada.leave()
    }
  }

  @Test func filtersAndReach() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      func record(_ topics: [String], _ patterns: [String], _ handle: String) async throws {
        let content = PresenceRecord(
          phase: .hello, at: crowd.loop.wallClockMilliseconds, topics: topics, postTopics: patterns,
          instance: "i-\(handle)"
        ).text
        _ = try await crowd.hubs[1].postUnchecked(
          PostRequest(
            topic: Topic("parley-presence"), content: content, author: Author(handle: Handle(handle), instance: "x")))
      }
      try await record(["general"], [], "near")
      try await record(["elsewhere"], [], "far")
      try await record(["elsewhere"], ["gen.*"], "wide")
      try await record(["elsewhere"], ["(a+)+", String(repeating: "x", count: 600)], "bad")
      func names(_ change: (inout RosterQuery) -> Void) async throws -> [String] {
        var query = RosterQuery()
        change(&query)
        return try await RosterReader(hub: crowd.hubs[0], lifetime: .seconds(30)).read(query).participants
          .map(\.handle.name).sorted()
      }
      let everyone = try await names { _ in }
      #expect(everyone == ["near", "wide"])
      let onOps = try await names { $0.topic = Topic("ops") }
      #expect(onOps.isEmpty)
      let onGeneral = try await names { $0.topic = Topic("general") }
      #expect(onGeneral == ["near", "wide"])
      let near = try await names { $0.filter = "n*" }
      #expect(near == ["near"])
      let one = try await names { $0.limit = 1 }
      #expect(one.count == 1)
    }
  }

  @Test func anExclusiveHandleIsRefusedToTheSecond() throws {
    try Crowd.play(["ada", "ada"]) { crowd in
      let first = Attendance(crowd.hubs[0], exclusive: true)
      await crowd.settle(2)
      let second = Attendance(crowd.hubs[1], exclusive: true)
      await crowd.settle(2)
      _ = try await crowd.hubs[0].post(PostRequest(topic: Crowd.general, content: "mine"))
      let refused = await #expect(throws: HubError.self) {
        try await crowd.hubs[1].post(PostRequest(topic: Crowd.general, content: "mine too"))
      }
      #expect(refused?.code == "handleInUse")
      await crowd.settle(100)
      await #expect(throws: HubError.self) {
        try await crowd.hubs[1].post(PostRequest(topic: Crowd.general, content: "still"))
      }
      // A clean end frees the handle at once.
      await first.leave()
      await crowd.settle(2)
      _ = try await crowd.hubs[1].post(PostRequest(topic: Crowd.general, content: "now mine"))
      await second.leave()
      #expect(crowd.store.history(of: Crowd.general).map(\.content) == ["mine", "now mine"])
    }
  }

  @Test func anExclusiveHandleOutlivesNoCrash() throws {
    try Crowd.play(["ada", "ada"]) { crowd in
      let first = Attendance(crowd.hubs[0], exclusive: true)
      await crowd.settle(2)
      let second = Attendance(crowd.hubs[1], exclusive: true)
      await first.die()
      await crowd.settle(2)
      await #expect(throws: HubError.self) {
        try await crowd.hubs[1].post(PostRequest(topic: Crowd.general, content: "early"))
      }
      await crowd.settle(40)
      _ = try await crowd.hubs[1].post(PostRequest(topic: Crowd.general, content: "taken over"))
      await second.leave()
    }
  }

  /// Whatever the interleaving of the two starts: never both.
  @Test(arguments: 1...30 as ClosedRange<UInt64>)
  func twoThatStartAtOnceNeverBothPost(_ seed: UInt64) throws {
    try Crowd.play(seed: seed, ["ada", "ada", "ada"]) { crowd in
      let attendances = crowd.hubs.map { Attendance($0, exclusive: true) }
      var posted: [Int] = []
      for (index, hub) in crowd.hubs.enumerated() {
        do throws(HubError) {
          _ = try await hub.post(PostRequest(topic: Crowd.general, content: "\(index)", patience: .seconds(5)))
          posted.append(index)
        } catch {
          #expect(error.code == "handleInUse")
        }
      }
      #expect(posted.count == 1)
      for attendance in attendances { await attendance.leave() }
    }
  }

  @Test func whoNeverAnswersTakesNoTurn() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let attendances = [Attendance(crowd.hubs[0], answers: false), Attendance(crowd.hubs[1])]
      await crowd.settle(3)
      #expect(await attendances[1].presence.rank(on: Crowd.general) == 0)
      for attendance in attendances { await attendance.leave() }
    }
  }

  @Test func theLowestInstanceThatHearsATopicAnswers() throws {
    try Crowd.play(["ada", "bob", "carol"]) { crowd in
      let attendances = crowd.hubs.map { Attendance($0) }
      await crowd.settle(3)
      var ranks: [Int] = []
      for attendance in attendances { ranks.append(await attendance.presence.rank(on: Crowd.general)) }
      #expect(ranks == [0, 1, 2])
      await attendances[0].leave()
      await crowd.settle(1)
      #expect(await attendances[1].presence.rank(on: Crowd.general) == 0)
      #expect(await attendances[1].presence.rank(on: Topic("elsewhere")) == 0)
      for attendance in attendances.dropFirst() { await attendance.leave() }
    }
  }
}
