import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// The tools of the chatroom through real processes over every kind of backend; what was wrong there is right here.
@Suite struct ChatroomTests {
  private static func caller(_ place: CompatPlace, _ handle: String, extra: String = "") async throws -> CompatCaller {
    try await place.client(handle, "chatroom", extra: extra)
  }

  private static func ids(_ result: CompatResult) -> [Int64?] {
    (result.structured?["result"] ?? result.structured?["messages"])?.array?.map { $0["id"]?.int } ?? []
  }

  @Test(arguments: CompatGround.ways) func theToolsAreThere(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let names = await (try Self.caller(place, "ada")).tools().map(\.name).filter { !$0.hasPrefix("parley_") }
      #expect(
        names == [
          "join", "leave", "open_topic", "close_topic", "list_topics", "send_message", "read_messages",
          "list_participants", "get_status", "get_cursor", "set_cursor", "read_unread", "write_summary",
          "read_latest_summary", "get_handoff",
        ])
    }
  }

  @Test(arguments: CompatGround.all) func aRoomOfTwoProcesses(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      let joined = await ada.call("join", ["name": " planner ", "role": "plans"])
      #expect(joined.structured?["result"]?[0]?["name"]?.string == "planner")
      #expect(joined.blocks.count == 1 && joined.text.contains("\n  \"role\": \"plans\""))
      // A name is one process's, which may take it again.
      let taken = await bob.call("join", ["name": "planner"])
      #expect(
        taken.isError
          && taken.text
            == "Error executing tool join: participant 'planner' is already active; choose a different name "
            + "or remove the stale participant"
      )
      #expect(!(await ada.call("join", ["name": "planner", "role": ""])).isError)
      let both = await bob.call("join", ["name": "builder"])
      #expect(both.structured?["result"]?.array?.map { $0["name"]?.string } == ["builder", "planner"])
      #expect(both.structured?["result"]?[1]?["role"]?.string == "")
      #expect(await ada.call("send_message", ["name": "planner", "content": " hello "]).structured == ["id": 1])
      #expect(
        await bob.call("send_message", ["name": "builder", "content": "for you", "to": "planner"]).structured
          == ["id": 2])
      let all = await ada.call("read_messages")
      #expect(all.blocks.count == 2)
      let first = all.structured?["result"]?[0]
      #expect(first?["from"]?.string == "planner" && first?["to"]?.string == "all")
      #expect(first?["content"]?.string == "hello" && first?["ts"]?.string?.count == 20 && first?["topic_id"] == nil)
      #expect(Self.ids(await bob.call("read_messages", ["participant": "builder"])) == [1])
      #expect(Self.ids(await bob.call("read_messages", ["participant": "planner", "since_id": "1"])) == [2])
      // Nobody removes another's name, so nobody can take it either.
      let theft = await bob.call("leave", ["name": "planner"])
      #expect(theft.isError && theft.code == "participant_active")
      #expect(await ada.call("leave", ["name": "planner"]).structured == ["left": true])
      #expect(await ada.call("leave", ["name": "planner"]).structured == ["left": false])
      let goodbye = await bob.call("read_messages", ["since_id": 2])
      #expect(goodbye.structured?["result"]?[0]?["from"]?.string == "system")
      #expect(goodbye.structured?["result"]?[0]?["content"]?.string == "planner left the chatroom")
      #expect(!(await bob.call("join", ["name": "planner"])).isError)
      // A process that ends leaves.
      bob.client.process.closeInput()
      _ = await bob.client.process.waitForExit(until: place.soon)
      let left = await ada.call("list_participants") { $0.structured == ["result": []] }
      #expect(left.structured == ["result": []])
    }
  }

  @Test(arguments: CompatGround.quick) func topicsBeginAndEnd(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      let opened = await ada.call("open_topic", ["topic_id": "ui-1", "title": "The page"])
      #expect(opened.structured?["status"]?.string == "open" && opened.structured?["created_by"]?.string == "system")
      await ada.call("open_topic", ["topic_id": "api", "title": "The API"])
      #expect(
        await bob.call("open_topic", ["topic_id": "ui-1", "title": "x"]).text.hasSuffix("topic 'ui-1' already exists"))
      // Numbers are the room's, whatever the topic.
      #expect(
        await ada.call("send_message", ["name": "ada", "topic_id": "ui-1", "content": "a"]).structured == ["id": 1])
      #expect(
        await bob.call("send_message", ["name": "bob", "topic_id": "api", "content": "b"]).structured == ["id": 2])
      #expect(
        await bob.call("send_message", ["name": "bob", "topic_id": "ui-1", "content": "c"]).structured == ["id": 3])
      #expect(Self.ids(await ada.call("read_messages", ["topic_id": "ui-1"])) == [1, 3])
      let topics = await ada.call("list_topics", ["name": "ada"])
      #expect(topics.structured?["result"]?.array?.map { $0["id"]?.string } == ["ui-1", "api"])
      #expect(topics.structured?["result"]?.array?.map { $0["unread_count"]?.int } == [2, 1])
      #expect(topics.structured?["result"]?[0]?["latest_message_id"]?.int == 3)
      #expect(await bob.call("close_topic", ["topic_id": "ui-1"]).structured == ["closed": true])
      #expect(await ada.call("close_topic", ["topic_id": "ui-1"]).structured == ["closed": false])
      let late = await ada.call("send_message", ["name": "ada", "topic_id": "ui-1", "content": "d"])
      #expect(late.isError && late.text == "Error executing tool send_message: topic 'ui-1' is closed")
      #expect(Self.ids(await ada.call("read_messages", ["topic_id": "ui-1"])) == [1, 3])
      let closed = await ada.call("list_topics", ["status": "closed"])
      #expect(closed.structured?["result"]?.array?.count == 1)
      #expect(closed.structured?["result"]?[0]?["closed_at"]?.string != nil)
      #expect(closed.structured?["result"]?[0]?["cursor"] == nil)
      let status = await bob.call("get_status")
      #expect(status.structured?["topic_count"]?.int == 2 && status.structured?["open_topic_count"]?.int == 1)
    }
  }

  @Test(arguments: CompatGround.quick) func readersKeepTheirPlace(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      await ada.call("open_topic", ["topic_id": "t", "title": "T"])
      for number in 0..<5 {
        await ada.call("send_message", ["name": "ada", "topic_id": "t", "content": .string("m\(number)")])
      }
      await ada.call("send_message", ["name": "ada", "topic_id": "t", "content": "secret", "to": "carol"])
      let who: JSONValue = ["name": "bob", "topic_id": "t"]
      #expect(await bob.call("get_cursor", who).structured?["last_read_id"]?.int == 0)
      let peek = await bob.call("read_unread", ["name": "bob", "topic_id": "t", "mark_read": false])
      #expect(Self.ids(peek) == [1, 2, 3, 4, 5] && peek.structured?["last_read_id"]?.int == 0)
      let two = await bob.call("read_unread", ["name": "bob", "topic_id": "t", "limit": 2])
      #expect(Self.ids(two) == [1, 2] && two.structured?["last_read_id"]?.int == 2)
      #expect(
        await bob.call("set_cursor", ["name": "bob", "topic_id": "t", "message_id": 1]).structured?["last_read_id"]
          == 2)
      let beyond = await bob.call("set_cursor", ["name": "bob", "topic_id": "t", "message_id": 7])
      #expect(beyond.text.hasSuffix("message_id cannot exceed the latest message id for this topic"))
      // Two that read at the same time get different messages.
      let calls = [ada, bob].map { ($0, $0.start("read_unread", ["name": "guest", "topic_id": "t", "limit": 2])) }
      var given: [Int64?] = []
      for (caller, call) in calls { given += Self.ids(await caller.answer(call)) }
      #expect(given.compactMap { $0 }.sorted() == [1, 2, 3, 4])
      // The place is there for whoever resumes elsewhere.
      let carol = try await Self.caller(place, "carol")
      #expect(
        Self.ids(await carol.call("read_unread", ["name": "bob", "topic_id": "t", "mark_read": false])) == [3, 4, 5])
      #expect(await ada.call("get_cursor", ["name": "bob"]).structured == ["name": "bob", "last_read_id": 0])
    }
  }

  @Test(arguments: CompatGround.quick) func summariesAndHandOff(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      await ada.call("open_topic", ["topic_id": "t", "title": "T"])
      let none = await ada.call("read_latest_summary", ["topic_id": "t"])
      #expect(none.blocks.isEmpty && none.structured == ["result": nil])
      #expect(
        await ada.call("write_summary", ["name": "ada", "topic_id": "t", "content": "all is well"]).structured
          == ["id": 1])
      #expect(
        await ada.call("write_summary", ["name": "ada", "topic_id": "t", "content": "go on", "scope": "bob"]).structured
          == ["id": 2])
      #expect(
        await bob.call("read_latest_summary", ["topic_id": "t"]).structured?["content"]?.string == "all is well")
      await ada.call("send_message", ["name": "ada", "topic_id": "t", "content": "one"])
      await ada.call("send_message", ["name": "ada", "topic_id": "t", "content": "two"])
      let handoff = await bob.call("get_handoff", ["name": "bob", "topic_id": "t", "recent_limit": 1])
      #expect(handoff.structured?["latest_summary"]?["content"]?.string == "go on")
      #expect(handoff.structured?["recent_messages"]?.array?.map { $0["content"]?.string } == ["two"])
      #expect(handoff.structured?["unread_count"]?.int == 2 && handoff.structured?["cursor"]?.int == 0)
      #expect(handoff.structured?["topic"]?["id"]?.string == "t")
      let nobody = await bob.call("get_handoff", ["name": ""])
      #expect(nobody.structured?["cursor"]?.isNull == true && nobody.structured?["latest_message_id"]?.int == 0)
    }
  }

  @Test(arguments: CompatGround.ways) func whatIsWrongIsRefused(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada", extra: "live_push: { from: [boss] }")
      let bob = try await Self.caller(place, "bob")
      await ada.sees("bob")
      #expect(!(await bob.call("list_participants")).isError)
      // A door knows the handles of all its tokens.
      let foreign =
        ground == .http
        ? "the name 'bob' is reserved; choose another" : "the name 'bob' is somebody else's; choose another"
      for (tool, arguments, text) in [
        ("join", ["name": "  "], "name must not be blank"),
        ("join", [:], "name is required"),
        ("join", ["name": "all"], "the name 'all' is reserved; choose another"),
        ("join", ["name": "System"], "the name 'System' is reserved; choose another"),
        ("join", ["name": "human"], "the name 'human' is reserved; choose another"),
        ("join", ["name": "boss"], "the name 'boss' is reserved; choose another"),
        ("join", ["name": "bob"], foreign),
        ("join", ["name": "a\u{202E}b"], "name must not contain control or invisible characters"),
        ("send_message", ["name": "system", "content": "x"], "the name 'system' is reserved; choose another"),
        ("send_message", ["name": "bob", "content": "x"], foreign),
        ("send_message", ["name": "ada", "content": " "], "content must not be blank"),
        ("send_message", ["name": "ada", "content": "x", "topic_id": "none"], "unknown topic_id: none"),
        ("send_message", ["name": "ada", "content": "x", "topic_id": " "], "topic_id must not be blank"),
        ("read_messages", ["limit": 0], "limit must be 1 to 100, not 0"),
        ("read_messages", ["limit": 101], "limit must be 1 to 100, not 101"),
        ("read_messages", ["since_id": -1], "since_id must be at least 0, not -1"),
        ("close_topic", ["topic_id": "none"], "unknown topic_id: none"),
        ("list_topics", ["status": "odd"], "status must be one of: open, closed, all"),
        ("set_cursor", ["name": "ada", "message_id": -1], "message_id must be at least 0, not -1"),
        (
          "open_topic", ["topic_id": "Big", "title": "x"],
          "topic_id must begin with a-z or 0-9, followed by at most 63 of a-z, 0-9, '.', '_', '-'"
        ),
      ] as [(String, JSONValue, String)] {
        let result = await ada.call(tool, arguments)
        #expect(result.isError && result.text == "Error executing tool \(tool): \(text)")
      }
    }
  }

  /// Two processes that write at the same time: numbers without a gap, the same for every reader.
  @Test(arguments: CompatGround.all) func numbersHaveNoGap(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let writers = [try await Self.caller(place, "ada"), try await Self.caller(place, "bob")]
      let calls = writers.enumerated().map { index, writer in
        (0..<ground.crowd / 2).map { number in
          writer.start(
            "send_message", ["name": .string(["ada", "bob"][index]), "content": .string("\(index) \(number)")])
        }
      }
      var given: [Int64] = []
      for (writer, ids) in zip(writers, calls) {
        given += await writer.answers(ids).compactMap { $0.structured?["id"]?.int }
      }
      #expect(given.sorted() == Array(1...Int64(ground.crowd)))
      var seen: [[String]] = []
      for reader in writers + [try await Self.caller(place, "carol")] {
        var lines: [String] = []
        for page in 0..<(ground.crowd + 99) / 100 {
          let result = await reader.call("read_messages", ["since_id": .int(Int64(page * 100)), "limit": 100])
          lines += (result.structured?["result"]?.array ?? []).map {
            "\($0["id"]?.int ?? 0) \($0["content"]?.string ?? "")"
          }
        }
        #expect(lines.count == ground.crowd)
        seen.append(lines)
      }
      #expect(Set(seen).count == 1)
    }
  }

  /// Over HTTP a name is its token's, in every session, and what is said under it is a claim.
  @Test func aNameIsItsTokens() throws {
    try CompatPlace.use(.http) { place in
      let extra = "post_topics: [chatroom]"
      let ada = try await Self.caller(place, "ada", extra: extra)
      let again = try await place.client("ada", "chatroom", extra: extra, sharesToken: true)
      let bob = try await Self.caller(place, "bob", extra: extra)
      #expect(!(await ada.call("join", ["name": "planner"])).isError)
      #expect(await again.call("send_message", ["name": "planner", "content": "as both"]).structured == ["id": 1])
      #expect(await bob.call("send_message", ["name": "planner", "content": "x"]).code == "participant_active")
      #expect(await bob.call("join", ["name": "planner"]).code == "participant_active")
      // The handles of the door and of other tokens are nobody else's.
      for name in ["door", "ada", "nobody"] {
        #expect(await bob.call("join", ["name": .string(name)]).code == "name_reserved", "\(name)")
      }
      #expect(!(await ada.call("send_message", ["name": "ada", "content": "as myself"])).isError)
      let log = await bob.call("parley_fetch_recent", ["topic": "chatroom"])
      let provenances = (log.structured?["messages"]?.array ?? []).reduce(into: [String: String]()) { found, message in
        guard let content = message["content"]?.string, content.hasPrefix("as ") else { return }
        found[content] = message["provenance"]?.string
      }
      #expect(provenances == ["as both": "claimed", "as myself": "verified"], "\(log.text)")
      // The session that joined ends; the token has another.
      ada.client.process.closeInput()
      _ = await ada.client.process.waitForExit(until: place.soon)
      #expect(!(await again.call("send_message", ["name": "planner", "content": "still here"])).isError)
    }
  }

  /// A process that was killed does not keep its name for ever.
  @Test(arguments: CompatGround.processes) func aDeadOnesNameIsFree(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      await ada.call("join", ["name": "worker"])
      ada.client.process.kill(9)
      _ = await ada.client.process.waitForExit(until: place.soon)
      let held = await bob.call("join", ["name": "worker"])
      #expect(held.isError && held.code == "participant_active")
      let result = await bob.call("join", ["name": "worker"]) { !$0.isError }
      #expect(!result.isError)
    }
  }

  /// Without a configuration the agents of one repository meet in it, with what an older room has said.
  @Test func aRepositoryHasARoom() throws {
    try CompatPlace.use { place in
      let root = place.folder.path("project")
      try SystemError.check("mkdir", mkdir(place.folder.path("elsewhere"), 0o700))
      for folder in ["", "/.git", "/.chatroom", "/src"] {
        try SystemError.check("mkdir", mkdir(root + folder, 0o700))
      }
      try place.write(
        "project/.chatroom/messages.jsonl",
        """
        {"content": "first", "from": "old-ada", "id": 1, "to": "all", "ts": "2026-01-02T03:04:05Z"}
        not a record
        {"content": "third", "from": "old-bob", "id": 3, "to": "old-ada", "ts": "2026-01-02T03:04:06Z"}

        """)
      try place.write(
        "project/.chatroom/summaries.jsonl",
        #"{"content": "so far", "from": "old-ada", "id": 1, "scope": "all", "ts": "2026-01-02T03:04:07Z"}"# + "\n")
      try place.write("project/.chatroom/cursors.json", #"{"old-ada": 1}"#)
      func start(_ directory: String, _ environment: [String: String] = [:]) async throws -> CompatCaller {
        let process = try place.place.start(
          ["serve", "--compat", "chatroom"], environment: environment, directory: directory)
        let client = Client(process, place.place)
        try await client.initialize()
        return CompatCaller(client, place)
      }
      let callers = [
        try await start(root), try await start(root + "/src"),
        try await start(place.folder.path("elsewhere"), ["CHATROOM_ROOT": " \(root) "]),
      ]
      let reads = callers.map { ($0, $0.start("read_messages")) }
      for (caller, call) in reads {
        let result = await caller.answer(call)
        #expect(
          result.structured?["result"]?.array?.map { $0["content"]?.string } == ["first", "(unreadable)", "third"])
        #expect(result.structured?["result"]?[0]?["ts"]?.string == "2026-01-02T03:04:05Z")
      }
      #expect(await callers[1].call("send_message", ["name": "new", "content": "fourth"]).structured == ["id": 4])
      #expect(await callers[2].call("get_cursor", ["name": "old-ada"]).structured?["last_read_id"]?.int == 1)
      #expect(await callers[2].call("read_latest_summary").structured?["content"]?.string == "so far")
      #expect(access(root + "/.parley/parley.db", F_OK) == 0 && access(root + "/.parley/.gitignore", F_OK) == 0)
    }
  }

  /// The newer form of its files has topics, and counts alone where there is an older one too.
  @Test func aRoomWithTopicsIsTakenOver() throws {
    try CompatPlace.use { place in
      let root = place.folder.path("project")
      for folder in ["", "/.git", "/.chatroom", "/.chatroom_v2"] {
        try SystemError.check("mkdir", mkdir(root + folder, 0o700))
      }
      try place.write("project/.chatroom/messages.jsonl", #"{"content": "older", "from": "a", "id": 1, "to": "all"}"#)
      try place.write(
        "project/.chatroom_v2/messages.jsonl",
        """
        {"content": "blue?", "from": "old-ada", "id": 1, "to": "all", "topic_id": "design", "ts": "2026-01-02T03:04:05Z"}
        {"content": "ship it", "from": "old-bob", "id": 2, "to": "all", "topic_id": "done", "ts": "2026-01-02T03:04:06Z"}
        {"content": "green", "from": "old-bob", "id": 3, "to": "old-ada", "topic_id": "design", "ts": "2026-01-02T03:04:07Z"}

        """)
      try place.write(
        "project/.chatroom_v2/topics.json",
        """
        {"design": {"id": "design", "title": "Which colour", "status": "open", "created_by": "system"},
         "done": {"id": "done", "title": "Finished", "status": "closed", "created_by": "system"}}
        """)
      try place.write(
        "project/.chatroom_v2/summaries.jsonl",
        #"{"content": "colours", "from": "old-ada", "id": 1, "scope": "all", "topic_id": "design"}"# + "\n")
      try place.write("project/.chatroom_v2/cursors.json", #"{"old-ada": {"design": 1}, "old-bob": {"design": 3}}"#)
      let process = try place.place.start(["serve", "--compat", "chatroom"], directory: root)
      let client = Client(process, place.place)
      try await client.initialize()
      let caller = CompatCaller(client, place)
      let topics = await caller.call("list_topics", ["status": "all"])
      let listed = topics.structured?["result"]?.array ?? []
      #expect(Set(listed.compactMap { $0["id"]?.string }) == ["design", "done"])
      #expect(listed.first { $0["id"]?.string == "done" }?["status"]?.string == "closed")
      #expect(listed.first { $0["id"]?.string == "design" }?["title"]?.string == "Which colour")
      let read = await caller.call("read_messages", ["topic_id": "design"])
      #expect(read.structured?["result"]?.array?.map { $0["id"]?.int } == [1, 3])
      #expect(read.structured?["result"]?[0]?["ts"]?.string == "2026-01-02T03:04:05Z")
      #expect(
        await caller.call("get_cursor", ["name": "old-ada", "topic_id": "design"]).structured?["last_read_id"] == 1)
      #expect(await caller.call("read_latest_summary", ["topic_id": "design"]).structured?["content"] == "colours")
      let closed = await caller.call("send_message", ["name": "new", "topic_id": "done", "content": "late"])
      #expect(closed.isError)
      let sent = await caller.call("send_message", ["name": "new", "topic_id": "design", "content": "red"])
      #expect(sent.structured == ["id": 4])
    }
  }
}
