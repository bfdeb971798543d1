import ParleyCoordination
import ParleyMCP
import ParleyRuntime
import Testing

@Suite struct HandOffToolTests {
  @Test func whatWasWrittenIsFound() throws {
    try ToolRoom.play { room async throws in
      let written = try await room.call("parley_handoff", ["topic": "build", "summary": "half done"])
      #expect(written["backendMsgId"]?.string != nil)
      _ = try await room.call("parley_handoff", ["topic": "build", "summary": "for carol", "scope": "carol"])
      try await room.post("one", on: "build")
      try await room.post("two", on: "build")
      _ = try await Tasks(hub: room.ada).post(TaskPost(topic: Topic("build"), title: "for you", to: Handle("bob")))
      _ = try await Tasks(hub: room.ada).post(TaskPost(topic: Topic("build"), title: "for anyone"))
      let page = try await room.bob.fetch(FetchRequest(Topic("build")))
      try await room.marks.mark(Topic("build"), at: page.next, storedAt: try #require(page.messages.last).storedAt)
      let found = try await room.call("parley_handoff", ["topic": "build", "limit": 3])
      #expect(found["summary"]?["text"] == "half done" && found["summary"]?["scope"] == "all")
      #expect(found["summary"]?["by"] == "bob")
      #expect(found["tasks"]?.array?.map { $0["title"]?.string } == ["for you"])
      #expect(found.contents == ["two", "task \(try Self.label(found)): for you"] + [found.contents.last ?? ""])
      #expect(found["mark"]?.string == page.next.text && found["nextCursor"]?.string == page.next.text)
      #expect(found["cut"] == nil)
    }
  }

  private static func label(_ found: JSONValue) throws -> String {
    String(try #require(found["tasks"]?.array?.first?["task"]?.string).prefix(4))
  }

  @Test func theFirstTopicIsTheDefault() throws {
    try ToolRoom.play { room async throws in
      try await room.post("hello")
      let found = try await room.call("parley_handoff")
      #expect(found["topic"] == "general" && found.contents == ["hello"] && found["summary"] == nil)
    }
  }

  /// Whatever there is, the orientation stays within its bytes, and what had no place is said.
  @Test(arguments: [1_000, 2_000, 5_000, 20_000])
  func itIsShortAndSaysWhatWasCut(_ bytes: Int) throws {
    try ToolRoom.play { room async throws in
      _ = try await room.call(
        "parley_handoff", ["summary": .string(String(repeating: "a \"quoted\" line\n", count: 900))])
      for number in 0..<30 {
        try await room.post(String(repeating: "word \(number)\n\u{1F600} ", count: 400))
        let title = "task \(number) " + String(repeating: "x", count: 200)
        _ = try await Tasks(hub: room.ada).post(TaskPost(topic: Topic("general"), title: title, to: Handle("bob")))
      }
      var arguments: JSONObject = ["limit": 40]
      if bytes != 5_000 { arguments["max_bytes"] = .int(Int64(bytes)) }
      let found = try await room.call("parley_handoff", .object(arguments))
      #expect(found.text.utf8.count <= bytes + 200, "\(found.text.utf8.count)")
      let cut = found["cut"]?.array?.compactMap(\.string) ?? []
      #expect(cut.contains { $0.hasPrefix("summary: ") } && cut.contains { $0.hasPrefix("tasks: ") })
      #expect(cut.contains { $0.hasPrefix("messages: ") && $0.hasSuffix("of 40") } || bytes == 20_000)
      #expect((found["messages"]?.array?.count ?? 0) > 0 || bytes == 1_000)
    }
  }

  @Test func everyArgumentHasItsErrorText() throws {
    try ToolRoom.play { room async throws in
      func failure(_ arguments: JSONValue) async throws -> String? {
        try await room.failure("parley_handoff", arguments)
      }
      #expect(try await failure(["topic": "secret"]) == #"topic not allowed: "secret""#)
      #expect(try await failure(["summary": " "]) == "summary: must not be blank or contain NUL")
      #expect(
        try await failure(["summary": .string(String(repeating: "x", count: 20_000))])
          == "summary too large: 20000 bytes, the limit is 16384")
      #expect(try await failure(["summary": "x", "scope": "system"]) == #"scope: "system" is no participant"#)
      #expect(try await failure(["limit": 0]) == "limit: must be an integer of at least 1")
    }
  }
}

@Suite struct PostWaitTests {
  @Test func aPostCanWaitForItsReader() throws {
    try ToolRoom.play { room async throws in
      let waiting = room.loop.spawn {
        do {
          return try await room.call(
            "parley_post", ["topic": "general", "content": "look", "to": "ada", "wait_for": "seen"])["receipt"]?.string
        } catch { return "\(error)" }
      }
      await room.loop.sleep(for: .seconds(1))
      let page = try await room.ada.fetch(FetchRequest(Topic("general")))
      let marks = ReadMarks(hub: room.ada)
      try await marks.load()
      try await marks.mark(Topic("general"), at: page.next, storedAt: try #require(page.messages.last).storedAt)
      #expect(await waiting.value == "seen")
      let timedOut = try await room.call(
        "parley_post",
        ["topic": "general", "content": "again", "to": "ada", "wait_for": "acted", "timeout_ms": 500])
      #expect(timedOut["receipt"] == "stored")
      let failure = try await room.failure(
        "parley_post", ["topic": "general", "content": "who", "wait_for": "seen"])
      #expect(failure == "wait_for: seen needs one recipient: `to`, or a single mention")
      #expect(try await room.ada.fetch(FetchRequest(Topic("general"))).messages.map(\.content) == ["look", "again"])
    }
  }

  /// Two sessions that answer each other end at the limit, with one line that says so; a person lets them go on.
  @Test func twoThatAnswerEachOtherStop() throws {
    var limits = Limits()
    limits.hops = 3
    try ToolRoom.play(limits: limits) { room async throws in
      func answer() async throws -> String? {
        try await room.failure("parley_post", ["topic": "general", "content": "my turn"])
      }
      // ada's process says the hop of each of its messages, as a session does.
      func hear(_ hop: Int) async throws {
        let draft = Draft(
          topic: Topic("general"), author: room.ada.setup.author, content: "your turn", key: .generated("h\(hop)"),
          attributes: hop > 1 ? ["parley.hop": "\(hop)"] : [:])
        _ = try await room.ada.supervisor.post(draft, deadline: room.loop.now.advanced(by: .seconds(5)))
        _ = try await room.call("parley_wait", ["timeout_ms": 1_000])
      }
      try await hear(1)
      #expect(try await answer() == nil)
      try await hear(3)
      #expect(try await answer()?.contains("limits.hops is 3") == true)
      #expect(try await answer()?.contains("a person") == true)
      await room.loop.sleep(for: .seconds(1))
      let lines = try await room.ada.fetch(FetchRequest(Topic("general"))).messages
      #expect(lines.count { $0.kind == "loop.guard" } == 1)
      #expect(lines.first { $0.content == "my turn" }?.attributes["parley.hop"] == "2")
      let person = Draft(
        topic: Topic("general"), author: room.ada.setup.author, content: "go on", key: .generated("p"),
        attributes: ["parley.hop": "0"])
      _ = try await room.ada.supervisor.post(person, deadline: room.loop.now.advanced(by: .seconds(5)))
      _ = try await room.call("parley_wait", ["timeout_ms": 1_000])
      #expect(try await answer() == nil)
    }
  }
}
