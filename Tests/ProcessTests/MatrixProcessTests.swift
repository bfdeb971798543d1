import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// What a user who points `parley demo` and `parley doctor` at a homeserver sees.
@Suite struct MatrixProcessTests {
  private static let patience = Duration.seconds(120)

  @Test func twoAgentsAndAPersonMeetAndTheDoctorLooks() throws {
    try Workplace.use { place in
      let server = try await SynapseServer.start()
      defer { server.process.kill() }
      try await server.register("parley", password: "of the agents")
      let alice = try await server.register("alice", password: "of alice")
      try await Self.demo(place, server)
      try await Self.doctor(place, server)
      try await Self.doctorOfApprovals(place, server)
      try await Self.rooms(place, server, of: alice)
    }
  }

  /// Rooms of a person's, each with something that `doctor` says about it.
  private static func rooms(_ place: Workplace, _ server: SynapseServer, of alice: String) async throws {
    let client = MatrixPeople.api
    let login = try await server.request(
      "POST", client + "login",
      body: [
        "type": "m.login.password", "identifier": ["type": "m.id.user", "user": "parley"],
        "password": "of the agents",
      ])
    let parley = try #require(login["access_token"]?.string)
    func make(_ name: String, _ members: JSONObject = [:], joins: Bool = true) async throws -> String {
      var body = members
      body["room_alias_name"] = .string("parley_" + name)
      body["preset"] = .string(joins ? "public_chat" : "private_chat")
      let answer = try await server.request("POST", client + "createRoom", token: alice, body: .object(body))
      let room = try #require(answer["room_id"]?.string, "\(answer.text)")
      let path = MatrixRoom.path(of: room)
      if joins { _ = try await server.request("POST", client + "join/\(path)", token: parley, body: [:]) }
      return path
    }
    func state(_ type: String, _ content: JSONValue) -> JSONObject {
      ["initial_state": [["type": .string(type), "state_key": "", "content": content]]]
    }
    _ = try await make("open")
    _ = try await make("silent", ["power_level_content_override": ["events_default": 50, "invite": 50]])
    _ = try await make("secret", state("m.room.encryption", ["algorithm": "m.megolm.v1.aes-sha2"]))
    _ = try await make("hidden", state("m.room.history_visibility", ["history_visibility": "joined"]))
    _ = try await make("closed", joins: false)
    let old = try await make("old")
    let tombstone: JSONValue = ["body": "moved", "replacement_room": "!new:chat.test"]
    _ = try await server.request(
      "PUT", client + "rooms/\(old)/state/m.room.tombstone/", token: alice, body: tombstone)
    let configured = try #require(TextFile.read(place.folder.path("parley.config.yaml")))
    try place.write(
      "rooms.yaml", configured.replacing("[general, elsewhere]", with: "[open, silent, secret, hidden, closed, old]"))
    let run = try await place.run(
      "doctor", "--json", "--config", place.folder.path("rooms.yaml"), "--patience", "60", patience: patience)
    let findings = run.output.compactMap { try? JSONValue(parsing: $0) }
    let expected = [
      ("note", "open (#parley_open:chat.test) may be joined by whoever knows its alias"),
      ("error", "silent (#parley_silent:chat.test): the account may read, but not send"),
      ("warning", "silent (#parley_silent:chat.test): the account may not invite the people of backend_config.invite"),
      ("error", "secret (#parley_secret:chat.test) is encrypted, which Parley does not read"),
      ("warning", "hidden (#parley_hidden:chat.test) shows its history to joined members alone: gaps are told"),
      ("error", "closed (#parley_closed:chat.test): the account is no member"),
      ("error", "old (#parley_old:chat.test) was replaced by !new:chat.test"),
    ]
    for (level, text) in expected {
      let found = findings.first { $0["what"]?.string == text }
      #expect(found?["level"]?.string == level && found?["fix"]?.string?.isEmpty == false, "\(text): \(run.output)")
    }
  }

  private static func demo(_ place: Workplace, _ server: SynapseServer) async throws {
    let url = "http://127.0.0.1:\(server.port)"
    let passwords = ["PARLEY_DEMO_PASSWORD": "of the agents", "PARLEY_DEMO_PERSON_PASSWORD": "of alice"]
    func run(_ person: String, _ environment: [String: String]) async throws -> Workplace.Run {
      try await place.run(
        "demo", "--backend", "matrix", "--url", url, "--agents", "parley", "--person", person,
        environment: environment, patience: patience)
    }
    // Before anyone has logged in: a login that is kept needs no password.
    let wrong = [
      try await run("alice", ["PARLEY_DEMO_PASSWORD": "of the agents", "PARLEY_DEMO_PERSON_PASSWORD": "guessed"]),
      try await run("alice", ["PARLEY_DEMO_PASSWORD": "guessed", "PARLEY_DEMO_PERSON_PASSWORD": "of alice"]),
      try await run("alice", ["PARLEY_DEMO_PASSWORD": "guessed"]),
      try await place.run("demo", "--backend", "matrix", "--agents", "parley", environment: passwords),
      try await place.run("demo", "--backend", "redis", "--person", "alice", environment: passwords),
    ]
    #expect(wrong.map(\.status) == [6, 6, 2, 2, 2], "\(wrong.map(\.errors))")
    #expect(wrong.allSatisfy { !$0.errors.joined().contains("guessed") && !$0.errors.isEmpty })

    let told = try await run("alice", passwords)
    #expect(told.status == 0, "\(told.errors)")
    let text = told.output.joined(separator: "\n")
    let expected = [
      "@alice:chat.test: logged in", "pushed to builder's process", "pushed to planner's process",
      "@alice:chat.test enters the room",
      "| @parley:chat.test: [planner] @builder please build the docs; the outline is attached",
      "| @parley:chat.test: [builder] @planner built: 3 pages, no warnings", "@alice:chat.test  replies",
      "alice> @planner @builder looks good to me. Please tag it.", "planner> @alice tagged as v1.0",
      "| @parley:chat.test: [planner] @alice tagged as v1.0",
    ]
    for line in expected { #expect(text.contains(line), "\(line) is not in\n\(text)") }
  }

  private static func doctor(_ place: Workplace, _ server: SynapseServer) async throws {
    try place.write(
      "parley.config.yaml",
      """
      backend: matrix
      identity: { handle: ada }
      topics: [general, elsewhere]
      backend_config:
        homeserver_url: http://127.0.0.1:\(server.port)
        password: of the agents
        invite: ["@alice:chat.test"]
        rooms: { elsewhere: "#nowhere:chat.test" }

      """)
    let run = try await place.run("doctor", "--json", "--patience", "60", patience: patience)
    let findings = run.output.compactMap { try? JSONValue(parsing: $0) }
    func found(_ subject: String, _ level: String, _ words: String) -> Bool {
      findings.contains {
        $0["subject"]?.string == subject && $0["level"]?.string == level && $0["what"]?.string?.contains(words) == true
      }
    }
    #expect(run.status == 1, "\(run.output)")
    #expect(found("homeserver", "ok", "@parley:chat.test"), "\(run.output)")
    #expect(found("homeserver", "ok", "Synapse 1."))
    #expect(found("specification", "ok", "everything"))
    #expect(found("room", "note", "general (#parley_general:chat.test): no such room yet"))
    #expect(found("room", "error", "elsewhere (#nowhere:chat.test)"))
    for finding in findings where ["error", "warning"].contains(finding["level"]?.string) {
      #expect(finding["fix"]?.string?.isEmpty == false, "\(finding.text)")
    }
  }

  /// Another account looks at the same server, and may not approve what it asks itself.
  private static func doctorOfApprovals(_ place: Workplace, _ server: SynapseServer) async throws {
    func look(_ approvers: String) async throws -> [JSONValue] {
      try place.write(
        "second.yaml",
        """
        backend: matrix
        identity: { handle: bea }
        topics: [beas]
        approvals: { topic: beas, approvers: [\(approvers)] }
        backend_config:
          homeserver_url: http://127.0.0.1:\(server.port)
          user: alice
          password: of alice
          handles: { alice: "@alice:chat.test" }

        """)
      let run = try await place.run(
        "doctor", "--json", "--config", place.folder.path("second.yaml"), "--patience", "60", patience: patience)
      return run.output.compactMap { try? JSONValue(parsing: $0) }
    }
    func found(_ findings: [JSONValue], _ subject: String, _ level: String, _ words: String) -> Bool {
      findings.contains {
        $0["subject"]?.string == subject && $0["level"]?.string == level && $0["what"]?.string?.contains(words) == true
      }
    }
    let alone = try await look("alice")
    #expect(found(alone, "latency", "ok", "post"), "\(alone)")
    #expect(found(alone, "approvals", "error", "alice would answer from @alice:chat.test"), "\(alone)")
    let beside = try await look("alice, \"@olga:chat.test\"")
    #expect(found(beside, "approvals", "warning", "an agent never approves itself"), "\(beside)")
    let good = try await look("\"@olga:chat.test\"")
    #expect(found(good, "approvals", "ok", "asked on beas, answered by @olga:chat.test"), "\(good)")
  }

  /// A listed person's reaction to a request is the verdict; anybody else's is nothing.
  @Test func aReactionGivesLeave() throws {
    let settings = """
      live_push: { enabled: true }
      approvals: { topic: ops, approvers: ["@alice:chat.test"] }
      """
    try MatrixPeople.use(settings: settings) { people, client in
      let posted = await client.call(1, "parley_post", ["topic": "ops", "content": "hello"])
      #expect(posted?["isError"]?.bool != true, "\(posted?.text ?? "")")
      let room = try await people.join()
      for (code, sign, behavior) in [("abcde", "👍", "allow"), ("fghij", "👎", "deny")] {
        client.send(
          #"{"jsonrpc":"2.0","method":"notifications/claude/channel/permission_request","params":{"request_id":"\#(code)","#
            + #""tool_name":"Bash","description":"Delete the build","input_preview":"rm -rf build"}}"#)
        let request = try #require(
          try await room.event { $0["content"]?["body"]?.string?.contains("\"yes \(code)\"") == true },
          "nothing was asked")
        let event = try #require(request["event_id"])
        // The other way round, by whom nobody asked, and about nothing that is asked.
        try await room.react(sign == "👍" ? "👎" : "👍", to: event, by: "eve")
        try await room.react("🎉", to: event, by: "alice")
        try await room.react(sign, to: event, by: "alice")
        var verdict: JSONValue?
        while verdict == nil, let message = await client.next() {
          if message["method"]?.string == "notifications/claude/channel/permission" { verdict = message["params"] }
        }
        #expect(verdict == ["request_id": .string(code), "behavior": .string(behavior)])
      }
    }
  }
}
