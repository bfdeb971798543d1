import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyCoordination

/// Claimants that wait for a task to be open.
@Suite struct TaskWaitingTests {
  private static func claim(
    _ tasks: Tasks, in crowd: Crowd, within seconds: Int, lease: Int = 60
  ) -> Task<String, Never> {
    crowd.loop.spawn {
      do throws(HubError) {
        let deadline = crowd.loop.now.advanced(by: .seconds(seconds))
        let task = try await tasks.takeNext(on: Crowd.general, lease: .seconds(lease), until: deadline)
        return task?.title ?? "none"
      } catch {
        return error.code
      }
    }
  }

  @Test func whatIsPostedLaterIsTakenAtOnce() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let bob = Tasks(hub: crowd.hubs[1])
      let waiting = Self.claim(bob, in: crowd, within: 600)
      await crowd.settle(100)
      _ = try await Tasks(hub: crowd.hubs[0]).post(TaskPost(topic: Crowd.general, title: "t"))
      let posted = crowd.loop.now
      #expect(await waiting.value == "t")
      #expect(posted.duration(to: crowd.loop.now) < .seconds(1))
    }
  }

  @Test func theDeadlineEndsItWithNone() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let (ada, bob) = (Tasks(hub: crowd.hubs[0]), Tasks(hub: crowd.hubs[1]))
      _ = try await ada.post(TaskPost(topic: Crowd.general, title: "for ada", to: Handle("ada")))
      let begun = crowd.loop.now
      #expect(await Self.claim(bob, in: crowd, within: 30).value == "none")
      #expect((30...31).contains(begun.duration(to: crowd.loop.now) / .seconds(1)))
    }
  }

  @Test func theEndOfALeaseWakesIt() throws {
    try Crowd.play(["ada", "bob", "carol"]) { crowd in
      let (bob, carol) = (Tasks(hub: crowd.hubs[1]), Tasks(hub: crowd.hubs[2]))
      _ = try await Tasks(hub: crowd.hubs[0]).post(TaskPost(topic: Crowd.general, title: "t"))
      _ = try #require(try await bob.takeNext(on: Crowd.general, lease: .seconds(5)))
      let begun = crowd.loop.now
      #expect(await Self.claim(carol, in: crowd, within: 600).value == "t")
      #expect((4.5...6).contains(begun.duration(to: crowd.loop.now) / .seconds(1)))
    }
  }

  /// Two calls of one process wait; the task goes to another process, whose lease runs out.
  @Test func theEndOfALeaseThatBeganMeanwhileWakesIt() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let bob = Tasks(hub: crowd.hubs[1])
      let waiting = (0..<2).map { _ in Self.claim(bob, in: crowd, within: 600, lease: 86_400) }
      await crowd.settle(2)
      // Nobody else can be as fast as who claims what it posts itself.
      let id = TaskID(random: 1 << 40)
      let posted = TaskEvent.Posted(title: "t", body: nil, lifetime: 86_400_000, label: id.label)
      let rival = [TaskEvent.post(id, posted), .claim(id, lease: 5_000)].map { event in
        let (content, attributes) = event.message(label: id.label, by: Handle("ada"), until: 0)
        return crowd.loop.spawn {
          let request = PostRequest(topic: Crowd.general, content: content, attributes: attributes)
          do throws(HubError) { _ = try await crowd.hubs[0].postUnchecked(request) } catch { Issue.record(error) }
        }
      }
      for one in rival { await one.value }
      let begun = crowd.loop.now
      await crowd.settle(4)
      let held = try #require(try await bob.board(of: Crowd.general).live.first)
      #expect(held.claim?.holder.handle == Handle("ada") && held.claim?.number == 1)
      await crowd.settle(2)
      let taken = try #require(try await bob.board(of: Crowd.general).live.first)
      #expect(taken.claim?.holder.handle == Handle("bob") && taken.claim?.number == 2)
      #expect(begun.duration(to: crowd.loop.now) < .seconds(8))
      for one in waiting { one.cancel() }
      var titles: [String] = []
      for one in waiting { titles.append(await one.value) }
      #expect(titles.sorted() == ["cancelled", "t"])
    }
  }

  @Test func cancellingEndsIt() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let bob = Tasks(hub: crowd.hubs[1])
      let waiting = Self.claim(bob, in: crowd, within: 600)
      await crowd.settle(2)
      let begun = crowd.loop.now
      waiting.cancel()
      #expect(await waiting.value == "cancelled")
      #expect(begun.duration(to: crowd.loop.now) < .seconds(1))
      // It took nothing with it.
      _ = try await Tasks(hub: crowd.hubs[0]).post(TaskPost(topic: Crowd.general, title: "t"))
      await crowd.settle(2)
      let task = try #require(try await bob.board(of: Crowd.general).live.first)
      #expect(task.claim == nil)
    }
  }

  /// Eight wait on as many processes: each task has one winner, and few post in vain.
  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func rivalsMakeRoomForEachOther(_ seed: UInt64) throws {
    var plan = FaultPlan()
    plan.latency = 1_000...20_000
    try Crowd.play(seed: seed, ["ada"] + (1...8).map { "w\($0)" }, plan: plan) { crowd in
      let workers = crowd.hubs.dropFirst().map { Tasks(hub: $0) }
      let runs = workers.map { tasks in
        crowd.loop.spawn {
          var titles: [String] = []
          while true {
            let title = await Self.claim(tasks, in: crowd, within: 30, lease: 86_400).value
            if title == "none" { return titles }
            titles.append(title)
          }
        }
      }
      let ada = Tasks(hub: crowd.hubs[0])
      let count = 60
      for number in 0..<count {
        _ = try await ada.post(TaskPost(topic: Crowd.general, title: "t\(number)"))
        await crowd.settle(2)
      }
      var won: [String] = []
      for run in runs { won += await run.value }
      #expect(won.count == count && Set(won).count == count)
      let claims = crowd.store.history(of: Crowd.general).count { $0.content.contains(" claimed by ") }
      #expect(claims < 2 * count, "\(claims) claims for \(count) tasks")
    }
  }
}
