import ParleyConformance
import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// What people and other programs write and see in the rooms.
@Suite(.serialized) struct PeopleTests {
  private static let shared = TestHomeserver.Shared()

  private func run(_ body: @escaping @Sendable (MatrixWorld) async throws -> Void) async throws {
    try await MatrixWorld.run(try await Self.shared.value(), body)
  }

  @Test func aPostIsReadableToPeopleAndCarriesWhatParleyNeeds() async throws {
    try await run { world in
      let backend = try await world.backend()
      let (person, room) = try await world.person("alice", joining: backend)
      try await person.say("hi", in: room)
      _ = try await world.fetch(from: backend)
      var draft = world.draft("see \(person.id): \"*\"", by: "coder", key: .chosen("k1"))
      draft.to = Handle(person.id)
      draft.attributes = ["kind": "note"]
      let receipt = try await backend.post(draft, deadline: world.deadline)
      let event = try await person.event(receipt.id.text, in: room)
      let content = event["content"]
      #expect(event["sender"]?.string == TestHomeserver.account)
      #expect(content?["msgtype"]?.string == "m.text")
      #expect(content?["body"]?.string == "[coder] see \(person.id): \"*\"")
      #expect(content?["m.mentions"]?["user_ids"] == [.string(person.id)])
      #expect(content?["app.parley.topic"]?.string == world.topic.name)
      #expect(content?["app.parley.handle"]?.string == "coder")
      #expect(content?["app.parley.to"]?.string == person.id)
      #expect(content?["app.parley.key"]?.string == "k1")
      #expect(content?["app.parley.attributes"] == ["kind": "note"])
      let read = try await world.fetch(.after(Cursor(receipt.id.text)), from: backend)
      #expect(read.isEmpty)
      let message = try await world.fetch(limit: 1, from: backend)[0]
      #expect(message.content == draft.content && message.sender == Handle("coder"))
      #expect(message.account == TestHomeserver.account && message.provenance == .verified)
    }
  }

  @Test func roomsAreMadeWhereTheTypeScriptParleyLooksForThem() async throws {
    try await run { world in
      let backend = try await world.backend()
      let topic = Topic(world.topic.name + " a.b/c ü🦜")
      _ = try await backend.post(world.draft("x", on: topic), deadline: world.deadline)
      // Every UTF-16 unit outside of [A-Za-z0-9._-] is one underscore; ten digits of the name's SHA-1 follow.
      let folded = topic.name.utf16.map { unit in
        let scalar = Unicode.Scalar(unit)
        let isSafe = scalar.map {
          $0.isASCII && ($0.properties.isAlphabetic || "0123456789._-".unicodeScalars.contains($0))
        }
        return isSafe == true ? String(scalar.map(Character.init) ?? "_") : "_"
      }.joined()
      let alias = "#parley_\(folded)-\(SHA1.hexadecimal(topic.name, digits: 10)):\(SynapseServer.name)"
      let bot = try await world.bot()
      let room = try await bot.request("GET", "directory/room/\(Person.escape(alias))")["room_id"]?.string
      let state = try await bot.request("GET", "rooms/\(Person.escape(room ?? ""))/state/m.room.join_rules/")
      #expect(state["join_rule"]?.string == "invite")
    }
  }

  /// As after a homeserver that died while it made the room: the alias is there, and nobody is in the room.
  @Test func aRoomThatItsMakerNeverEnteredIsMadeAnew() async throws {
    try await run { world in
      let bot = try await world.bot()
      let made = try await bot.request("POST", "createRoom", ["room_alias_name": .string("parley_" + world.topic.name)])
      let deserted = try #require(made["room_id"]?.string)
      try await bot.request("POST", "rooms/\(Person.escape(deserted))/leave", [:])
      let supervisor = world.supervise()
      let receipt = try await supervisor.post(world.draft("anybody here?"), deadline: world.deadline)
      let page = try await supervisor.fetch(FetchRequest(world.topic, .latest), deadline: world.deadline)
      #expect(page.messages.map(\.id) == [receipt.id])
      let room = try await world.homeserver.room(of: world.topic)
      #expect(room != nil && room != deserted)
    }
  }

  @Test func aRoomMadeByTheTypeScriptParleyIsUsed() async throws {
    try await run { world in
      let other = try await world.person("ts")
      let made = try await other.request(
        "POST", "createRoom",
        ["room_alias_name": .string("parley_" + world.topic.name), "preset": "public_chat", "visibility": "private"])
      let room = try #require(made["room_id"]?.string)
      let id = try await other.send(
        ["msgtype": "m.text", "body": "from the other program", "app.parley.topic": .string(world.topic.name)], to: room
      )
      let backend = try await world.backend()
      let message = try await world.fetch(from: backend)[0]
      #expect(message.id.text == id && message.content == "from the other program")
      #expect(message.sender.name == other.id && message.account == other.id && message.provenance == .verified)
      let receipt = try await backend.post(world.draft("answer"), deadline: world.deadline)
      let event = try await other.event(receipt.id.text, in: room)
      #expect(event["content"]?["body"]?.string == "[ada] answer")
      let after = try await world.fetch(.after(Cursor(id)), from: backend)
      #expect(after.map(\.content) == ["answer"])
    }
  }

  @Test func repliesAndThreads() async throws {
    try await run { world in
      let backend = try await world.backend()
      let (person, room) = try await world.person("bob", joining: backend)
      let question = try await backend.post(world.draft("ready?"), deadline: world.deadline)
      let reply: JSONValue = ["m.in_reply_to": ["event_id": .string(question.id.text)]]
      try await person.send(
        [
          "msgtype": "m.text", "body": "> <@parley:chat.test> [ada] ready?\n> more\n\nyes\n> really",
          "m.relates_to": reply,
        ], to: room)
      let root = try await person.say("a thread", in: room)
      let inThread: JSONValue = [
        "rel_type": "m.thread", "event_id": .string(root), "is_falling_back": true,
        "m.in_reply_to": ["event_id": .string(question.id.text)],
      ]
      try await person.send(["msgtype": "m.text", "body": "in it", "m.relates_to": inThread], to: room)
      var answer = world.draft("fine")
      answer.inReplyTo = MessageID(root)
      let receipt = try await backend.post(answer, deadline: world.deadline)
      let messages = try await world.fetch(.after(question.cursor), from: backend)
      #expect(messages.map(\.content) == ["yes\n> really", "a thread", "in it", "fine"])
      #expect(messages.map { $0.inReplyTo?.text } == [question.id.text, nil, root, root])
      let event = try await person.event(receipt.id.text, in: room)
      #expect(event["content"]?["m.relates_to"]?["m.in_reply_to"]?["event_id"]?.string == root)
    }
  }

  @Test func editsAndStateAreNoMessagesAndReactionsAreQuiet() async throws {
    try await run { world in
      let backend = try await world.backend()
      let (person, room) = try await world.person("carol", joining: backend)
      let start = try await world.fetch(from: backend).last?.cursor
      let recorder = try await world.subscribe(after: try #require(start), on: backend)
      let original = try await person.say("first version", in: room)
      try await person.send(
        [
          "msgtype": "m.text", "body": "* second version",
          "m.new_content": ["msgtype": "m.text", "body": "second version"],
          "m.relates_to": ["rel_type": "m.replace", "event_id": .string(original)],
        ], to: room)
      func react(_ relation: JSONValue) async throws {
        try await person.send(["m.relates_to": relation], type: "m.reaction", to: room)
      }
      try await react(["rel_type": "m.annotation", "event_id": .string(original), "key": "👍"])
      // What is no sign about a message is nothing.
      let long = JSONValue.string(String(repeating: "x", count: 65))
      try await react(["rel_type": "m.annotation", "event_id": .string(original), "key": long])
      try await react(["rel_type": "m.annotation", "event_id": .string(original), "key": ""])
      try await react(["rel_type": "m.reference", "event_id": .string(original), "key": "👍"])
      let bot = try await world.bot()
      for number in 0..<30 {
        try await bot.request(
          "PUT", "rooms/\(Person.escape(room))/state/m.room.topic/", ["topic": .string("state \(number)")])
      }
      try await person.send(["msgtype": "m.notice", "body": "a notice"], to: room)
      try await person.send(["msgtype": "m.emote", "body": "waves"], to: room)
      try await person.send(
        [
          "msgtype": "m.image", "body": "plan.png", "url": "mxc://chat.test/abc",
          "info": ["mimetype": "image/png", "size": 34_567],
        ], to: room)
      try await person.send(
        ["msgtype": "m.file", "body": "read this", "filename": "notes.txt", "url": "mxc://chat.test/def"], to: room)
      let expected = [
        "first version", "👍", "a notice", "* waves",
        "[image] plan.png (image/png, 34 KiB) \(world.options.homeserver)/_matrix/client/v1/media/download/chat.test/abc",
        "[file] notes.txt (unknown type, unknown size) "
          + "\(world.options.homeserver)/_matrix/client/v1/media/download/chat.test/def\nread this",
      ]
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count >= 6 })
      #expect(recorder.messages.map(\.content) == expected)
      let reaction = recorder.messages[1]
      #expect(reaction.isQuiet && reaction.kind == "reaction" && reaction.inReplyTo?.text == original)
      #expect(reaction.provenance == .verified && reaction.instance == nil)
      let latest = try await world.fetch(limit: 6, from: backend)
      #expect(latest == recorder.messages)
    }
  }

  @Test func aRedactedMessageSaysSo() async throws {
    try await run { world in
      let backend = try await world.backend()
      let (person, room) = try await world.person("dora", joining: backend)
      let id = try await person.say("a mistake", in: room)
      let path = "rooms/\(Person.escape(room))/redact/\(Person.escape(id))/1"
      try await person.request("PUT", path, ["reason": "wrong room"])
      let message = try await world.fetch(limit: 1, from: backend)[0]
      #expect(message.id.text == id)
      #expect(message.content == "(this message was removed: wrong room)")
      #expect(message.attributes == ["parley.redacted": "true"])
    }
  }

  @Test func aHandleIsVerifiedOnlyForItsAccount() async throws {
    try await run { world in
      let backend = try await world.backend()
      let (person, room) = try await world.person("eve", joining: backend)
      let claim: JSONValue = ["msgtype": "m.text", "body": "I am the coder", "app.parley.handle": "coder"]
      try await person.send(claim, to: room)
      _ = try await backend.post(world.draft("really", by: "coder"), deadline: world.deadline)
      let messages = try await world.fetch(limit: 2, from: backend)
      #expect(messages.map(\.sender.name) == ["coder", "coder"])
      #expect(messages.map(\.provenance) == [.claimed, .verified])
      #expect(messages.map(\.account) == [person.id, TestHomeserver.account])
      #expect(
        try await backend.resolveIdentity(Handle("coder")) == .account(TestHomeserver.account, provenance: .verified))

      var trusting = world.options
      trusting.handles = ["coder": person.id]
      let other = try await world.backend(trusting)
      #expect(try await world.fetch(limit: 2, from: other).map(\.provenance) == [.verified, .claimed])
      #expect(try await other.resolveIdentity(Handle("coder")) == .account(person.id, provenance: .verified))
      // Without a claim, the account's configured handle is its name.
      try await person.say("plain", in: room)
      #expect(try await world.fetch(limit: 1, from: other)[0].sender == Handle("coder"))
    }
  }

  @Test(arguments: [MatrixOptions.HandleStyle.profile, .none]) func otherStylesOfHandles(
    _ style: MatrixOptions.HandleStyle
  ) async throws {
    try await run { world in
      var options = world.options
      options.handleStyle = style
      let backend = try await world.backend(options)
      let receipt = try await backend.post(world.draft("[ada] not a prefix"), deadline: world.deadline)
      let bot = try await world.bot()
      let room = try #require(await world.homeserver.room(of: world.topic))
      let content = try await bot.event(receipt.id.text, in: room)["content"]
      #expect(content?["body"]?.string == "[ada] not a prefix")
      #expect(
        content?["com.beeper.per_message_profile"]?["displayname"]?.string == (style == .profile ? "ada" : nil))
      let message = try await world.fetch(from: try await world.backend())[0]
      #expect(message.content == "[ada] not a prefix" && message.sender == Handle("ada"))
    }
  }

  @Test func hostileContentHurtsNobody() async throws {
    try await run { world in
      let backend = try await world.backend()
      let (person, room) = try await world.person("mallory", joining: backend)
      let start = try #require(await world.fetch(from: backend).last?.cursor)
      let recorder = try await world.subscribe(after: start, on: backend)
      let contents: [JSONValue] = [
        ["msgtype": "m.text", "body": "x", "m.relates_to": "no"],
        ["msgtype": "m.text", "body": "x", "m.relates_to": ["m.in_reply_to": ["event_id": 5]]],
        ["msgtype": "m.text", "body": "x", "app.parley.handle": ["a"], "app.parley.attributes": [1, 2]],
        ["msgtype": "m.text", "body": "x", "app.parley.handle": "", "app.parley.key": 7],
        ["msgtype": "m.text", "body": "[ada] x", "app.parley.handle": "ada", "app.parley.prefixed": "yes"],
        ["msgtype": "m.image", "body": "x", "url": "mxc://", "info": ["size": -1, "mimetype": []]],
        ["msgtype": "m.text", "body": "\u{202e}x\u{1}", "app.parley.to": "everyone"],
        ["msgtype": "m.text", "body": "x", "app.parley.recurring_key": true],
        // Synapse passes on some 120 levels; our parser does not go as deep.
        ["msgtype": "m.text", "body": "x", "deep": (0..<100).reduce("bottom") { value, _ in [value] }],
      ]
      for content in contents { try await person.send(content, to: room) }
      // Synapse sees to it that messages have a body; of stickers it asks nothing.
      let stickers: [JSONValue] = [[:], ["msgtype": 1, "body": ["a"]], ["body": nil, "url": 5, "info": "large"]]
      for content in stickers { try await person.send(content, type: "m.sticker", to: room) }
      _ = try await backend.post(world.draft("still here"), deadline: world.deadline)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.last?.content == "still here" })
      #expect(recorder.messages.count == contents.count + stickers.count + 1)
      #expect(recorder.messages.dropLast().allSatisfy { $0.account == person.id })
      #expect(try await world.fetch(.after(start), from: backend) == recorder.messages)
    }
  }

  @Test func manyTopicsShareOneSync() async throws {
    try await run { world in
      let backend = try await world.backend()
      let writer = try await world.backend()
      let topics = (0..<20).map { Topic("\(world.topic)-\($0)") }
      var recorders: [DeliveryRecorder] = []
      for topic in topics {
        let recorder = DeliveryRecorder(loop: world.loop)
        let start = try await backend.fetch(FetchRequest(topic), deadline: world.deadline).next
        _ = try await backend.subscribe(topic, after: start, sink: recorder.sink)
        recorders.append(recorder)
      }
      for topic in topics { _ = try await writer.post(world.draft("on \(topic)", on: topic), deadline: world.deadline) }
      for (topic, recorder) in zip(topics, recorders) {
        #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 1 }, "\(topic)")
        #expect(recorder.messages.first?.content == "on \(topic)")
      }
    }
  }
}
