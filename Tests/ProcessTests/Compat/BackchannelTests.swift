import ParleyRuntime
import ParleyTestKit
import Testing

/// The tools of Backchannel through real processes over every kind of backend; what was wrong there is right here.
@Suite struct BackchannelTests {
  private static let free = "compat_options: { backchannel: { writes_per_minute: 0 } }\npost_topics: ['backchannel/.*']"

  private static func caller(_ place: CompatPlace, _ handle: String, extra: String = free) async throws -> CompatCaller
  {
    try await place.client(handle, "backchannel", extra: extra)
  }

  private static func id(_ result: CompatResult) -> JSONValue { result.json["message_id"] ?? nil }

  @Test func theToolsAreThereOnlyWhereTheyAreConfigured() throws {
    try CompatPlace.use { place in
      let plain = try await place.client("plain", "", extra: Self.free)
      let standard = await plain.tools()
      #expect(standard.allSatisfy { $0.name.hasPrefix("parley_") })
      let all = await (try Self.caller(place, "ada")).tools()
      #expect(all.prefix(standard.count).map(\.text) == standard.map(\.text))
      #expect(
        all.dropFirst(standard.count).map(\.name) == [
          "post_task", "broadcast", "claim_task", "ack_task", "release_task", "extend_task", "subscribe",
          "await_result", "list_channels", "request_access", "issue_key",
        ])
    }
  }

  @Test(arguments: CompatGround.all) func aTaskGoesThroughTwoProcesses(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      let posted = await ada.call(
        "post_task",
        [
          "channel": "builds", "content": " build the docs\n\nall pages, @bob ", "metadata": ["pages": [1, 2]],
          "actor_label": "planner",
        ])
      #expect(posted.json["channel"]?.string == "builds")
      let message = posted.json["envelope"]?["message"]
      #expect(message?["content"]?.string == "build the docs\n\nall pages, @bob")
      #expect(message?["metadata"] == ["pages": [1, 2]])
      #expect(message?["actor"]?["id"]?.string == "ada" && message?["actor_label"]?.string == "planner")
      #expect(message?["mentions"] == ["bob"] && message?["claimed_by"]?.isNull == true)
      #expect(message?["created_at"]?.string?.hasSuffix("000+00:00") == true)
      let waiting = ada.start(
        "await_result", ["channel": "builds", "message_id": Self.id(posted), "timeout_seconds": 60])
      let claimed = await bob.call("claim_task", ["channel": "builds", "actor": "worker-1"])
      #expect(claimed.json["claimed"]?["status"]?.string == "claimed")
      #expect(claimed.json["message"]?["id"] == Self.id(posted))
      #expect(claimed.json["message"]?["content"]?.string == "build the docs\n\nall pages, @bob")
      #expect(claimed.json["message"]?["claimed_by"] == ["id": "bob", "name": "worker-1"])
      let target: JSONValue = ["channel": "builds", "message_id": Self.id(posted), "actor": "worker-1"]
      let extended = await bob.call("extend_task", target)
      #expect(extended.json["status"]?.string == "extended" && extended.json["expires_at"]?.string != nil)
      // Only who claimed it can say that it is done.
      let other = await bob.call(
        "ack_task", ["channel": "builds", "message_id": Self.id(posted), "actor": "worker-2"])
      #expect(other.isError && other.code == "forbidden")
      #expect(await ada.call("ack_task", target).code == "not_claimed")
      let acked = await bob.call(
        "ack_task",
        ["channel": "builds", "message_id": Self.id(posted), "actor": "worker-1", "result": "3 pages: built"])
      #expect(acked.json["status"]?.string == "acknowledged")
      #expect(acked.json["message"]?["acknowledged_by"]?[0]?["name"]?.string == "worker-1")
      #expect(await bob.call("ack_task", target).json["status"]?.string == "already_acknowledged")
      let awaited = await ada.answer(waiting)
      #expect(awaited.json["status"]?.string == "acknowledged")
      #expect(awaited.json["result"]?.string == "3 pages: built")
      #expect(await bob.call("extend_task", target).code == "already_acknowledged")
    }
  }

  /// Two posts under one name are two tasks of one channel, and a claim never gives the same one twice.
  @Test(arguments: CompatGround.quick) func nothingHidesATask(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      var posted: [String] = []
      for number in 0..<110 {
        let task = await ada.call("post_task", ["channel": "queue", "content": .string("task \(number / 2)")])
        posted.append(Self.id(task).string ?? "none")
      }
      #expect(Set(posted).count == 110)
      var claimed: [String] = []
      for _ in 0..<110 {
        let task = await bob.call("claim_task", ["channel": "queue", "actor": "bob"])
        claimed.append(task.json["message"]?["id"]?.string ?? "none")
      }
      #expect(claimed == posted)
      let none = await bob.call("claim_task", ["channel": "queue", "actor": "bob"])
      #expect(!none.isError && none.json["claimed"]?.isNull == true && none.json["note"]?.string != nil)
      // Far beyond any page.
      let last = JSONValue.string(posted[109])
      #expect(
        await bob.call("ack_task", ["channel": "queue", "message_id": last, "actor": "bob", "result": "done"])
          .json["status"]?.string == "acknowledged")
      let result = await ada.call("await_result", ["channel": "queue", "message_id": last, "timeout_seconds": 30])
      #expect(result.json["result"]?.string == "done")
      let open = await ada.call(
        "await_result", ["channel": "queue", "message_id": .string(posted[0]), "timeout_seconds": 0])
      #expect(!open.isError && open.json["status"]?.string == "timeout")
    }
  }

  @Test(arguments: CompatGround.all) func manyClaimantsGetOneEach(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      for number in 0..<12 { await ada.call("post_task", ["channel": "race", "content": .string("t\(number)")]) }
      var claimants = [ada]
      for handle in ["bob", "carol"] { claimants.append(try await Self.caller(place, handle)) }
      let calls = claimants.map { caller in
        (0..<8).map { caller.start("claim_task", ["channel": "race", "actor": .string("actor-\($0)")]) }
      }
      var winners: [String] = []
      for (caller, ids) in zip(claimants, calls) {
        for result in await caller.answers(ids) {
          #expect(!result.isError, "\(result.text)")
          if let won = result.json["message"]?["id"]?.string { winners.append(won) }
        }
      }
      #expect(winners.count == 12 && Set(winners).count == 12)
    }
  }

  /// A holder that lost its claim is late, whoever has the task now.
  @Test(arguments: CompatGround.quick) func aLateWordIsRefused(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      let task = Self.id(await ada.call("post_task", ["channel": "jobs", "content": "fragile"]))
      let first: JSONValue = ["channel": "jobs", "message_id": task, "actor": "one"]
      await bob.call("claim_task", ["channel": "jobs", "actor": "one"])
      #expect(await bob.call("release_task", first).json["status"]?.string == "released")
      #expect(await bob.call("ack_task", first).code == "not_claimed")
      await bob.call("claim_task", ["channel": "jobs", "actor": "one"])
      // The lease ends by a word in the log that the session knows nothing of.
      let log = await bob.call("parley_fetch_recent", ["topic": "backchannel/jobs"])
      let fence = log.structured?["messages"]?.array?.last?["backendMsgId"] ?? nil
      await bob.call(
        "parley_post",
        [
          "topic": "backchannel/jobs", "content": "given back",
          "attributes": ["kind": "task.release", "task": task, "fence": fence],
        ])
      let again = await ada.call("claim_task", ["channel": "jobs", "actor": "two"])
      #expect(again.json["message"]?["id"] == task)
      for tool in ["ack_task", "release_task", "extend_task"] {
        let late = await bob.call(tool, first)
        #expect(late.isError && late.code == "lease_expired", "\(tool): \(late.text)")
      }
      let done = await ada.call("ack_task", ["channel": "jobs", "message_id": task, "actor": "two"])
      #expect(done.json["status"]?.string == "acknowledged")
    }
  }

  @Test(arguments: CompatGround.all) func readingGivesEachMessageOnce(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      let sent = (0..<10).map { "news \($0)" }
      // Sent at once, so that many share a millisecond.
      let calls = sent.map { ada.start("broadcast", ["channel": "news", "content": .string($0)]) }
      let answers = await ada.answers(calls)
      #expect(answers.allSatisfy { $0.json["message"] != nil })
      await ada.call("post_task", ["channel": "news", "content": "a task among them"])
      var read: [String] = []
      var since: JSONValue = nil
      for _ in 0..<8 {
        let page = await bob.call("subscribe", ["channel": "news", "since": since, "limit": 3])
        let contents = page.json["data"]?.array?.compactMap { $0["content"]?.string } ?? []
        #expect(contents.count <= 3)
        read += contents
        since = page.json["next_cursor"] ?? nil
      }
      #expect(read.count == 11 && Set(read.prefix(10)) == Set(sent) && read.last == "a task among them")
      let later = await ada.call("broadcast", ["channel": "news", "content": "later"])
      let page = await bob.call("subscribe", ["channel": "news", "since": since])
      #expect(page.json["data"]?.array?.map { $0["content"]?.string } == ["later"])
      #expect(later.json["message"]?["id"] == page.json["data"]?[0]?["id"])
      // A claim changes what is said of the task, and is no message itself.
      await bob.call("claim_task", ["channel": "news", "actor": "bob"])
      let all = await bob.call("subscribe", ["channel": "news", "limit": 100])
      #expect(all.json["data"]?.array?.count == 12)
      #expect(all.json["data"]?[10]?["claimed_by"]?["name"]?.string == "bob")
    }
  }

  @Test(arguments: CompatGround.ways) func whatIsWrongIsAnError(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      await ada.call("broadcast", ["channel": "radio", "content": "hello"])
      let task = Self.id(await ada.call("post_task", ["channel": "jobs", "content": "job"]))
      let long = JSONValue.string(String(repeating: "é", count: 5_001))
      for (tool, arguments, code) in [
        ("claim_task", ["channel": "radio", "actor": "ada"], "channel_not_claimable"),
        ("claim_task", ["channel": "nowhere", "actor": "ada"], "channel_not_found"),
        ("claim_task", ["channel": "jobs", "actor": "human"], "name_reserved"),
        ("claim_task", ["channel": "jobs", "actor": " "], "invalid_name"),
        ("claim_task", ["channel": "jobs", "actor": "a", "lease_seconds": 29], "invalid_argument"),
        ("claim_task", ["channel": "jobs", "actor": "a", "lease_seconds": 3_601], "invalid_argument"),
        ("claim_task", ["channel": "jobs"], "invalid_argument"),
        ("post_task", ["channel": "jobs", "content": " \n "], "invalid_content"),
        ("post_task", ["channel": "jobs", "content": long], "content_too_large"),
        ("post_task", ["channel": "a\u{200B}b", "content": "x"], "invalid_channel_name"),
        ("post_task", ["channel": "", "content": "x"], "invalid_channel_name"),
        (
          "post_task", ["channel": .string(String(repeating: "x", count: 201)), "content": "x"], "invalid_channel_name"
        ),
        ("post_task", ["channel": "jobs", "content": "x", "metadata": [1]], "invalid_argument"),
        ("post_task", ["channel": "jobs", "content": "x", "actor_label": "system"], "name_reserved"),
        ("subscribe", ["channel": "jobs", "limit": 0], "invalid_limit"),
        ("subscribe", ["channel": "jobs", "limit": 101], "invalid_limit"),
        ("subscribe", ["channel": "jobs", "since": "redis.x.1"], "invalid_cursor"),
        ("subscribe", ["channel": "nowhere"], "channel_not_found"),
        ("await_result", ["channel": "jobs", "message_id": "12"], "message_not_found"),
        ("await_result", ["channel": "jobs", "message_id": "0123456789abcdef"], "message_not_found"),
        ("ack_task", ["channel": "jobs", "message_id": task, "actor": "ada"], "not_claimed"),
        ("list_channels", ["cursor": "nowhere"], "invalid_cursor"),
      ] as [(String, JSONValue, String)] {
        let result = await ada.call(tool, arguments)
        #expect(result.isError && result.code == code, "\(tool) \(arguments.text.prefix(80)): \(result.text)")
        #expect(result.text.hasPrefix("Backchannel error ["))
      }
    }
  }

  @Test(arguments: CompatGround.quick) func aKeyMakesOneTask(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let keyed: JSONValue = ["channel": "jobs", "content": "once", "idempotency_key": "k1"]
      let first = await ada.call("post_task", keyed)
      let second = await ada.call("post_task", keyed)
      #expect(Self.id(first) == Self.id(second))
      let other = await ada.call("post_task", ["channel": "jobs", "content": "twice", "idempotency_key": "k1"])
      #expect(other.isError && other.code == "idempotency_key_reused")
      let listed = await ada.call("subscribe", ["channel": "jobs"])
      #expect(listed.json["data"]?.array?.count == 1)
    }
  }

  @Test(arguments: CompatGround.ways) func aSenderHasALimit(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(
        place, "ada", extra: "compat_options: { backchannel: { writes_per_minute: 3 } }")
      for number in 0..<3 {
        #expect(!(await ada.call("broadcast", ["channel": "c", "content": .string("\(number)")])).isError)
      }
      for tool in ["broadcast", "post_task"] {
        let refused = await ada.call(tool, ["channel": "c", "content": "more"])
        #expect(refused.isError && refused.code == "rate_limit_exceeded" && refused.text.contains("try again in"))
      }
      // Reading goes on, and another sender has a limit of its own.
      #expect(await ada.call("subscribe", ["channel": "c"]).json["data"]?.array?.count == 3)
      let bob = try await Self.caller(place, "bob")
      #expect(!(await bob.call("broadcast", ["channel": "c", "content": "mine"])).isError)
    }
  }

  @Test(arguments: CompatGround.all) func channelsAreListed(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      await ada.call("broadcast", ["channel": "one", "content": "x"])
      await ada.call("post_task", ["channel": "two", "content": "x"])
      await ada.call("broadcast", ["channel": "three <b>", "content": "x"])
      let first = await bob.call("list_channels", ["limit": 2])
      #expect(first.json["data"]?.array?.map { $0["name"]?.string } == ["three <b>", "two"])
      let rest = await bob.call("list_channels", ["cursor": first.json["next_cursor"] ?? nil])
      #expect(rest.json["data"]?.array?.map { $0["name"]?.string } == ["one", "general"])
      #expect(rest.json["data"]?.array?.map { $0["mode"]?.string } == ["broadcast", "claimable"])
      #expect(rest.json["next_cursor"]?.isNull == true)
      // A task makes a channel claimable, and takes nothing from those who read it.
      await bob.call("post_task", ["channel": "one", "content": "y"])
      #expect(await ada.call("claim_task", ["channel": "one", "actor": "ada"]).json["message"]?["content"] == "y")
    }
  }

  /// A channel that is a configured topic is where everyone else is too.
  @Test(arguments: CompatGround.quick) func aTopicIsAChannel(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      let posted = await ada.call("post_task", ["channel": "general", "content": "for anyone"])
      let claimed = await bob.call("parley_task_claim", ["topic": "general"])
      #expect(claimed.structured?["task"]?["task"] == Self.id(posted))
      let done: JSONValue = [
        "task": Self.id(posted), "action": "done", "text": "so be it",
        "fence": claimed.structured?["task"]?["fence"] ?? nil,
      ]
      await bob.call("parley_task_update", done)
      let awaited = await ada.call(
        "await_result", ["channel": "general", "message_id": Self.id(posted), "timeout_seconds": 30])
      #expect(awaited.json["result"]?.string == "so be it")
      #expect(awaited.json["message"]?["acknowledged_by"]?[0]?["name"]?.string == "bob")
    }
  }
}
