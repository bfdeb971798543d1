import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// What `doctor` learns of a homeserver and of the rooms of topics.
@Suite(.serialized) struct InspectionTests {
  @Test func tellsTheServerAndEachRoom() async throws {
    try await MatrixWorld.run(try await TestHomeserver.peaceful.value()) { world in
      let person = try await world.person("olga")
      let bot = try await world.bot()
      func topic(_ name: String) -> Topic { Topic("\(world.topic)-\(name)") }
      /// A room of that person's, which the account enters unless it is `private`.
      func make(_ name: String, preset: String = "public_chat", _ members: JSONObject = [:]) async throws -> String {
        var body = members
        body["room_alias_name"] = .string("parley_" + topic(name).name)
        body["preset"] = .string(preset)
        let room = try #require(await person.request("POST", "createRoom", .object(body))["room_id"]?.string)
        if preset == "public_chat" { try await bot.request("POST", "join/\(Person.escape(room))", [:]) }
        return room
      }
      func state(_ type: String, _ content: JSONValue) -> JSONObject {
        ["initial_state": [["type": .string(type), "state_key": "", "content": content]]]
      }
      _ = try await make("plain", ["power_level_content_override": ["invite": 0]])
      _ = try await make("silent", ["power_level_content_override": ["events_default": 50, "invite": 50]])
      _ = try await make("encrypted", state("m.room.encryption", ["algorithm": "m.megolm.v1.aes-sha2"]))
      _ = try await make("hidden", state("m.room.history_visibility", ["history_visibility": "joined"]))
      _ = try await make("closed", preset: "private_chat")
      let successor = try await make("successor")
      let replaced = try await make("replaced")
      try await person.request(
        "PUT", "rooms/\(Person.escape(replaced))/state/m.room.tombstone/",
        ["body": "moved", "replacement_room": .string(successor)])

      var options = world.options
      options.rooms = [topic("given").name: "#nowhere-\(world.topic):\(SynapseServer.name)"]
      let names = ["plain", "silent", "encrypted", "hidden", "closed", "replaced", "new"]
      let found = try await MatrixInspection.look(options, topics: names.map(topic))
      #expect(found.account == TestHomeserver.account && found.device != nil && !found.isHTTP2)
      #expect(found.software?.hasPrefix("Synapse 1.") == true, "\(String(describing: found.software))")
      #expect(found.specifications.contains("v1.11"))
      #expect(abs(found.clockSkew ?? .max) < 20_000 && found.roundTrip > .zero && found.unseen == 0)
      #expect(found.rooms.count == names.count + 1)

      func room(_ name: String) -> MatrixInspection.RoomState.State? {
        found.rooms.first { $0.topic == topic(name) }?.state
      }
      func rights(_ name: String) throws -> MatrixInspection.RoomRights {
        guard case .joined(let rights) = room(name) else {
          throw ServerFailure("\(name): \(String(describing: room(name)))")
        }
        return rights
      }
      let plain = try rights("plain")
      #expect(plain.maySend && plain.mayInvite && !plain.isEncrypted && !plain.isFederated && plain.successor == nil)
      #expect(plain.joinRule == "public" && plain.historyVisibility == "shared")
      #expect(try !rights("silent").maySend && !rights("silent").mayInvite)
      #expect(try rights("encrypted").isEncrypted)
      #expect(try rights("hidden").historyVisibility == "joined")
      #expect(try rights("replaced").successor == successor)
      for (name, expected) in [
        ("closed", "outside"), ("new", "missing(isGiven: false)"), ("given", "missing(isGiven: true)"),
      ] {
        #expect(room(name).map { "\($0)" } == expected)
      }
    }
  }

  @Test func saysWhyItCannotLook() async throws {
    try await MatrixWorld.run(try await TestHomeserver.peaceful.value()) { world in
      var options = world.options
      options.login = .password(user: TestHomeserver.user, password: "wrong")
      await expectError(.unauthorized) { _ = try await MatrixInspection.look(options, topics: []) }
      let port = try FreePort()
      options.homeserver = "http://127.0.0.1:\(port.number)"
      await expectError(.unavailable) { _ = try await MatrixInspection.look(options, topics: []) }
    }
  }

  /// A room whose state the server does not give, and then one with a member of another server.
  @Test func tellsRoomsThatItCannotLookAtAndFederatedOnes() async throws {
    try await onLoop { loop in
      let server = try await FakeHomeserver(loop: loop)
      func look() async throws -> MatrixInspection.RoomState.State? {
        try await MatrixInspection.look(server.options, topics: [Topic("t")]).rooms.first?.state
      }
      guard case .unknown(let cause) = try await look() else { throw ServerFailure("the state was given") }
      #expect(cause.contains("not here"))
      for (domain, isFederated) in [("fake", false), ("elsewhere", true)] {
        try await server.order(
          #"state [{"type":"m.room.member","state_key":"@p:\#(domain)","content":{"membership":"join"}}]"#)
        guard case .joined(let rights) = try await look() else { throw ServerFailure("the state was not read") }
        #expect(rights.isFederated == isFederated && !rights.isEncrypted)
      }
    }
  }
}
