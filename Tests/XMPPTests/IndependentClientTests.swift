import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// A person with slixmpp, a client library that has nothing to do with Parley, in one room with two agents.
@Suite struct IndependentClientTests {
  @Test func aPersonAndTwoAgentsTalk() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let soon = loop.now.advanced(by: .seconds(60))
      var settings = store.settings()
      settings["accounts"] = .strings(["olga=alice@chat.test"])
      var agents: [XMPPBackend] = []
      for _ in 0..<2 {
        let agent = XMPPBackend(loop: loop, options: try XMPPOptions(settings))
        try await agent.connect { _ in }
        agents.append(agent)
      }
      let (coder, reviewer) = (agents[0], agents[1])
      // The room is an agent's, so that it shows real addresses.
      let first = try await coder.post(draft("good morning", by: "coder"), deadline: soon)
      let room = TopicRooms(service: ProsodyServer.rooms).room(of: Topic("general"))
      let client = try ChildProcess(
        loop: loop, path: try TestPrograms.path("python3"),
        arguments: [
          "-c", Self.program, "127.0.0.1", "\(store.server.port)", store.server.authority, "alice@chat.test",
          "pw-alice",
          room.description, "Olga P.",
        ])
      func line() async throws -> JSONValue {
        try JSONValue(parsing: try #require(await client.nextLine(until: soon), "\(client.errorLines.suffix(9))"))
      }
      func order(_ members: [(String, String)]) {
        var writer = JSONWriter(capacity: 200)
        writer.beginObject()
        for (name, value) in members {
          writer.key(name)
          writer.string(value)
        }
        writer.endObject()
        client.send(String(decoding: writer.bytes, as: UTF8.self) + "\n")
      }
      #expect(try await line()["joined"] == .bool(true))
      var recorders: [DeliveryRecorder] = []
      for agent in agents {
        let recorder = DeliveryRecorder(loop: loop)
        _ = try await agent.subscribe(Topic("general"), after: first.cursor, sink: recorder.sink)
        recorders.append(recorder)
      }
      // What she sees of an agent: who speaks, the text, and that she is meant.
      let question = try await coder.post(draft("The build is green, @olga. Shall I tag?", by: "coder"), deadline: soon)
      let shown = try await line()
      #expect(shown["nick"]?.string == "coder" && shown["body"]?.string == "The build is green, @olga. Shall I tag?")
      #expect(shown["mentions"] == [.string("xmpp:alice@chat.test")] && shown["id"]?.string == question.id.text)
      // She answers with a quotation for old clients, which agents do not get to read, and says something new.
      order([
        ("text", "@coder yes, and @reviewer please look"), ("id", question.id.text), ("to", "\(room)/coder"),
        ("quoted", "The build is green, @olga. Shall I tag?"), ("nick", "coder"),
      ])
      order([("text", "🦜 und Grüße\nan alle <3 & \"mehr\"")])
      for recorder in recorders {
        #expect(await recorder.wait(until: soon) { $0.messages.count == 3 })
        let answer = recorder.messages[1]
        #expect(answer.content == "@coder yes, and @reviewer please look" && answer.inReplyTo == question.id)
        #expect(answer.mentions == [Handle("coder"), Handle("reviewer")])
        #expect(answer.sender == Handle("olga") && answer.account == "alice@chat.test")
        #expect(answer.provenance == .verified && answer.attributes.isEmpty)
        #expect(recorder.messages[2].content == "🦜 und Grüße\nan alle <3 & \"mehr\"")
        #expect(recorder.messages[2].inReplyTo == nil)
      }
      // An agent's answer names her message and her.
      var tagged = draft("tagged v1.4", by: "reviewer")
      tagged.inReplyTo = recorders[1].messages[1].id
      tagged.attributes = ["kind": "note"]
      _ = try await reviewer.post(tagged, deadline: soon)
      let reply = try await line()
      #expect(reply["nick"]?.string?.hasPrefix("reviewer") == true && reply["body"]?.string == "tagged v1.4")
      #expect(reply["answers"]?.string == tagged.inReplyTo?.text && reply["to"]?.string == "\(room)/Olga P.")
      let page = try await coder.fetch(FetchRequest(Topic("general"), .after(first.cursor)), deadline: soon)
      #expect(await recorders[0].wait(until: soon) { $0.messages.count == 4 })
      #expect(page.messages == recorders[0].messages)
      for agent in agents { await agent.disconnect() }
      await store.end()
    }
  }

  /// Joins a room, prints each message of others as a line of JSON, and says what it is told to.
  private static let program = #"""
    import asyncio, json, sys
    from slixmpp import ClientXMPP

    host, port, authority, account, password, room, nick = sys.argv[1:8]

    class Person(ClientXMPP):
        def __init__(self):
            super().__init__(account, password)
            for plugin in ("xep_0045", "xep_0359", "xep_0428", "xep_0461"):
                self.register_plugin(plugin)
            self.ca_certs = authority
            self.add_event_handler("session_start", self.begin)
            self.add_event_handler("groupchat_message", self.said)

        async def begin(self, _):
            await self.plugin["xep_0045"].join_muc_wait(room, nick, maxstanzas=0)
            print(json.dumps({"joined": True}), flush=True)
            reader = asyncio.StreamReader()
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
            while line := (await reader.readline()).decode():
                order = json.loads(line)
                if "id" in order:
                    self.plugin["xep_0461"].send_reply(order["to"], order["id"], order["quoted"], order["nick"],
                        mto=room, mbody=order["text"], mtype="groupchat")
                else:
                    self.send_message(mto=room, mbody=order["text"], mtype="groupchat")

        def said(self, message):
            if message["mucnick"] == nick: return
            ids = [e.get("id") for e in message.xml.findall("{urn:xmpp:sid:0}stanza-id") if e.get("by") == room]
            print(json.dumps({"nick": message["mucnick"], "body": message["body"], "id": ids[0],
                "answers": message["reply"]["id"], "to": message["reply"]["to"],
                "mentions": [e.get("uri") for e in message.xml.findall("{urn:xmpp:reference:0}reference")]}), flush=True)

    async def main():
        person = Person()
        person.connect(host, int(port))
        await person.disconnected

    asyncio.run(main())
    """#
}
