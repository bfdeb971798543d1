import ParleyRuntime
import ParleyTestKit
import Testing

/// Tasks over one SQLite file, by real processes.
@Suite struct TaskTests {
  private static func configuration(_ handle: String) -> String {
    """
    backend: sqlite
    identity: { handle: \(handle) }
    topics: [general, ops]
    presence: { heartbeat_ms: 1000, ttl_ms: 3000 }
    backend_config: { db_path: parley.db, durability: normal }

    """
  }

  private static func client(_ place: Workplace, _ handle: String) async throws -> Client {
    try place.write("\(handle).yaml", configuration(handle))
    let client = try Client(place, config: "\(handle).yaml")
    try await client.initialize()
    return client
  }

  private static func text(_ result: JSONValue?, _ path: String...) -> String? {
    var value = result?["structuredContent"]
    for name in path { value = value?[name] }
    return value?.string
  }

  @Test func aTaskGoesThroughTwoProcesses() throws {
    try Workplace.use { place in
      let ada = try await Self.client(place, "ada")
      let bob = try await Self.client(place, "bob")
      let posted = await ada.call(
        1, "parley_task_post", ["topic": "general", "title": "build the docs", "body": "all three\n\npages"])
      let id = try #require(Self.text(posted, "task", "task"))
      ada.request(2, "parley_wait", ["tasks": [.string(id)], "timeout_ms": 30_000])
      let claimed = await bob.call(1, "parley_task_claim", ["topic": "general"])
      #expect(Self.text(claimed, "task", "task") == id)
      #expect(Self.text(claimed, "task", "body") == "all three\n\npages")
      let fence = try #require(Self.text(claimed, "task", "fence"))
      let wrong = await bob.call(
        2, "parley_task_update", ["task": .string(id), "action": "done", "fence": "999", "text": "x"])
      #expect(wrong?["_meta"]?["parley/error"]?.string == "taskWrongFence")
      let done = await bob.call(
        3, "parley_task_update",
        ["task": .string(id), "action": "done", "fence": .string(fence), "text": "3 pages: built"])
      #expect(Self.text(done, "task", "status") == "done")
      let awaited = await ada.answer(2)?["result"]?["structuredContent"]
      #expect(awaited?["timedOut"]?.bool == false)
      #expect(awaited?["tasks"]?.array?.first?["result"]?.string == "3 pages: built")
      let late = await bob.call(4, "parley_task_claim", ["task": .string(id)])
      #expect(late?["_meta"]?["parley/error"]?.string == "taskEnded")
      let none = await bob.call(5, "parley_task_claim", ["topic": "general"])
      #expect(none?["isError"] == nil && none?["structuredContent"]?["task"] == nil)
      // People read lines, programs the board.
      let page = await ada.call(6, "parley_fetch_recent", ["topic": "general"])
      let lines = page?["structuredContent"]?["messages"]?.array?.compactMap { $0["content"]?.string } ?? []
      let label = String(id.prefix(4))
      #expect(lines.first == "task \(label): build the docs\n\nall three\n\npages")
      #expect(lines.last == "task \(label) done: 3 pages: built")
      ada.send(#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"parley://tasks/general"}}"#)
      let board = await ada.answer(7)?["result"]?["contents"]?.array?.first?["text"]?.string
      let tasks = try JSONValue(parsing: board ?? "{}")["tasks"]?.array
      #expect(tasks?.map { $0["status"]?.string } == ["done"])
    }
  }

  @Test func aClaimWaitsForATask() throws {
    try Workplace.use { place in
      let ada = try await Self.client(place, "ada")
      let bob = try await Self.client(place, "bob")
      bob.request(1, "parley_task_claim", ["topic": "general", "timeout_ms": 30_000])
      let job = try place.start(["task", "claim", "ops", "--config", "bob.yaml", "--timeout", "30", "--json"])
      job.closeInput()
      let posted = await ada.call(1, "parley_task_post", ["topic": "general", "title": "build the docs"])
      let id = try #require(Self.text(posted, "task", "task"))
      #expect(Self.text(await bob.answer(1)?["result"], "task", "task") == id)
      _ = await ada.call(2, "parley_task_post", ["topic": "ops", "title": "deploy"])
      #expect(await job.waitForExit(until: place.soon) == .status(0))
      let held = await ada.call(3, "parley_task_claim", ["topic": "ops", "timeout_ms": 100])
      #expect(held?["isError"] == nil && held?["structuredContent"]?["task"] == nil)
      // Who gave up waiting takes nothing.
      bob.request(2, "parley_task_claim", ["topic": "general", "timeout_ms": 30_000])
      bob.send(#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#)
      _ = await bob.call(3, "parley_status", [:])
      _ = await ada.call(4, "parley_task_post", ["topic": "general", "title": "water the plants"])
      await place.loop.sleep(for: .milliseconds(300))
      let taken = await ada.call(5, "parley_task_claim", ["topic": "general"])
      #expect(Self.text(taken, "task", "title") == "water the plants")
    }
  }

  /// What a person writes counts, and one of three processes says so.
  @Test func peopleTakePart() throws {
    try Workplace.use { place in
      try place.write("ann.yaml", Self.configuration("ann"))
      var clients: [Client] = []
      for handle in ["ada", "bob", "carol"] { clients.append(try await Self.client(place, handle)) }
      let posted = await clients[0].call(1, "parley_task_post", ["topic": "general", "title": "water the plants"])
      let label = try #require(Self.text(posted, "task", "label"))
      // All three must know of each other before it is clear who answers.
      for client in clients {
        for number in 10..<200 {
          let users = await client.call(number, "parley_list_users", ["online_only": true])
          if users?["structuredContent"]?["users"]?.array?.count == 3 { break }
          await place.loop.sleep(for: .milliseconds(20))
        }
      }
      for (said, answer) in [
        ("!tasks", "task \(label): water the plants (open)"),
        ("!claim \(label)", "task \(label): water the plants (ann, until "),
        ("!done \(label) all of them", "task \(label): water the plants (done, ann)"),
      ] {
        expectStatus(0, try await place.run("post", "--config", "ann.yaml", "general", said).status)
        // Longer than the next instance would wait, so that a second answer would be seen.
        var answers: [String] = []
        for _ in 0..<40 where answers.isEmpty {
          let page = await place.runJSONLines("fetch", "--config", "ann.yaml", "--json", "general")
          let asked = page.lastIndex { $0["content"]?.string == said } ?? 0
          answers = page[asked...].filter { $0["kind"]?.string == "answer" }.compactMap { $0["content"]?.string }
          await place.loop.sleep(for: .milliseconds(50))
        }
        #expect(answers.count == 1 && answers.first?.hasPrefix(answer) == true, "\(said): \(answers)")
      }
      await place.loop.sleep(for: .seconds(4))
      let page = await place.runJSONLines("fetch", "--config", "ann.yaml", "--json", "general")
      #expect(page.count { $0["kind"]?.string == "answer" } == 3)
      let id = try #require(Self.text(posted, "task", "task"))
      let awaited = try await place.run("task", "await", "--json", id)
      #expect(awaited.status == 0 && awaited.json?["result"]?.string == "all of them")
    }
  }

  private func expectStatus(_ expected: Int32, _ status: Int32, _ location: SourceLocation = #_sourceLocation) {
    #expect(status == expected, sourceLocation: location)
  }

  @Test func theCommandLineAndItsExitCodes() throws {
    try Workplace.use { place in
      let first = try await place.run("task", "post", "general", "compile", "--body", "everything", "--key", "k1")
      let again = try await place.run("task", "post", "general", "compile", "--body", "everything", "--key", "k1")
      #expect(first.status == 0 && first.output == again.output && first.output.count == 1)
      let id = try #require(first.output.first)
      let other = try await place.run("task", "post", "general", "compile", "--body", "everything")
      #expect(other.output.first != id)
      expectStatus(1, try await place.run("task", "post", "general", "compile", "--key", "k1").status)
      let claimed = try await place.run("task", "claim", "general", "--json")
      #expect(claimed.json?["task"]?.string == id)
      let fence = try #require(claimed.json?["fence"]?.string)
      expectStatus(4, try await place.run("task", "await", id, "--timeout", "0.2").status)
      #expect(try await place.run("task", "done", String(id.prefix(6)), "--fence", fence, "it", "runs").status == 0)
      let awaited = try await place.run("task", "await", "--json", id)
      #expect(awaited.status == 0 && awaited.json?["result"]?.string == "it runs")
      let second = try await place.run("task", "claim", "--task", other.output[0], "--json")
      let secondFence = try #require(second.json?["fence"]?.string)
      expectStatus(
        0, try await place.run("task", "extend", other.output[0], "--fence", secondFence, "--lease", "60").status)
      expectStatus(0, try await place.run("task", "fail", other.output[0], "--fence", secondFence, "no disk").status)
      expectStatus(7, try await place.run("task", "await", other.output[0]).status)
      expectStatus(4, try await place.run("task", "claim", "general").status)
      expectStatus(4, try await place.run("task", "claim", "general", "--timeout", "0.2").status)
      expectStatus(2, try await place.run("task", "claim", "general", "--timeout", "0").status)
      expectStatus(2, try await place.run("task", "claim", "--task", id, "--timeout", "1").status)
      let expiring = try await place.run(
        "post", "--json", "general", "task 0123: short", "--attribute", "kind=task.post", "--attribute",
        "task=0123456789abcdef", "--attribute", "title=short", "--attribute", "ttl_ms=100")
      #expect(expiring.status == 0)
      expectStatus(8, try await place.run("task", "await", "0123456789abcdef").status)
      let third = try await place.run("task", "post", "general", "third")
      expectStatus(0, try await place.run("task", "cancel", third.output[0], "not", "needed").status)
      expectStatus(7, try await place.run("task", "await", third.output[0]).status)
      let list = try await place.run("task", "list", "--json", "general")
      #expect(list.output.count == 3)
      for (arguments, code) in [
        (["task", "claim", "--task", "ffffffffffffffff", "--json"], "taskUnknown"),
        (["task", "claim", "--task", id, "--json"], "taskEnded"),
        (["task", "claim", "--task", "xyz", "--json"], "invalidRequest"),
        (["task", "claim", "general", "--lease", "5", "--json"], "invalidRequest"),
        (["task", "post", "general", "two\nlines", "--json"], "invalidRequest"),
        (["task", "post", "general", "for all", "--to", "all", "--json"], "invalidRequest"),
        (["task", "post", "general", "blank", "--to", " ", "--json"], "invalidRequest"),
        (["task", "post", "nowhere", "x", "--json"], "topicNotAllowed"),
        (["task", "done", third.output[0], "--json"], "invalidRequest"),
      ] {
        let process = try place.start(arguments)
        process.closeInput()
        guard case .status(let status)? = await process.waitForExit(until: place.soon) else { continue }
        #expect(status != 0, "\(arguments)")
        let error = process.errorLines.last.flatMap { try? JSONValue(parsing: $0) }?["error"]?["code"]?.string
        #expect(error == code, "\(arguments)")
      }
    }
  }
}
