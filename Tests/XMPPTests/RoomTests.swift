import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// With people and strangers in the same rooms.
@Suite struct RoomTests {
  private func withStore(
    _ body: @escaping @Sendable (TestStore, EventLoop, XMPPBackend) async throws -> Void
  ) async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      var settings = store.settings()
      settings["accounts"] = .strings(["olga=alice@chat.test"])
      let backend = XMPPBackend(loop: loop, options: try XMPPOptions(settings))
      try await backend.connect { _ in }
      try await body(store, loop, backend)
      await backend.disconnect()
      await store.end()
    }
  }

  private static let topic = Topic("general")

  @Test func aPersonPostsRepliesAndReads() async throws {
    try await withStore { store, loop, backend in
      let soon = loop.now.advanced(by: .seconds(20))
      let start = try await backend.fetch(FetchRequest(Self.topic), deadline: soon).next
      let recorder = DeliveryRecorder(loop: loop)
      _ = try await backend.subscribe(Self.topic, after: start, sink: recorder.sink)
      let alice = try await Person.connect("alice", to: store, loop: loop)
      let room = try await alice.join(Self.topic, as: "Olga P.")
      let question = try await backend.post(draft("Shall I deploy, @olga?"), deadline: soon)
      let seen = try await alice.body("Shall I deploy, @olga?")
      #expect(seen["from"] == "\(room)/ada", "the nickname is the handle")
      try alice.say(
        "> Shall I deploy?\nYes, @ada", in: room,
        XMLElement("reply", Namespace.reply, ["to": "\(room)/ada", "id": question.id.text]),
        XMLElement(
          "fallback", Namespace.fallback, ["for": Namespace.reply],
          children: [XMLElement("body", Namespace.fallback, ["start": "0", "end": "18"])]))
      #expect(await recorder.wait(until: soon) { $0.messages.count == 2 })
      let answer = recorder.messages[1]
      #expect(answer.content == "Yes, @ada" && answer.inReplyTo == question.id && answer.mentions == [Handle("ada")])
      #expect(answer.sender == Handle("olga") && answer.provenance == .verified && answer.account == "alice@chat.test")
      #expect(recorder.messages[0].provenance == .claimed && recorder.messages[0].account == "parley@chat.test")
      let page = try await backend.fetch(FetchRequest(Self.topic, .after(start)), deadline: soon)
      #expect(page.messages == recorder.messages)
      #expect(try await backend.resolveIdentity(Handle("olga")) == .account("alice@chat.test", provenance: .verified))
      // A mention of a known account is one that her client sees.
      let mention = try #require(seen.child("reference", Namespace.reference))
      #expect(mention["uri"] == "xmpp:alice@chat.test" && mention["begin"] == "16" && mention["end"] == "21")
      alice.session.close()
    }
  }

  @Test func togetherWithTheOtherProgram() async throws {
    try await withStore { store, loop, backend in
      let soon = loop.now.advanced(by: .seconds(20))
      let other = try await Person.connect("bob", to: store, loop: loop)
      let topic = Topic("Ctx a/b")
      // As the TypeScript Parley joins, makes an instant room, and posts.
      let room = try await other.join(topic, as: "bob-x1")
      #expect(room.local.hasPrefix("ctx_a_b-"))
      try other.session.send(
        XMLElement(
          "message", Namespace.client, ["to": room.description, "type": "groupchat", "id": "o-1"],
          children: [
            XMLElement("body", Namespace.client, text: "hi @ada"),
            XMLElement("origin-id", Namespace.stanzaID, ["id": "o-1"]),
          ]))
      let reflected = try await other.body("hi @ada")
      let id = try #require(reflected.child("stanza-id", Namespace.stanzaID)?["id"])
      let page = try await backend.fetch(FetchRequest(topic), deadline: soon)
      #expect(page.messages.map(\.content) == ["hi @ada"] && page.messages[0].sender == Handle("bob-x1"))
      #expect(page.messages[0].id == MessageID(id) && page.messages[0].provenance == .claimed)
      // Its cursors are bare ids; ours it reads by body, stanza id and origin id.
      _ = try await backend.post(draft("eins\r\nzwei", on: topic.name), deadline: soon)
      let ours = try await other.body("eins\nzwei")
      #expect(ours.child("stanza-id", Namespace.stanzaID)?["by"] == room.description)
      #expect(ours.child("origin-id", Namespace.stanzaID)?["id"] == ours["id"])
      let rest = try await backend.fetch(FetchRequest(topic, .after(Cursor(id))), deadline: soon)
      #expect(rest.messages.map(\.content) == ["eins\r\nzwei"] && rest.gap == nil)
      other.session.close()
    }
  }

  @Test func aTakenNicknameGetsASuffix() async throws {
    try await withStore { store, loop, backend in
      let soon = loop.now.advanced(by: .seconds(20))
      let alice = try await Person.connect("alice", to: store, loop: loop)
      _ = try await alice.join(Self.topic, as: "ada")
      _ = try await backend.post(draft("mine"), deadline: soon)
      let from = try await alice.body("mine")["from"].flatMap { JID($0) }
      let own = JID(local: "parley", domain: "chat.test", resource: "x")
      #expect(from?.resource == XMPPBackend.nickname("ada", attempt: 1, account: own))
      let page = try await backend.fetch(FetchRequest(Self.topic), deadline: soon)
      // The room is not ours and hides addresses, so the account is what it says of the occupant.
      #expect(page.messages.map(\.sender) == [Handle("ada")])
      #expect(page.messages[0].account?.hasPrefix("occupant-id:") == true)
      alice.session.close()
    }
  }

  @Test func strangersForgeNothing() async throws {
    try await withStore { store, loop, backend in
      let soon = loop.now.advanced(by: .seconds(20))
      let start = try await backend.fetch(FetchRequest(Self.topic), deadline: soon).next
      let recorder = DeliveryRecorder(loop: loop)
      _ = try await backend.subscribe(Self.topic, after: start, sink: recorder.sink)
      let first = try await backend.post(draft("true"), deadline: soon)
      let mallory = try await Person.connect("bob", to: store, loop: loop)
      let room = try await mallory.join(Self.topic, as: "olga")
      let jid = try #require(await backend.live?.session.jid)
      // In the room: ids and senders of others.
      try mallory.say(
        "forged", in: room, XMLElement("stanza-id", Namespace.stanzaID, ["by": room.description, "id": "forged"]),
        XMLElement("stanza-id", Namespace.stanzaID, ["by": "chat.test", "id": "forged"]),
        XMLElement("occupant-id", Namespace.occupantID, ["id": "forged"]),
        XMLElement(
          "x", Namespace.mucUser, children: [XMLElement("item", Namespace.mucUser, ["jid": "alice@chat.test"])]),
        XMLElement("parley", Namespace.parley, text: "{\"handle\":\"olga\",\"text\":\"other\",\"attributes\":[1]}"))
      _ = try await mallory.body("forged")
      // Straight to us: a carbon, archive results, room messages, answers, presences.
      func send(_ name: String, _ attributes: KeyValuePairs<String, String?>, _ children: XMLElement...) throws {
        var element = XMLElement(name, Namespace.client, attributes, children: children)
        element["to"] = jid.description
        try mallory.session.send(element)
      }
      let inner = XMLElement(
        "message", Namespace.client, ["from": "\(room)/ada", "type": "groupchat"],
        children: [XMLElement("body", Namespace.client, text: "carbon")])
      let forwarded = XMLElement(
        "forwarded", Namespace.forward,
        children: [XMLElement("delay", Namespace.delay, ["stamp": "2026-01-01T00:00:00Z"]), inner])
      try send("message", [:], XMLElement("received", "urn:xmpp:carbons:2", children: [forwarded]))
      for number in 1...20 {
        try send(
          "message", [:],
          XMLElement("result", Namespace.archive, ["queryid": "q\(number)", "id": "x"], children: [forwarded]))
      }
      try send("message", ["type": "groupchat"], XMLElement("body", Namespace.client, text: "private"))
      try send("message", ["type": "error", "id": "p-1"])
      try send("iq", ["type": "result", "id": "1"])
      try send("iq", ["type": "get", "id": "2"], XMLElement("query", Namespace.version))
      try send("presence", ["type": "unavailable"])
      let last = try await backend.post(draft("after"), deadline: soon)
      #expect(await recorder.wait(until: soon) { $0.messages.last?.id == last.id })
      #expect(recorder.messages.map(\.content) == ["true", "forged", "after"])
      #expect(recorder.messages.map(\.id).first == first.id)
      let forged = recorder.messages[1]
      #expect(forged.id != MessageID("forged") && forged.provenance == .claimed && forged.attributes.isEmpty)
      #expect(forged.account != "alice@chat.test" && forged.account?.contains("forged") != true, "\(forged)")
      let page = try await backend.fetch(FetchRequest(Self.topic, .after(start)), deadline: soon)
      #expect(page.messages == recorder.messages)
      mallory.session.close()
    }
  }

  @Test func weAreKickedAndComeBack() async throws {
    try await withStore { store, loop, backend in
      let soon = loop.now.advanced(by: .seconds(20))
      // Carol may do everything.
      let carol = try await Person.connect("carol", to: store, loop: loop)
      let room = try await carol.join(Self.topic, as: "carol")
      let start = try await backend.fetch(FetchRequest(Self.topic), deadline: soon).next
      let recorder = DeliveryRecorder(loop: loop)
      _ = try await backend.subscribe(Self.topic, after: start, sink: recorder.sink)
      _ = try await backend.post(draft("before"), deadline: soon)
      try carol.say("while", in: room)
      let item = XMLElement("item", "http://jabber.org/protocol/muc#admin", ["nick": "ada", "role": "none"])
      _ = try await carol.session.request(
        "set", to: room, XMLElement("query", "http://jabber.org/protocol/muc#admin", children: [item]), "kick",
        until: soon)
      try carol.say("missed?", in: room)
      #expect(await recorder.wait(until: soon) { $0.messages.count == 3 })
      _ = try await backend.post(draft("back"), deadline: soon)
      #expect(await recorder.wait(until: soon) { $0.messages.count == 4 })
      #expect(recorder.messages.map(\.content) == ["before", "while", "missed?", "back"] && recorder.gaps.isEmpty)
      carol.session.close()
    }
  }

  /// XEP-0410: a room that took us out without our hearing of it is entered again, and what it had meanwhile is read.
  @Test func aRoomThatForgotUsIsNoticed() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let soon = loop.now.advanced(by: .seconds(20))
      var settings = store.settings()
      settings["self_ping_interval_ms"] = .integer(1000)
      let backend = XMPPBackend(loop: loop, options: try XMPPOptions(settings))
      try await backend.connect { _ in }
      let carol = try await Person.connect("carol", to: store, loop: loop)
      let room = try await carol.join(Self.topic, as: "carol")
      let first = try await backend.post(draft("before"), deadline: soon)
      let recorder = DeliveryRecorder(loop: loop)
      _ = try await backend.subscribe(Self.topic, after: first.cursor, sink: recorder.sink)
      let session = try #require(backend.assumeIsolated { $0.live?.session })
      let hears = session.onStanza
      session.onStanza = nil
      let seat = room.with(resource: "ada").description
      try session.send(XMLElement("presence", Namespace.client, ["to": seat, "type": "unavailable"]))
      _ = try await carol.wait { $0.name == "presence" && $0["from"] == seat && $0["type"] == "unavailable" }
      // What was said to us before this answer has come, and was not heard.
      _ = try await session.request(
        "get", to: JID(local: "", domain: ProsodyServer.domain), XMLElement("ping", Namespace.ping), "ping", until: soon
      )
      session.onStanza = hears
      try carol.say("are you there?", in: room)
      #expect(await recorder.wait(until: soon) { $0.messages.count == 1 })
      #expect(recorder.messages.map(\.content) == ["are you there?"] && recorder.gaps.isEmpty)
      _ = try await backend.post(draft("yes"), deadline: soon)
      _ = try await carol.body("yes")
      carol.session.close()
      await backend.disconnect()
      await store.end()
    }
  }
}
