import ParleyCoordination
@testable import ParleyMonitor
import ParleyRuntime
import Testing

@Suite struct FeedTests {
  private static let general = MonitorPlace.topic(Topic("general"))

  @Test func itShowsWhatThereIsAndWhatComes() throws {
    try MonitorWorld.play { world in
      try await world.say("one")
      try await world.say("for carol", to: "carol")
      try await world.say("deploy", on: "ops")
      let (task, _) = try await world.adaTasks.post(TaskPost(topic: Topic("general"), title: "build the docs"))
      try await world.withFeed { feed, changes in
        var snapshot = await feed.snapshot(of: nil)
        #expect(snapshot.places.map(\.name) == ["general", "ops"])
        // What is for another is not unread here; the task's line is.
        #expect(snapshot.places.map(\.unread.count) == [2, 1])
        #expect(Set(["one", "for carol", "deploy"]).isSubset(of: snapshot.messages.map(\.content)))
        #expect(snapshot.tasks.map(\.id) == [task.id])
        #expect(snapshot.participants.map(\.handle.name) == ["ada"])
        #expect(snapshot.health?.state == .live && snapshot.readTime != nil)

        try await world.say("two")
        while await feed.snapshot(of: Self.general).messages.last?.content != "two" {
          #expect(await changes.next())
        }
        snapshot = await feed.snapshot(of: Self.general)
        #expect(
          snapshot.messages.map(\.topic.name).allSatisfy { $0 == "general" } && snapshot.places[0].unread.count == 3)

        // Marks move by an explicit act alone.
        _ = try await feed.perform(.markRead, at: Self.general)
        #expect(await feed.snapshot(of: nil).places.map(\.unread.count) == [0, 1])
      }
    }
  }

  @Test func whatIsTypedIsDone() throws {
    try MonitorWorld.play { world in
      let (task, _) = try await world.adaTasks.post(TaskPost(topic: Topic("general"), title: "build the docs"))
      try await world.withFeed { feed, _ in
        _ = try await feed.perform(.post("hello", to: nil), at: Self.general)
        let page = try await world.ada.fetch(FetchRequest(Topic("general"), .latest, limit: 1))
        #expect(page.messages.last?.content == "hello" && page.messages.last?.sender.name == "bob")
        let claimed = try await feed.perform(.claim(nil), at: Self.general)
        #expect(claimed.hasPrefix("\(task.label) is yours until "))
        #expect(try await feed.perform(.claim(nil), at: Self.general) == "no task is open")
        let done = try await feed.perform(.finish(task.label, .done("three pages")), at: nil)
        #expect(done == "\(task.label) is done")
        let (after, _) = try await world.adaTasks.task(named: task.id.text, on: nil)
        #expect(after.ending?.text == "three pages" && after.ending?.by.handle.name == "bob")
        // Refusals are those of the log.
        let refused: [(MonitorInput, String)] = [
          (.finish(task.label, .done("again")), "taskEnded"), (.claim("ffff"), "taskUnknown"),
          (.post("x", to: nil), "invalidRequest"), (.finish(task.label, .cancel("mine?")), "taskEnded"),
        ]
        for (input, code) in refused {
          do throws(HubError) {
            _ = try await feed.perform(input, at: input == .post("x", to: nil) ? nil : Self.general)
            Issue.record("\(input) was not refused")
          } catch {
            #expect(error.code == code, "\(input): \(error)")
          }
        }
        let mine = try await feed.perform(.taskPost(title: "water the plants"), at: Self.general)
        #expect(mine.hasSuffix("is posted"))
      }
    }
  }

  /// A task of another's stays that one's, and a lease's end shows without a word in the log.
  @Test func leasesOfOthersCountAndEnd() throws {
    try MonitorWorld.play { world in
      let (task, _) = try await world.adaTasks.post(TaskPost(topic: Topic("general"), title: "slow"))
      _ = try await world.adaTasks.claim(task.id.text, lease: .seconds(60))
      try await world.withFeed { feed, changes in
        #expect(await feed.snapshot(of: nil).tasks.first?.heldClaim(at: world.loop.wallClockMilliseconds) != nil)
        do throws(HubError) {
          _ = try await feed.perform(.finish(task.label, .done("x")), at: nil)
          Issue.record("another's task was finished")
        } catch {
          #expect(error.code == "taskNotHolder")
        }
        var snapshot = await feed.snapshot(of: nil)
        let begun = world.loop.now
        while snapshot.tasks.first?.status(at: snapshot.tasksNow) != .open {
          #expect(await changes.next())
          snapshot = await feed.snapshot(of: nil)
        }
        #expect(begun.duration(to: world.loop.now) < .seconds(62))
      }
    }
  }

  @Test func anothersViewIsThatOnes() throws {
    try MonitorWorld.play { world in
      try await world.say("for all")
      try await world.say("for carol", to: "carol")
      try await world.say("for dan", to: "dan")
      var options = MonitorOptions()
      options.participant = Handle("carol")
      try await world.withFeed(options) { feed, _ in
        let state = MonitorState(await feed.snapshot(of: nil), options: options)
        #expect(state.messages.map(\.content) == ["for all", "for carol"])
        #expect(state.snapshot.places[0].unread.count == 2)
        do throws(HubError) {
          _ = try await feed.perform(.markRead, at: Self.general)
          Issue.record("another's mark was moved")
        } catch {
          #expect(error.code == "invalidRequest")
        }
      }
    }
  }
}
