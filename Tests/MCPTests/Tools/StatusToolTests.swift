import ParleyCoordination
import ParleyMCP
import ParleyRuntime
import Testing

@Suite struct StatusToolTests {
  @Test func everythingIsTold() throws {
    try ToolRoom.play(patterns: ["ctx-.*"]) { room async throws in
      let status = try await room.call("parley_status")
      #expect(
        status.names == ["backend", "handle", "topics", "postTopics", "limits", "caughtUp", "versions"])
      let backend = try #require(status["backend"])
      #expect(backend["name"] == "sim" && backend["state"] == "live" && backend["durability"] == "written")
      #expect(backend["cause"] == nil && backend["reconnects"] == 0)
      #expect(status["handle"] == "bob" && status["caughtUp"] == true)
      #expect(status["topics"] == .array(ToolRoom.topics.map(JSONValue.string)))
      #expect(status["limits"]?["contentBytes"] == 262_144 && status["limits"]?["waitMs"] == 60_000)
      #expect(status["versions"]?["parley"]?.string == ParleyVersion.text)
    }
  }

  @Test func aBackendThatIsAwayIsToldAtOnceWithItsCause() throws {
    try ToolRoom.play(isUp: false) { room async throws in
      await room.loop.sleep(for: .milliseconds(20))
      let start = room.loop.now
      let status = try await room.call("parley_status")
      #expect(start == room.loop.now)
      #expect(status["backend"]?["state"] == "waitingToRetry")
      #expect(status["backend"]?["cause"]?.string?.contains("the simulated store is away") == true)
      #expect(status["caughtUp"] == false)
    }
  }

  @Test func damagedEventsAreCounted() throws {
    try ToolRoom.play { room async throws in
      let own = Handle("bob").ownTopic
      _ = try await room.bob.postUnchecked(PostRequest(topic: own, content: "x", attributes: ["kind": "mark"]))
      try await room.marks.load()
      #expect(try await room.call("parley_status")["ignoredEvents"] == 1)
    }
  }
}
