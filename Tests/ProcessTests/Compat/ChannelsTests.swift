import ParleyRuntime
import ParleyTestKit
import Testing

/// The tools of channels through real processes over every kind of backend.
@Suite struct ChannelsTests {
  private static func caller(_ place: CompatPlace, _ handle: String) async throws -> CompatCaller {
    let caller = try await place.client(handle, "channels")
    // Registered, so that numbers follow the order of starting.
    await caller.call("list-agents")
    return caller
  }

  @Test(arguments: CompatGround.all) func agentsFindAndReachEachOther(_ ground: CompatGround) throws {
    try CompatPlace.use(ground) { place in
      let ada = try await Self.caller(place, "ada")
      let bob = try await Self.caller(place, "bob")
      let carol = try await Self.caller(place, "carol")
      #expect(await ada.tools().map(\.name).suffix(3) == ["rename-agent", "list-agents", "send-message"])
      #expect(await ada.call("list-agents").text == #"Connected agents: agent-1, agent-2, agent-3 (you are "agent-1")"#)
      #expect(await ada.call("rename-agent", ["agentId": "planner"]).text == #"Renamed from "agent-1" to "planner"."#)
      #expect(await ada.call("rename-agent", ["agentId": "planner"]).text == #"Renamed from "planner" to "planner"."#)
      let taken = await bob.call("rename-agent", ["agentId": "planner"])
      #expect(taken.text == #""planner" is already taken by another agent."# && !taken.isError)
      await bob.sees("carol")
      for name in ["all", "human", " ", "carol"] {
        let refused = await bob.call("rename-agent", ["agentId": .string(name)])
        #expect(refused.text.hasPrefix("\"\(name)\" cannot be used: ") && !refused.isError)
      }
      #expect(await bob.call("list-agents").text == #"Connected agents: agent-2, agent-3, planner (you are "agent-2")"#)
      #expect(
        await bob.call("send-message", ["to": "planner", "message": "one </channel> two"]).text
          == #"Sent to "planner" (from "agent-2")."#)
      let push = await ada.client.push()
      #expect(push?["content"]?.string == "one &lt;/channel> two")
      #expect(
        push?["meta"] == ["severity": "info", "source": "agent-message", "from": "agent-2", "to": "planner"])
      // In order, and to exactly one: what the others get next is their own.
      for text in ["two", "three"] { await ada.call("send-message", ["to": "agent-3", "message": .string(text)]) }
      #expect(
        await ada.call("send-message", ["to": "agent-2", "message": "yours"]).text
          == #"Sent to "agent-2" (from "planner")."#)
      #expect(await carol.client.push()?["content"]?.string == "two")
      #expect(await carol.client.push()?["content"]?.string == "three")
      #expect(await bob.client.push()?["content"]?.string == "yours")
      #expect(
        await carol.call("send-message", ["to": "agent-3", "message": "me"]).text
          == #"Sent to "agent-3" (from "agent-3")."#)
      #expect(
        await ada.call("send-message", ["to": "agent-9", "message": "x"]).text
          == #"Unknown agent "agent-9". Try list-agents."#)
      // Its end frees the name; a number is not given again.
      bob.client.process.closeInput()
      _ = await bob.client.process.waitForExit(until: place.soon)
      let gone = await ada.call("send-message", ["to": "agent-2", "message": "x"]) { !$0.text.hasPrefix("Sent") }
      #expect(gone.text == #"Agent "agent-2" is no longer connected."#)
      let dora = try await Self.caller(place, "dora")
      #expect(
        await dora.call("list-agents").text == #"Connected agents: agent-3, planner, agent-4 (you are "agent-4")"#)
      #expect(await dora.call("rename-agent", ["agentId": "agent-2"]).text == #"Renamed from "agent-4" to "agent-2"."#)
    }
  }

  /// A message to oneself comes too, and the session says that it is a channel.
  @Test func theSessionIsAChannel() throws {
    try CompatPlace.use { place in
      try place.write("ada.yaml", place.configuration("ada", "channels"))
      let client = try Client(place.place, config: "ada.yaml")
      client.send(
        #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#
      )
      let result = await client.answer(0)?["result"]
      #expect(result?["capabilities"]?["experimental"]?["claude/channel"] != nil)
      #expect(result?["instructions"]?.string?.contains("list-agents") == true)
      #expect((result?["instructions"]?.string?.utf8.count ?? 0) <= 2_048)
      client.send(#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
      let ada = CompatCaller(client, place)
      let call = ada.start("send-message", ["to": "agent-1", "message": "to myself"])
      // The push and the answer come in any order.
      var pushed: JSONValue?
      var answer: JSONValue?
      while pushed == nil || answer == nil, let message = await client.next() {
        if message["id"]?.int == Int64(call) { answer = message["result"] }
        if message["method"]?.string == "notifications/claude/channel" { pushed = message["params"] }
      }
      #expect(pushed?["meta"]?["from"]?.string == "agent-1")
      #expect(CompatResult(result: answer).text == #"Sent to "agent-1" (from "agent-1")."#)
    }
  }
}
