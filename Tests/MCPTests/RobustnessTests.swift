import ParleyRuntime
import Testing

@testable import ParleyMCP

/// Reference table of JSON-RPC robustness, row by row, through real pipes.
@Suite("Robustness over pipes") struct RobustnessTests {
  @Test(
    "bad input is answered and the session lives on",
    arguments: [
      ("not json", -32700, JSONValue.null),
      ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"", -32700, nil),
      ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x", -32700, nil),
      ("42", -32600, nil),
      ("\"text\"", -32600, nil),
      ("null", -32600, nil),
      ("{}", -32600, nil),
      ("{\"id\":7,\"method\":\"ping\"}", -32600, 7),
      ("{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"ping\"}", -32600, 7),
      ("{\"jsonrpc\":\"2.0\",\"id\":8}", -32600, 8),
      ("{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":5}", -32600, 8),
      ("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600, nil),
      ("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600, nil),
      ("{\"jsonrpc\":\"2.0\",\"id\":1e3,\"method\":\"ping\"}", -32600, nil),
      ("{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"ping\"}", -32600, nil),
      ("{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"ping\"}", -32600, nil),
      ("{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"no/such\"}", -32601, 9),
      ("{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"server/discover\"}", -32602, 9),
      ("{\"jsonrpc\":\"2.0\",\"id\":10,\"method\":\"tools/list\",\"params\":[1]}", -32602, 10),
      ("{\"jsonrpc\":\"2.0\",\"id\":10,\"method\":\"tools/list\",\"params\":5}", -32602, 10),
      ("{\"jsonrpc\":\"2.0\",\"id\":10,\"method\":\"tools/list\",\"params\":{\"cursor\":\"x\"}}", -32602, 10),
      ("{\"jsonrpc\":\"2.0\",\"id\":10,\"method\":\"tools/list\",\"params\":{\"cursor\":4}}", -32602, 10),
      ("{\"jsonrpc\":\"2.0\",\"id\":11,\"method\":\"tools/call\"}", -32602, 11),
      ("{\"jsonrpc\":\"2.0\",\"id\":11,\"method\":\"tools/call\",\"params\":{\"name\":\"nope\"}}", -32602, 11),
      (
        "{\"jsonrpc\":\"2.0\",\"id\":11,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":[]}}",
        -32602, 11
      ),
      (
        "{\"jsonrpc\":\"2.0\",\"id\":12,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\"}}",
        -32600, 12
      ),
      ("[]", -32600, nil),
      ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600, nil),
    ]
  )
  func badInput(line: String, code: Int64, id: JSONValue) throws {
    try SessionWorld.run { world in
      try await world.client.initialize()
      world.client.send(line)
      let answer = try await world.client.next { $0["error"] != nil }
      #expect(answer["error"]?["code"]?.int == code, "\(answer.text)")
      #expect(answer["id"] == id, "\(answer.text)")
      try await world.client.ping()
      #expect(world.client.received.count == 3)
    }
  }

  @Test("deep nesting is refused", arguments: [100, 10_000, 1_000_000]) func nesting(depth: Int) throws {
    try SessionWorld.run { world in
      world.client.send(bytes: [UInt8](repeating: UInt8(ascii: "["), count: depth))
      #expect(try await world.client.answer(to: nil)["error"]?["code"] == -32600)
      world.client.send(bytes: Array("{\"a\":".utf8) + [UInt8](repeating: UInt8(ascii: "["), count: depth))
      #expect(try await world.client.answer(to: nil)["error"]?["code"] == -32600)
      try await world.client.ping()
    }
  }

  @Test("invalid UTF-8 is a parse error; lone surrogates are not a crash") func encodings() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      client.send(
        bytes: Array(#"{"jsonrpc":"2.0","id":1,"method":"ping","x":""#.utf8) + [0xC3, 0x28] + Array("\"}".utf8))
      #expect(try await client.answer(to: nil)["error"]?["code"] == -32700)
      client.send(
        ##"{"jsonrpc":"2.0","id":"\ud800","method":"tools/call","params":{"name":"echo","arguments":{"text":"\udfff"}}}"##
      )
      let echo = try await client.next { $0["result"]?["structuredContent"] != nil }
      #expect(echo["result"]?["structuredContent"]?["echo"] == "\u{FFFD}")
      #expect(String(decoding: client.rawLines.last ?? [], as: UTF8.self).contains(##""id":"\ud800""##))
    }
  }

  @Test(
    "ids come back digit by digit",
    arguments: ["0", "-5", "9007199254740993", "123456789012345678901234567890", "\"a\"", "\"\\u0061\"", "\"\""])
  func ids(id: String) throws {
    try SessionWorld.run { world in
      try await world.client.initialize()
      world.client.send("{\"id\":\(id),\"jsonrpc\":\"2.0\",\"method\":\"ping\"}")
      _ = try await world.client.next { $0["result"] == [:] }
      #expect(
        String(decoding: world.client.rawLines[1], as: UTF8.self) == "{\"jsonrpc\":\"2.0\",\"id\":\(id),\"result\":{}}")
    }
  }

  @Test("notifications and stray responses are never answered") func silence() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      client.notify("notifications/initialized")
      client.notify("no/such", ["x": 1])
      client.notify("tools/call", ["name": "echo"])
      client.notify("notifications/cancelled", ["requestId": 99])
      client.notify("notifications/cancelled", [1])
      client.send(#"{"jsonrpc":"2.0","id":5,"result":{}}"#)
      client.send(#"{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"x"}}"#)
      try await client.ping()
      #expect(client.received.count == 2)
    }
  }

  @Test("CRLF, blank lines and a byte order mark are accepted") func lineEnds() throws {
    try SessionWorld.run { world in
      let client = world.client
      client.send("\u{FEFF}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r")
      client.send("")
      client.send("  \t\r")
      client.send("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\r")
      _ = try await client.answer(to: 1)
      _ = try await client.answer(to: 2)
      #expect(client.received.count == 2)
    }
  }

  @Test("a line over the limit is refused with the limit, and the next one is read") func overlong() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      client.request(
        "tools/call", id: 1, ["name": "echo", "arguments": ["text": .string(String(repeating: "a", count: 5 << 20))]])
      client.request("ping", id: 2)
      let refusal = try await client.answer(to: nil)
      #expect(refusal["error"]?["code"] == -32600)
      #expect(refusal["error"]?["message"]?.string?.contains("4194304") == true)
      #expect(try await client.answer(to: 2)["result"] == [:])
      let big = try await client.tool("echo", id: 3, ["text": .string(String(repeating: "b", count: 3 << 20))])
      #expect(big["result"]?["structuredContent"]?["echo"]?.string?.count == 3 << 20)
    }
  }

  @Test("a duplicate id in flight is refused, and answers do not cross") func duplicateID() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      client.request("tools/call", id: 1, ["name": "hang"])
      client.request("tools/call", id: 1, ["name": "echo", "arguments": ["text": "second"]])
      #expect(try await client.answer(to: 1)["error"]?["code"] == -32600)
      // A string is another id than the integer with its digits.
      #expect(
        try await client.tool("echo", id: "1", ["text": "other"])["result"]?["structuredContent"]?["echo"] == "other")
      client.notify("notifications/cancelled", ["requestId": 1, "reason": "enough"])
      #expect(
        try await client.tool("echo", id: 1, ["text": "again"])["result"]?["structuredContent"]?["echo"] == "again")
      try await client.ping()
      #expect(client.received.count == 5)
    }
  }

  @Test("cancelling frees the call's place, and nothing is answered") func cancellation() throws {
    try SessionWorld.run(.init(adjust: { $0.limits.pendingCalls = 4 })) { world in
      let client = world.client
      try await client.initialize()
      for id in 1...4 { client.request("tools/call", id: .int(Int64(id)), ["name": "hang"]) }
      client.request("tools/call", id: 5, ["name": "echo", "arguments": ["text": "x"]])
      #expect(try await client.answer(to: 5)["error"]?["code"] == -31001)
      client.notify("notifications/cancelled", ["requestId": 2])
      #expect(try await client.tool("echo", id: 6, ["text": "x"])["result"] != nil)
      for id: Int64 in [1, 3, 4] { client.notify("notifications/cancelled", ["requestId": .int(id)]) }
      try await client.ping()
      #expect(client.received.count == 4)
    }
  }

  @Test("200 answers of 64 KiB to a slow reader: no deadlock, whole lines, all there") func slowReader() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      client.pause()
      for id in 1...200 {
        client.request("tools/call", id: .int(Int64(id)), ["name": "echo", "arguments": ["bytes": 65536]])
      }
      // Only when the client has got rid of its requests, or is stuck with them, does it begin to read.
      await world.client.flushed()
      client.resume()
      var seen: Set<Int64> = []
      for _ in 1...200 {
        let answer = try await client.next { $0["result"]?["structuredContent"] != nil }
        #expect(answer["result"]?["structuredContent"]?["echo"]?.string?.utf8.count == 65536)
        if let id = answer["id"]?.int { seen.insert(id) }
      }
      #expect(seen.count == 200)
    }
  }

  @Test("a client that stops reading and sends on holds back the server, not the loop") func stopsReading() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      client.pause()
      let filler = String(repeating: "f", count: 60_000)
      for id in 1...100 {
        client.request("tools/call", id: .int(Int64(id)), ["name": "echo", "arguments": ["text": .string(filler)]])
      }
      // The loop runs on: other work is done at once while both pipes are full.
      for number in 1...50 { try await world.post("message \(number)") }
      client.resume()
      for id in 1...100 { _ = try await client.answer(to: .int(Int64(id))) }
    }
  }

  @Test("end of input: what runs is answered, the end is prompt, a tail without newline counts") func endOfInput()
    throws
  {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      client.request("tools/call", id: 1, ["name": "post", "arguments": ["content": "last words"]])
      await client.flushed()
      client.sendTail(#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#)
      client.closeInput()
      #expect(try await client.answer(to: 1)["result"]?["structuredContent"]?["id"] != nil)
      #expect(try await client.answer(to: 2)["result"] == [:])
      try await client.end()
    }
  }

  @Test("end of input with a call that never ends: the server ends within a second") func endWhileHanging() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      client.request("tools/call", id: 1, ["name": "hang"])
      await client.flushed()
      let start = world.loop.now
      client.closeInput()
      try await client.end()
      // The goal is a second; a machine busy with other tests gets twice that.
      #expect(start.duration(to: world.loop.now) < .seconds(2))
      #expect(client.received.count == 1)
    }
  }

  @Test("a closed output ends the server quietly") func closedOutput() throws {
    try SessionWorld.run { world in
      try await world.client.initialize()
      world.client.closeOutput()
      world.client.request("ping", id: 1)
      #expect(await world.serverEnds())
    }
  }

  @Test("a client that closed its input and does not read: the server ends anyway") func stalledAndClosed() throws {
    try SessionWorld.run { world in
      let client = world.client
      try await client.initialize()
      client.pause()
      for id in 1...100 {
        client.request("tools/call", id: .int(Int64(id)), ["name": "echo", "arguments": ["bytes": 65536]])
      }
      await client.flushed()
      client.closeInput()
      #expect(await world.serverEnds())
    }
  }
}
