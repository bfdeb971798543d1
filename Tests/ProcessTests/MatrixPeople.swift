import ParleyRuntime
import ParleyTestKit
import Testing

/// Two people with plain clients on a Synapse of their own, where a process is served that invites them to `ops`.
struct MatrixPeople: Sendable {
  static let api = "/_matrix/client/v3/"

  let server: SynapseServer
  let place: Workplace
  /// The access tokens of `alice` and `eve`.
  let tokens: [String: String]

  /// Runs a test's body on a loop of its own; `settings` are further lines of the process's configuration.
  static func use(
    settings: String = "", _ body: @escaping @Sendable (MatrixPeople, Client) async throws -> Void
  ) throws {
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
        \(settings)
        backend_config:
          homeserver_url: http://127.0.0.1:\(server.port)
          user: parley
          password: of the agents
          invite: ["@alice:chat.test", "@eve:chat.test"]

        """)
      let client = try Client(place)
      try await client.initialize()
      try await body(MatrixPeople(server: server, place: place, tokens: tokens), client)
      client.process.closeInput()
      _ = await client.process.waitForExit(until: place.soon)
    }
  }

  /// Joins both to the room of `ops`, which is there once the process has posted.
  func join() async throws -> MatrixRoom {
    var room = ""
    for token in tokens.values {
      let joined = try await server.request("POST", Self.api + "join/%23parley_ops:chat.test", token: token, body: [:])
      room = try #require(joined["room_id"]?.string, "\(joined.text)")
    }
    return MatrixRoom(people: self, path: MatrixRoom.path(of: room))
  }
}

/// A room with these people in it.
struct MatrixRoom: Sendable {
  let people: MatrixPeople
  /// Its id as a part of a request's path.
  let path: String

  static func path(of id: String) -> String { id.replacing("!", with: "%21").replacing(":", with: "%3A") }

  /// The newest event that is so, once it is there.
  func event(where isRight: (JSONValue) -> Bool) async throws -> JSONValue? {
    for _ in 0..<400 {
      let page = try await people.server.request(
        "GET", MatrixPeople.api + "rooms/\(path)/messages?dir=b&limit=50", token: people.tokens["alice"] ?? "")
      if let found = page["chunk"]?.array?.first(where: isRight) { return found }
      await people.place.loop.sleep(for: .milliseconds(50))
    }
    return nil
  }

  /// Says something, in the thread of an event where its id is given; the id of what was said.
  func say(_ text: String, by name: String, inThreadOf root: JSONValue = nil) async throws -> JSONValue {
    var content: JSONObject = ["msgtype": "m.text", "body": .string(text)]
    if !root.isNull {
      content["m.relates_to"] = [
        "rel_type": "m.thread", "event_id": root, "is_falling_back": true, "m.in_reply_to": ["event_id": root],
      ]
    }
    return try await send("m.room.message", .object(content), by: name)
  }

  /// Reacts to the event with this id.
  func react(_ sign: String, to event: JSONValue, by name: String) async throws {
    let relation: JSONValue = ["rel_type": "m.annotation", "event_id": event, "key": .string(sign)]
    _ = try await send("m.reaction", ["m.relates_to": relation], by: name)
  }

  private func send(_ type: String, _ content: JSONValue, by name: String) async throws -> JSONValue {
    let sent = try await people.server.request(
      "PUT", MatrixPeople.api + "rooms/\(path)/send/\(type)/\(people.place.loop.random())",
      token: people.tokens[name] ?? "", body: content)
    return try #require(sent["event_id"], "\(sent.text)")
  }
}
