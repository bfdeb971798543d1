import CSQLite
import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// What a broken, hostile or slow client can send to the real program: a clear answer each, and it lives on.
@Suite struct BadInputTests {
  @Test func everyMalformedLineHasItsAnswer() throws {
    try Workplace.use { place in
      let client = try Client(place)
      try await client.initialize()
      for (line, code, id) in [
        ("not json", -32700, .null), (#"{"jsonrpc":"2.0","id":1,"method":"ping""#, -32700, .null),
        ("42", -32600, .null), ("{}", -32600, .null), (#"{"id":7,"method":"ping"}"#, -32600, 7),
        (#"{"jsonrpc":"2.0","id":8}"#, -32600, 8), (#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, .null),
        (#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, .null),
        (#"{"jsonrpc":"2.0","id":9,"method":"no/such"}"#, -32601, 9),
        (#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, .null),
        (#"{"jsonrpc":"2.0","id":10,"method":"tools/list","params":[1]}"#, -32602, 10),
        (#"{"jsonrpc":"2.0","id":11,"method":"tools/call","params":{"name":"no_such_tool"}}"#, -32602, 11),
        (
          #"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"parley_post","arguments":[]}}"#, -32602, 12
        ),
        (String(repeating: "[", count: 10_000), -32600, .null),
        (#"{"a":"# + String(repeating: "[", count: 1_000_000), -32600, .null),
      ] as [(String, Int64, JSONValue)] {
        client.send(line)
        let answer = await client.next()
        #expect(answer?["error"]?["code"]?.int == code, "\(line.prefix(80)): \(String(describing: answer))")
        #expect(answer?["id"] == id, "\(line.prefix(80))")
      }
      client.process.send(Array(#"{"jsonrpc":"2.0","id":1,"method":"x"#.utf8) + [0xC3, 0x28] + Array("\"}\n".utf8))
      #expect(await client.next()?["error"]?["code"]?.int == -32700)
      // None of these is answered.
      for line in [
        #"{"jsonrpc":"2.0","method":"no/such"}"#, #"{"jsonrpc":"2.0","method":"tools/call","params":5}"#,
        #"{"jsonrpc":"2.0","id":5,"result":{}}"#, #"{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"x"}}"#, "",
        "\r", " \t",
      ] { client.send(line) }
      // Ids come back as they were, whatever the line's end.
      for id in ["0", "-1", "9007199254740993", "\"a\""] {
        client.send("{\"jsonrpc\":\"2.0\",\"id\":\(id),\"method\":\"ping\"}\r")
        #expect(await client.process.nextLine(until: place.soon) == "{\"jsonrpc\":\"2.0\",\"id\":\(id),\"result\":{}}")
      }
      client.process.closeInput()
      #expect(await client.process.waitForExit(until: place.soon) == .status(0))
      #expect(client.process.outputLines.isEmpty)
    }
  }

  @Test func aLineOfFiveMebibytesIsRefusedWithTheLimitAndTheNextOneIsRead() throws {
    try Workplace.use { place in
      let client = try Client(place)
      try await client.initialize()
      client.request(
        1, "parley_post", ["topic": "general", "content": .string(String(repeating: "a", count: 5 << 20))])
      client.send(#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#)
      let refusal = await client.next()
      #expect(refusal?["error"]?["code"]?.int == -32600 && refusal?["id"] == .null)
      #expect(refusal?["error"]?["message"]?.string?.contains("4194304") == true)
      #expect(await client.next()?["id"]?.int == 2)
    }
  }

  @Test func limitsTopicsAndCursorsAreRefusedByName() throws {
    try Workplace.use { place in
      let client = try Client(place)
      try await client.initialize()
      func refusal(_ tool: String, _ arguments: JSONValue) async -> (code: String?, text: String) {
        let result = await client.call(1, tool, arguments)
        #expect(result?["isError"]?.bool == true, "\(arguments.text.prefix(200))")
        return (result?["_meta"]?["parley/error"]?.string, result?["content"]?[0]?["text"]?.string ?? "")
      }
      let large = await refusal(
        "parley_post", ["topic": "general", "content": .string(String(repeating: "a", count: 262_145))])
      #expect(large.code == "tooLarge" && large.text.contains("262144"), "\(large)")
      for topic in ["secret", "@ada", "~room", "parley-presence"] {
        #expect(await refusal("parley_post", ["topic": .string(topic), "content": "x"]).code == "topicNotAllowed")
        #expect(await refusal("parley_fetch_recent", ["topic": .string(topic)]).code == "topicNotAllowed")
      }
      for cursor in ["nonsense", "", "sqlite..", "sqlite.1.x", "redis.ab12.1-0", "-1", "99999999999999999999"] {
        let told = await refusal("parley_fetch_recent", ["topic": "general", "since": .string(cursor)])
        #expect(told.code == "cursorInvalid" && told.text.contains("cursor"), "\(cursor): \(told)")
      }
      #expect(await refusal("parley_post", ["topic": "general", "content": "a\0b"]).code == "invalidRequest")
    }
  }

  @Test func aCursorWhosePlaceIsGoneTellsAGap() throws {
    try Workplace.use { place in
      let client = try Client(place)
      try await client.initialize()
      var cursors: [String] = []
      for number in 1...3 {
        let posted = await client.call(number, "parley_post", ["topic": "general", "content": .string("m\(number)")])
        cursors.append(try #require(posted?["structuredContent"]?["cursor"]?.string))
      }
      // Another program prunes the first two.
      var database: OpaquePointer?
      try #require(sqlite3_open(place.folder.path("parley.db"), &database) == SQLITE_OK)
      #expect(sqlite3_exec(database, "DELETE FROM messages WHERE content IN ('m1','m2')", nil, nil, nil) == SQLITE_OK)
      sqlite3_close(database)
      let pruned = await client.call(4, "parley_fetch_recent", ["topic": "general", "since": .string(cursors[0])])
      #expect(pruned?["structuredContent"]?["gap"]?["certain"]?.bool == true, "\(String(describing: pruned))")
      #expect(pruned?["structuredContent"]?["messages"]?.array?.map { $0["content"]?.string } == ["m3"])
      let elsewhere = await client.call(5, "parley_fetch_recent", ["topic": "general", "since": "sqlite.0badc0de.2"])
      #expect(elsewhere?["structuredContent"]?["gap"] != nil, "\(String(describing: elsewhere))")
      let run = try await place.run("fetch", "general", "--since", cursors[0], "--json")
      #expect(run.status == 0 && run.json?["gap"]?["topic"]?.string == "general", "\(run)")
    }
  }

  @Test func twoHundredLargeAnswersToASlowReaderAllArriveWhole() throws {
    try Workplace.use { place in
      let client = try Client(place)
      try await client.initialize()
      let text = String(repeating: "a", count: 65_530) + "\u{2028}\r\n\u{85}"
      _ = await client.call(1, "parley_post", ["topic": "general", "content": .string(text)])
      client.process.pauseOutput()
      for id in 1000..<1200 { client.request(id, "parley_fetch_recent", ["topic": "general", "limit": 1]) }
      // The answers, 26 MB, fit in no buffer: the server waits for its reader, and the reader comes at last.
      #expect(await client.process.wait(until: place.soon) { $0.unsentBytes == 0 })
      client.process.resumeOutput()
      var answered: Set<Int64> = []
      for _ in 1000..<1200 {
        guard let answer = await client.next(), let id = answer["id"]?.int else { break }
        let message = answer["result"]?["structuredContent"]?["messages"]?[0]
        #expect(message?["content"]?.string == text, "\(answer.text.suffix(300))")
        answered.insert(id)
      }
      #expect(answered.count == 200)
    }
  }

  @Test func aClientThatStopsReadingHoldsUpNobodyElse() throws {
    try Workplace.use { place in
      try place.write("bob.yaml", Workplace.configuration("bob"))
      let (stuck, bob) = (try Client(place), try Client(place, config: "bob.yaml"))
      try await stuck.initialize()
      try await bob.initialize()
      _ = await stuck.call(1, "parley_fetch_recent", ["topic": "general"])
      stuck.process.pauseOutput()
      let text = String(repeating: "b", count: 8_192)
      for id in 1...500 { bob.request(id, "parley_post", ["topic": "general", "content": .string(text)]) }
      for _ in 1...500 {
        let answer = try #require(await bob.next())
        #expect(answer["result"]?["content"] != nil && answer["result"]?["isError"] == nil, "\(answer)")
      }
      // 4 MB of pushes stand before a reader that does not read; when it reads, it learns of all of them.
      stuck.process.resumeOutput()
      var (pushed, told) = (0, 0)
      while pushed + told < 500, let event = await stuck.push() {
        if event["meta"]?["msg_id"] != nil {
          pushed += 1
        } else {
          told += Int(event["content"]?.string?.prefix(while: { $0.isNumber }) ?? "") ?? 0
        }
      }
      #expect(pushed + told >= 500 && pushed > 0, "\(pushed) pushed, \(told) told of")
      // It ends with its input even while nobody reads.
      stuck.process.pauseOutput()
      for id in 1...50 { stuck.request(id, "parley_fetch_recent", ["topic": "general"]) }
      stuck.process.closeInput()
      let start = place.loop.now
      #expect(await stuck.process.wait(until: place.soon) { $0.exit != nil })
      #expect(start.duration(to: place.loop.now) < .seconds(2) && stuck.process.exit == .status(0))
    }
  }

  @Test func aClosedOutputEndsItQuietly() throws {
    try Workplace.use { place in
      let client = try Client(place)
      try await client.initialize()
      client.process.closeOutput()
      client.send(#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
      #expect(await client.process.waitForExit(until: place.soon) == .status(0))
      #expect(client.process.errorLines.allSatisfy { $0.contains("bridge up") }, "\(client.process.errorLines)")
    }
  }

  @Test func anInputThatEndsInTheMiddleOfALineEndsItQuietly() throws {
    try Workplace.use { place in
      let client = try Client(place)
      try await client.initialize()
      client.process.send(#"{"jsonrpc":"2.0","id":1,"method":"pi"#)
      client.process.closeInput()
      #expect(await client.process.waitForExit(until: place.soon) == .status(0))
      #expect(client.process.errorLines.allSatisfy { $0.contains("bridge up") }, "\(client.process.errorLines)")
    }
  }
}
