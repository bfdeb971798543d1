import ParleyConformance
import ParleyRuntime
import Testing

@testable import ParleyMCP

@Suite struct WaitToolTests {
  private let tool = "parley_wait"

  @Test func newsOfAnyTopicEndTheWait() throws {
    try ToolRoom.play { room async throws in
      async let found = room.call(tool)
      await room.loop.sleep(for: .seconds(11))
      try await room.post("here", on: "build")
      let result = try await found
      #expect(result.names == ["messages", "timedOut", "next"])
      #expect(result.contents == ["here"] && result["timedOut"] == false)
      #expect(result["next"]?["build"] == result["messages"]?[0]?["cursor"])
      #expect(room.reports.all == [0, 5, 10])
    }
  }

  @Test func whatCameBetweenTwoWaitsIsGivenOnce() throws {
    try ToolRoom.play { room async throws in
      try await room.post("1")
      await room.loop.sleep(for: .seconds(1))
      #expect(try await room.call(tool, ["timeout_ms": 0]).contents == ["1"])
      try await room.post("2", on: "build")
      await room.loop.sleep(for: .seconds(1))
      #expect(try await room.call(tool, ["timeout_ms": 0, "topics": ["general"]]).contents == [])
      let rest = try await room.call(tool, ["timeout_ms": 0, "topics": ["build", "general"]])
      #expect(rest.contents == ["2"])
      let none = try await room.call(tool, ["timeout_ms": 0])
      #expect(none["timedOut"] == true && none["next"] == [:])
    }
  }

  @Test func ownMessagesAndThoseForOthersDoNotCount() throws {
    try ToolRoom.play { room async throws in
      try await room.post("for eve", to: "eve")
      _ = try await room.call("parley_post", ["topic": "general", "content": "mine"])
      try await room.post("for bob", to: "bob")
      #expect(try await room.call(tool, ["timeout_ms": 1000]).contents == ["for bob"])
    }
  }

  @Test func theTimeIsBounded() throws {
    var limits = Limits()
    limits.wait = .seconds(20)
    try ToolRoom.play(limits: limits) { room async throws in
      func seconds(_ arguments: JSONValue) async throws -> Int64 {
        let start = room.loop.now
        #expect(try await room.call(tool, arguments)["timedOut"] == true)
        return start.duration(to: room.loop.now).milliseconds / 1000
      }
      #expect(try await seconds([:]) == 20)
      #expect(try await seconds(["timeout_ms": 3_000_000]) == 20)
      #expect(try await seconds(["timeout_ms": 7_000]) == 7)
      #expect(try await seconds(["timeout_ms": 0]) == 0)
    }
  }

  @Test func cancellingEndsTheWaitAtOnceAndTakesNothing() throws {
    try ToolRoom.play { room async throws in
      let arguments = try JSONSlice("{}")
      let call = room.loop.spawn { await ParleyMCP.WaitTool().call(arguments, in: room.context) }
      await room.loop.sleep(for: .seconds(2))
      let start = room.loop.now
      call.cancel()
      guard case .failure(let error) = await call.value else { Issue.record("was not cancelled"); return }
      #expect(error.code == "cancelled" && start == room.loop.now)
      // The message and the cancellation in the same moment: the next call has it.
      let second = room.loop.spawn { await ParleyMCP.WaitTool().call(arguments, in: room.context) }
      await room.loop.sleep(for: .seconds(1))
      try await room.post("in the last moment")
      second.cancel()
      if case .failure = await second.value {
        #expect(try await room.call(tool, ["timeout_ms": 0]).contents == ["in the last moment"])
      }
    }
  }

  @Test func everyArgumentHasItsErrorText() throws {
    try ToolRoom.play(patterns: ["ctx-.*"]) { room async throws in
      func failure(_ arguments: JSONValue) async throws -> String? { try await room.failure(tool, arguments) }
      #expect(try await failure(["topics": "general"]) == "topics: must be an array of strings")
      #expect(try await failure(["topics": [1]]) == "topics: must be an array of strings")
      #expect(try await failure(["topics": ["x"]]) == #"topic not allowed: "x""#)
      #expect(
        try await failure(["topics": ["ctx-1"]])
          == #"topics: "ctx-1" is not subscribed: wait for it with parley_fetch_recent and block_ms"#)
      #expect(try await failure(["timeout_ms": -1]) == "timeout_ms: must be an integer of at least 0")
      #expect(try await failure(["limit": 0]) == "limit: must be an integer of at least 1")
    }
  }

  @Test func whatIsOverTheLimitOrTheBytesComesWithTheNextCall() throws {
    try ToolRoom.play { room async throws in
      let texts = (0..<30).map { "\($0)-" + String(repeating: "\\", count: 10_000) }
      for (index, text) in texts.enumerated() { try await room.post(text, on: index % 2 == 0 ? "general" : "build") }
      await room.loop.sleep(for: .seconds(1))
      var seen: [String] = []
      var calls = 0
      while calls < 40 {
        let result = try await room.call(tool, ["timeout_ms": 500])
        if result["timedOut"] == true { break }
        #expect(result.text.utf8.count <= 100_000)
        seen += result.contents
        calls += 1
      }
      #expect(seen.sorted() == texts.sorted())
      #expect(calls >= 6)
      for number in 0..<5 { try await room.post("\(number)") }
      await room.loop.sleep(for: .seconds(1))
      let first = try await room.call(tool, ["limit": 3])
      #expect(first.contents == ["0", "1", "2"] && first["hasMore"] == true)
      #expect(try await room.call(tool, ["limit": 3]).contents == ["3", "4"])
    }
  }

  @Test func aGapEndsTheWaitAndIsTold() throws {
    try ToolRoom.play { room async throws in
      for number in 0..<6 { try await room.post("\(number)") }
      room.store.trim(Topic("general"), keeping: 2)
      let result = try await room.call(tool)
      #expect(result["timedOut"] == false)
      let gap = try #require(result["gap"])
      #expect(gap.names == ["topic", "from", "to", "reason", "certain"])
      #expect(gap["topic"] == "general" && gap["certain"] == true)
    }
  }

  @Test func aBackendThatIsAwayIsAnErrorAndNotSilence() throws {
    try ToolRoom.play(isUp: false) { room async throws in
      let start = room.loop.now
      let text = try await room.failure(tool, [:])
      #expect(text?.contains("the backend is away") == true)
      #expect(text?.contains("the simulated store is away") == true)
      #expect(start.duration(to: room.loop.now) <= .seconds(10))
    }
    try ToolRoom.play { room async throws in
      room.store.restart(downtime: .seconds(600))
      #expect(try await room.failure(tool, ["timeout_ms": 5_000])?.contains("the backend is away") == true)
    }
  }

  /// Where senders' clocks have a say, a topic's times may go back.
  @Test func topicsAreMergedByTimeAndKeepTheirOrder() {
    func topic(_ name: String, _ times: [Int64]) -> [Message] {
      times.enumerated().map { number, time in
        Message(
          topic: Topic(name), sender: Handle("s"), content: "\(name)\(number)", timestamp: "", storedAt: time,
          id: MessageID("\(number)"), cursor: Cursor("c"))
      }
    }
    let merged = WaitTool.merged([topic("a", [10, 700, 0, 20, 900]), topic("b", [15, 705, 800])])
    #expect(merged.map(\.content) == ["a0", "b0", "a1", "a2", "a3", "b1", "b2", "a4"])
  }
}
