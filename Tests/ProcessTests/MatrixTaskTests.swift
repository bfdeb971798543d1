import ParleyRuntime
import Testing

/// A person in a chat client takes part in tasks: by the words that the conventions name, and in the task's thread.
@Suite struct MatrixTaskTests {
  @Test func aPersonTakesATask() throws {
    try MatrixPeople.use { people, client in
      let posted = await client.call(1, "parley_task_post", ["topic": "ops", "title": "water the plants"])
      let task = try #require(posted?["structuredContent"]?["task"], "\(posted?.text ?? "")")
      let label = try #require(task["label"]?.string)
      let room = try await people.join()
      let root = try #require(
        try await room.event { $0["content"]?["body"]?.string?.contains("task \(label): water the plants") == true })

      for (who, text, inThread, answer) in [
        ("alice", "!tasks", false, "task \(label): water the plants (open)"),
        ("alice", "!claim \(label)", false, "task \(label): water the plants (@alice:chat.test, until "),
        ("eve", "!claim \(label)", false, "is held by @alice:chat.test until "),
        ("eve", "!done nothing at all", true, "is held by @alice:chat.test, not by you"),
        ("alice", "!done all of them", true, "task \(label): water the plants (done, @alice:chat.test)"),
      ] {
        let asked = try await room.say(text, by: who, inThreadOf: inThread ? root["event_id"] ?? nil : nil)
        let answered = try await room.event {
          $0["content"]?["app.parley.attributes"]?["request"] == asked
        }
        let body = answered?["content"]?["body"]?.string ?? "nothing"
        #expect(body.hasPrefix("[coder] ") && body.contains(answer), "\(who) \(text): \(body)")
      }
      let id = try #require(task["task"]?.string)
      let awaited = try await people.place.run("task", "await", "--json", id, patience: .seconds(60))
      #expect(awaited.status == 0 && awaited.json?["result"]?.string == "all of them", "\(awaited)")
    }
  }
}
