import ParleyRuntime
import ParleyTestKit
import Testing

/// Who gets a task, by real processes over a real store of each kind; one after the other, since each is a crowd.
@Suite(.serialized) struct TaskRaceTests {
  private static func text(_ result: JSONValue?, _ path: String...) -> String? {
    var value = result?["structuredContent"]
    for name in path { value = value?[name] }
    return value?.string
  }

  /// 32 claimants on 8 processes and 200 tasks (8 and 40 where a topic is a room): each task has one winner, none is left
  /// over, and every reader names the same.
  @Test(arguments: TaskStore.Kind.allCases) func manyClaimantsShareManyTasks(_ kind: TaskStore.Kind) throws {
    try Workplace.use { place in
      let store = try await TaskStore.start(kind)
      let crowd = kind.crowd
      var clients: [Client] = []
      for number in 0..<crowd.processes { clients.append(try await store.client(place, "w\(number)")) }
      for number in 0..<crowd.tasks {
        let task: JSONValue = ["topic": "general", "title": .string("task \(number)")]
        clients[0].request(100 + number, "parley_task_post", task)
      }
      // Answers come in any order.
      var posted: Set<String> = []
      while posted.count < crowd.tasks, let message = await clients[0].next() {
        guard let id = message["id"]?.int, id >= 100 else { continue }
        posted.insert(try #require(Self.text(message["result"], "task", "task"), "\(message.text)"))
      }
      #expect(posted.count == crowd.tasks)
      let workers = clients.map { client in
        place.loop.spawn { await Self.work(client, claimants: crowd.claimants) }
      }
      var winners: [String: [String]] = [:]
      for (index, worker) in workers.enumerated() {
        for task in await worker.value { winners[task, default: []].append("w\(index)") }
      }
      #expect(Set(winners.keys) == posted)
      #expect(winners.values.allSatisfy { $0.count == 1 })
      // All read the same log in the same way; who gets how many is the scheduler's affair.
      var boards: Set<String> = []
      for (index, client) in clients.enumerated() {
        client.send(#"{"jsonrpc":"2.0","id":9000,"method":"resources/read","params":{"uri":"parley://tasks/general"}}"#)
        let text = await client.answer(9000)?["result"]?["contents"]?.array?.first?["text"]?.string ?? "none \(index)"
        let tasks = try JSONValue(parsing: text)["tasks"]?.array ?? []
        #expect(tasks.count == crowd.tasks)
        for task in tasks {
          #expect(task["holder"]?.string == winners[task["task"]?.string ?? ""]?.first)
        }
        boards.insert(tasks.map(\.text).joined(separator: "\n"))
      }
      #expect(boards.count == 1)
    }
  }

  /// Some claimants in one process take what they can get until nothing is open.
  private static func work(_ client: Client, claimants: Int) async -> [String] {
    var won: [String] = []
    var idle: Set<Int> = []
    var next = 1000
    for _ in 0..<claimants {
      client.request(next, "parley_task_claim", ["topic": "general"])
      next += 1
    }
    while idle.count < claimants, let message = await client.next() {
      guard let id = message["id"]?.int, id >= 1000 else { continue }
      if message["result"]?["isError"]?.bool == true { Issue.record("\(message.text)") }
      if let task = text(message["result"], "task", "task") {
        won.append(task)
        client.request(next, "parley_task_claim", ["topic": "general"])
        next += 1
      } else {
        idle.insert(Int(id))
      }
    }
    return won
  }

  /// A holder is killed, its lease runs out, another takes over; what the first says then is refused with the reason.
  @Test(arguments: TaskStore.Kind.allCases) func anotherTakesOverFromAHolderThatWasKilled(
    _ kind: TaskStore.Kind
  ) throws {
    try Workplace.use { place in
      let store = try await TaskStore.start(kind)
      let ada = try await store.client(place, "ada")
      let bob = try await store.client(place, "bob")
      let carol = try await store.client(place, "carol")
      let posted = await ada.call(1, "parley_task_post", ["topic": "general", "title": "fragile"])
      let id = try #require(Self.text(posted, "task", "task"), "\(String(describing: posted))")
      // All have the topic open, so that nothing but the lease takes time.
      let open = await carol.call(1, "parley_task_claim", ["task": "ffffffffffffffff"])
      #expect(open?["_meta"]?["parley/error"]?.string == "taskUnknown")
      // The tools take no lease as short as a test wants; the log does.
      let claimed = await bob.call(
        1, "parley_post",
        [
          "topic": "general", "content": "claiming",
          "attributes": [
            "kind": "task.claim", "task": .string(id), "lease_ms": .string("\(kind.lease.milliseconds)"),
          ],
        ])
      let fence = try #require(Self.text(claimed, "backendMsgId"))
      bob.process.kill(9)
      _ = await bob.process.waitForExit(until: place.soon)
      let held = await carol.call(2, "parley_task_claim", ["task": .string(id)])
      #expect(held?["_meta"]?["parley/error"]?.string == "taskHeld")
      var taken: JSONValue?
      for number in 3..<400 where Self.text(taken, "task", "task") == nil {
        taken = await carol.call(number, "parley_task_claim", ["topic": "general"])
        if Self.text(taken, "task", "task") == nil { await place.loop.sleep(for: .milliseconds(50)) }
      }
      #expect(Self.text(taken, "task", "holder") == "carol")
      #expect(taken?["structuredContent"]?["task"]?["claim"]?.int == 2)
      // The first one comes back and is late.
      let late = try await place.run(
        "task", "done", "--config", "bob.yaml", "--json", "--patience", "60", id, "--fence", fence, "finished",
        patience: .seconds(90))
      #expect(late.status == 1 && late.errorCode == "taskWrongFence", "\(late.errors)")
      #expect(late.errors.last?.contains("carol") == true, "\(late.errors)")
      let other = try #require(Self.text(taken, "task", "fence"))
      let done = await carol.call(
        500, "parley_task_update", ["task": .string(id), "action": "done", "fence": .string(other), "text": "ok"])
      #expect(Self.text(done, "task", "status") == "done")
    }
  }
}
