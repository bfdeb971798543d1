import ParleyConformance
import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// A person with matrix-nio, a client library that has nothing to do with Parley, on one topic with two agents.
@Suite(.serialized) struct IndependentClientTests {
  @Test func aPersonAndTwoAgentsTalk() async throws {
    try await MatrixWorld.run(try await TestHomeserver.peaceful.value()) { world in
      let name = "nina-\(world.topic)"
      try await world.homeserver.server.register(name, password: "secret")
      let person = "@\(name):\(SynapseServer.name)"
      var options = world.options
      options.invite = [person]
      options.handles = ["nina": person]
      let coder = try await world.backend(options)
      let reviewer = try await world.backend(options)
      let first = try await coder.post(
        world.draft("@nina the build is green, shall I tag?", by: "coder"), deadline: world.deadline)
      let start = first.cursor
      let toCoder = try await world.subscribe(after: start, on: coder)
      let toReviewer = try await world.subscribe(after: start, on: reviewer)

      let python = try TestPrograms.path("python3")
      let client = try ChildProcess(
        loop: world.loop, path: python,
        arguments: ["-c", Self.program, world.options.homeserver, person, "secret"])
      func line() async throws -> JSONValue {
        let text = await client.nextLine(until: world.deadline)
        return try JSONValue(parsing: try #require(text, "\(client.errorLines.suffix(5))"))
      }
      // The person's client shows who speaks, and that the person is meant.
      let shown = try await line()
      #expect(shown["body"]?.string == "[coder] @nina the build is green, shall I tag?")
      #expect(shown["sender"]?.string == TestHomeserver.account && shown["mentions"] == [.string(person)])
      client.send("reply \(first.id.text) @coder yes, and @reviewer please look\n")
      for recorder in [toCoder, toReviewer] {
        #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 1 })
        let message = try #require(recorder.messages.first)
        #expect(message.content == "@coder yes, and @reviewer please look" && message.inReplyTo == first.id)
        #expect(message.sender == Handle("nina") && message.account == person && message.provenance == .verified)
        #expect(message.mentions == [Handle("coder"), Handle("reviewer")])
      }
      var answer = world.draft("tagged", by: "reviewer")
      answer.inReplyTo = toReviewer.messages.first?.id
      _ = try await reviewer.post(answer, deadline: world.deadline)
      let reply = try await line()
      #expect(reply["body"]?.string == "[reviewer] tagged")
      #expect(reply["in_reply_to"]?.string == toReviewer.messages.first?.id.text)
      // Who is answered is meant: the person's client rings.
      #expect(reply["mentions"] == [.string(person)])
      #expect(await toCoder.wait(until: world.deadline) { $0.messages.count == 2 })
      #expect(toCoder.messages.last?.sender == Handle("reviewer"))
      // A word of the person's own, to nobody in particular.
      client.send("say off to lunch: back at two\n")
      for (recorder, count) in [(toCoder, 3), (toReviewer, 3)] {
        #expect(await recorder.wait(until: world.deadline) { $0.messages.count == count })
        let message = try #require(recorder.messages.last)
        #expect(message.content == "off to lunch: back at two" && message.inReplyTo == nil && message.mentions.isEmpty)
        #expect(message.sender == Handle("nina") && message.provenance == .verified)
      }
    }
  }

  /// Logs in, accepts the invitation, prints each message of others as a line of JSON, and sends what it is told to.
  private static let program = #"""
    import asyncio, json, sys
    from nio import AsyncClient, InviteMemberEvent, RoomMessageText

    async def main():
        client = AsyncClient(sys.argv[1], sys.argv[2])
        await client.login(sys.argv[3])
        room = asyncio.get_running_loop().create_future()
        async def invited(where, event):
            if not room.done():
                await client.join(where.room_id)
                room.set_result(where.room_id)
        def said(where, event):
            if event.sender == client.user_id: return
            content = event.source["content"]
            print(json.dumps({"sender": event.sender, "body": event.body,
                "mentions": content.get("m.mentions", {}).get("user_ids", []),
                "in_reply_to": content.get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id")}), flush=True)
        client.add_event_callback(invited, InviteMemberEvent)
        client.add_event_callback(said, RoomMessageText)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async def speak():
            while line := (await reader.readline()).decode():
                word, rest = line.rstrip("\n").split(" ", 1)
                content = {"msgtype": "m.text", "body": rest}
                if word == "reply":
                    event, content["body"] = rest.split(" ", 1)
                    content["m.relates_to"] = {"m.in_reply_to": {"event_id": event}}
                await client.room_send(await room, "m.room.message", content)
        await asyncio.gather(client.sync_forever(timeout=10000, full_state=True), speak())

    asyncio.run(main())
    """#
}
