import ParleyRuntime
import ParleyTestKit
import Testing

/// A person in a chat client takes part in tasks: by the words that the conventions name, and in the task's thread.
@Suite struct MatrixTaskTests {
  private static let api = "/_matrix/client/v3/"

  /// People with plain clients in one room.
  private struct Room: Sendable {
    let server: SynapseServer
    let place: Workplace
    let path: String
    let tokens: [String: String]

    func events() async throws -> [JSONValue] {
      let page = try await server.request(
        "GET", api + "rooms/\(path)/messages?dir=b&limit=50", token: tokens["alice"] ?? "")
      return page["chunk"]?.array ?? []
    }

    func say(_ text: String, by name: String, inThreadOf root: JSONValue = nil) async throws -> JSONValue {
      var content: JSONObject = ["msgtype": "m.text", "body": .string(text)]
      if !root.isNull {
        content["m.relates_to"] = [
          "rel_type": "m.thread", "event_id": root, "is_falling_back": true, "m.in_reply_to": ["event_id": root],
        ]
      }
      let sent = try await server.request(
        "PUT", api + "rooms/\(path)/send/m.room.message/\(place.loop.random())", token: tokens[name] ?? "",
        body: .object(content))
      return try #require(sent["event_id"], "\(sent.text)")
    }

    /// The newest event that is so, once it is there.
    func event(where isRight: (JSONValue) -> Bool) async throws -> JSONValue? {
      for _ in 0..<400 {
        if let found = try await events().first(where: isRight) { return found }
        await place.loop.sleep(for: .milliseconds(50))
      }
      return nil
    }
  }

  private static func join(
    _ server: SynapseServer, _ place: Workplace, _ tokens: [String: String]
  ) async throws -> Room {
    var room = ""
    for token in tokens.values {
      let joined = try await server.request("POST", api + "join/%23parley_ops:chat.test", token: token, body: [:])
      room = try #require(joined["room_id"]?.string, "\(joined.text)")
    }
    return Room(
      server: server, place: place, path: room.replacing("!", with: "%21").replacing(":", with: "%3A"), tokens: tokens)
  }

  @Test func aPersonTakesATask() throws {
    try Workplace.use { place in
      let server = try await SynapseServer.start()
      defer { server.process.kill() }
      try await server.register("parley", password: "of the agents")
      let tokens = [
        "alice": try await server.register("alice", password: "of alice"),
        "eve": try await server.register("eve", password: "of eve"),
      ]
      try place.write(
        "parley.config.yaml",
        """
        backend: matrix
        identity: { handle: coder }
        topics: [ops]
        backend_config:
          homeserver_url: http://127.0.0.1:\(server.port)
          user: parley
          password: of the agents
          invite: ["@alice:chat.test", "@eve:chat.test"]

        """)
      let client = try Client(place)
      try await client.initialize()
      let posted = await client.call(1, "parley_task_post", ["topic": "ops", "title": "water the plants"])
      let task = try #require(posted?["structuredContent"]?["task"], "\(posted?.text ?? "")")
      let label = try #require(task["label"]?.string)
      let room = try await Self.join(server, place, tokens)
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
      let awaited = try await place.run("task", "await", "--json", id, patience: .seconds(60))
      #expect(awaited.status == 0 && awaited.json?["result"]?.string == "all of them", "\(awaited)")
      client.process.closeInput()
      _ = await client.process.waitForExit(until: place.soon)
    }
  }
}
