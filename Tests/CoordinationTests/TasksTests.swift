import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyCoordination

@Suite struct TasksTests {
  private static func code(_ body: () async throws -> Void) async -> String? {
    do {
      try await body()
      return nil
    } catch {
      return (error as? HubError)?.code
    }
  }

  @Test func aKeyMakesPostingSafe() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let tasks = Tasks(hub: crowd.hubs[0])
      let request = TaskPost(topic: Crowd.general, title: "build", body: "all", key: "k")
      let first = try await tasks.post(request)
      let again = try await tasks.post(request)
      #expect(!first.isDuplicate && again.isDuplicate && again.task == first.task)
      let other = try await Tasks(hub: crowd.hubs[1]).post(request)
      #expect(other.task.id != first.task.id)
      let one = try await tasks.post(TaskPost(topic: Crowd.general, title: "build", body: "all"))
      let two = try await tasks.post(TaskPost(topic: Crowd.general, title: "build", body: "all"))
      #expect(one.task.id != two.task.id && one.task.label != two.task.label)
      var changed = request
      changed.title = "something else"
      let reused = await Self.code { _ = try await tasks.post(changed) }
      #expect(reused == "keyReused")
    }
  }

  @Test func waitingSeesTheEndBeyondAnyPage() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let ada = Tasks(hub: crowd.hubs[0], pageLimit: 7)
      let bob = Tasks(hub: crowd.hubs[1], pageLimit: 7)
      let (task, _) = try await ada.post(TaskPost(topic: Crowd.general, title: "long"))
      for number in 0..<150 {
        _ = try await crowd.hubs[1].post(PostRequest(topic: Crowd.general, content: "chatter \(number)"))
      }
      let waiting = crowd.loop.spawn {
        do throws(HubError) {
          let found = try await ada.settled(
            [task.id.text], until: crowd.loop.now.advanced(by: .seconds(600)))
          return found.areOver ? found.tasks.first?.ending?.text : nil
        } catch {
          return error.description
        }
      }
      let taken = try #require(try await bob.claimNext(on: Crowd.general, lease: .seconds(60)))
      _ = try await bob.update(taken.id.text, fence: taken.claim?.fence.text, .done(result: "found"))
      #expect(await waiting.value == "found")
      // Whoever starts now reads it too.
      let late = Tasks(hub: crowd.hubs[1], pageLimit: 3)
      let found = try await late.settled([String(task.id.text.prefix(5))], until: crowd.loop.now)
      #expect(found.tasks.first?.ending?.text == "found" && found.areOver)
    }
  }

  @Test func waitingEndsWhenATaskExpires() throws {
    try Crowd.play(["ada"]) { crowd in
      let tasks = Tasks(hub: crowd.hubs[0])
      let (task, _) = try await tasks.post(TaskPost(topic: Crowd.general, title: "t", lifetime: .seconds(60)))
      let early = try await tasks.settled([task.id.text], until: crowd.loop.now.advanced(by: .seconds(30)))
      #expect(!early.areOver)
      let found = try await tasks.settled([task.id.text], until: crowd.loop.now.advanced(by: .seconds(600)))
      #expect(found.areOver && found.tasks.first?.status(at: found.now) == .expired)
      #expect(crowd.loop.now.nanoseconds < 65_000_000_000)
    }
  }

  @Test func refusalsAreToldAndLeaveNoTraceInTheLog() throws {
    try Crowd.play(["ada", "bob", "carol"]) { crowd in
      let (ada, bob, carol) = (Tasks(hub: crowd.hubs[0]), Tasks(hub: crowd.hubs[1]), Tasks(hub: crowd.hubs[2]))
      let (task, _) = try await ada.post(TaskPost(topic: Crowd.general, title: "t", to: Handle("bob")))
      let id = task.id.text
      let taken = try await bob.claim(id)
      let fence = try #require(taken.claim?.fence.text)
      let before = crowd.store.history(of: Crowd.general).count
      let codes = [
        await Self.code { _ = try await carol.claim(id) },
        await Self.code { _ = try await bob.claim(id) },
        await Self.code { _ = try await carol.update(id, fence: fence, .done(result: "x")) },
        await Self.code { _ = try await bob.update(id, fence: "0", .done(result: "x")) },
        await Self.code { _ = try await bob.update(id, fence: nil, .done(result: "x")) },
        await Self.code { _ = try await bob.update(id, fence: nil, .cancel(reason: "")) },
        await Self.code { _ = try await bob.claim("ffff") },
        await Self.code { _ = try await bob.claim("nonsense") },
        await Self.code { _ = try await bob.claim(id, on: Topic("secret")) },
        await Self.code { _ = try await bob.claim(id, lease: .seconds(5)) },
        await Self.code {
          _ = try await bob.update(id, fence: fence, .done(result: String(repeating: "x", count: 300_000)))
        },
        await Self.code { _ = try await ada.post(TaskPost(topic: Crowd.general, title: "")) },
        await Self.code { _ = try await ada.post(TaskPost(topic: Crowd.general, title: "t", to: Handle("system"))) },
        await Self.code { _ = try await ada.post(TaskPost(topic: Crowd.general, title: "t", to: Handle("a\u{7}b"))) },
        await Self.code { _ = try await ada.post(TaskPost(topic: Crowd.general, title: "t", lifetime: .seconds(1))) },
      ]
      #expect(
        codes == [
          "taskNotForYou", "taskHeld", "taskNotHolder", "taskWrongFence", "invalidRequest", "taskNotPoster",
          "taskUnknown", "invalidRequest", "topicNotAllowed", "invalidRequest", "tooLarge", "invalidRequest",
          "invalidRequest", "invalidRequest", "invalidRequest",
        ])
      #expect(crowd.store.history(of: Crowd.general).count == before)
    }
  }

  @Test func aHeldTaskIsTakenOverWhenItsLeaseRanOut() throws {
    try Crowd.play(["ada", "bob", "carol"]) { crowd in
      let (bob, carol) = (Tasks(hub: crowd.hubs[1]), Tasks(hub: crowd.hubs[2]))
      let (task, _) = try await Tasks(hub: crowd.hubs[0]).post(TaskPost(topic: Crowd.general, title: "t"))
      let first = try #require(try await bob.takeNext(on: Crowd.general, lease: .seconds(5)))
      let tooEarly = try await carol.claimNext(on: Crowd.general)
      #expect(tooEarly == nil)
      await crowd.settle(6)
      let second = try #require(try await carol.claimNext(on: Crowd.general))
      #expect(second.id == task.id && second.claim?.number == 2)
      let late = await Self.code {
        _ = try await bob.update(task.id.text, fence: first.claim?.fence.text, .done(result: "late"))
      }
      #expect(late == "taskWrongFence")
    }
  }

  /// Claimants race over a store that delays, cuts and forgets answers: each task has one winner, all agree, all is
  /// taken.
  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func manyClaimantsOverAFaultyStore(_ seed: UInt64) throws {
    let handles = (0..<8).map { "w\($0)" }
    var generator = SeededGenerator(seed: seed)
    var plan = FaultPlan.draw { generator.next() }
    // What a store takes back or throws away cannot be agreed upon.
    (plan.weights.loseTail, plan.weights.trim, plan.weights.expire) = (0, 0, 0)
    try Crowd.play(seed: seed, handles, plan: plan) { crowd in
      let workers = crowd.hubs.map { Tasks(hub: $0, pageLimit: 50) }
      for number in 0..<30 {
        _ = try await Self.insisting(crowd) {
          try await workers[0].post(TaskPost(topic: Crowd.general, title: "t\(number)", key: "k\(number)"))
        }
      }
      let runs = workers.map { tasks in
        crowd.loop.spawn {
          var won: [TaskID] = []
          while true {
            let next: Result<TaskRecord?, HubError>
            do throws(HubError) {
              next = .success(try await tasks.claimNext(on: Crowd.general, lease: .seconds(86_400)))
            } catch { next = .failure(error) }
            switch next {
            case .success(let task?): won.append(task.id)
            case .success(nil): return won
            // What is not known is looked up below: the log says who holds it.
            case .failure: await crowd.loop.sleep(for: .seconds(1))
            }
          }
        }
      }
      var wins: [TaskID: Int] = [:]
      for run in runs { for id in await run.value { wins[id, default: 0] += 1 } }
      #expect(wins.values.allSatisfy { $0 == 1 })
      crowd.store.plan = FaultPlan()
      await crowd.settle(60)
      var views: Set<[String]> = []
      for tasks in workers + [Tasks(hub: crowd.hubs[0], pageLimit: 9)] {
        let board = try await tasks.board(of: Crowd.general)
        views.insert(
          board.live.map { "\($0.id) \($0.claim?.holder.handle.name ?? "nobody") \($0.claim?.fence.text ?? "")" })
      }
      #expect(views.count == 1)
      #expect(views.first?.count == 30 && views.first?.contains { $0.contains("nobody") } == false)
    }
  }

  private static func insisting<T>(_ crowd: Crowd, _ body: () async throws -> T) async throws -> T {
    for _ in 0..<50 {
      do { return try await body() } catch let error as HubError {
        guard case .seam = error else { throw error }
        await crowd.settle(1)
      }
    }
    return try await body()
  }

  // MARK: People

  @Test func exactlyOneProcessAnswersAPerson() throws {
    try Crowd.play(["ada", "bob", "carol", "ann"]) { crowd in
      var stops: [Task<Void, Never>] = []
      for hub in crowd.hubs.prefix(3) {
        let presence = Presence(hub: hub, options: .init())
        stops.append(crowd.loop.spawn { await presence.run() })
        let answers = TaskAnswers(hub: hub, tasks: Tasks(hub: hub), presence: presence)
        let start = try await hub.fetch(FetchRequest(Crowd.general, .latest, limit: 1)).next
        _ = await hub.supervisor.follow(Crowd.general, after: start) { delivery in
          if case .message(let message) = delivery { answers.assumeIsolated { $0.take(message) } }
          return .more
        }
      }
      await crowd.settle(2)
      func say(_ text: String) async throws -> [String] {
        let before = crowd.store.history(of: Crowd.general).count
        _ = try await crowd.hubs[3].post(PostRequest(topic: Crowd.general, content: text))
        await crowd.settle(30)
        return crowd.store.history(of: Crowd.general).dropFirst(before + 1).map(\.content)
      }
      let none = try await say("!tasks")
      #expect(none == ["no open tasks"])
      let (task, _) = try await Tasks(hub: crowd.hubs[0]).post(TaskPost(topic: Crowd.general, title: "build"))
      let listed = try await say("!tasks")
      #expect(listed == ["task \(task.label): build (open)"])
      let claimed = try await say("!claim \(task.label)")
      #expect(claimed.count == 1 && claimed[0].hasPrefix("task \(task.label): build (ann, until "))
      let done = try await say("!done \(task.label) with pride")
      #expect(done == ["task \(task.label): build (done, ann)"])
      let again = try await say("!claim \(task.label)")
      #expect(again == ["task \(task.id) was done by ann already"])
      let chatter = try await say("just talking")
      #expect(chatter.isEmpty)
      for stop in stops { stop.cancel() }
    }
  }
}
