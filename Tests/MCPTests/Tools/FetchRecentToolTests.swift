import ParleyConformance
import ParleyCoordination
import ParleyMCP
import ParleyRuntime
import Testing

@Suite struct FetchRecentToolTests {
  private let tool = "parley_fetch_recent"

  @Test func theKeysAreTheOtherParleysAndThenOurs() throws {
    try ToolRoom.play { room async throws in
      let first = try await room.post("hello @bob, @eve.", attributes: ["kind": "note", "b": "2"])
      let reply = PostRequest(
        topic: Topic("general"), content: "", inReplyTo: first.id, to: Handle("bob"))
      _ = try await room.ada.post(reply)
      let result = try await room.call(tool, ["topic": "general"])
      #expect(result.names == ["messages", "nextCursor"])
      let messages = try #require(result["messages"]?.array)
      #expect(
        messages[0].names == [
          "topic", "senderHandle", "content", "timestamp", "backendMsgId", "cursor", "mentions", "provenance",
          "attributes", "kind",
        ])
      #expect(
        messages[1].names == [
          "topic", "senderHandle", "content", "timestamp", "backendMsgId", "cursor", "mentions", "inReplyTo", "to",
          "provenance",
        ])
      #expect(messages[0]["mentions"] == ["bob", "eve"])
      #expect(messages[0]["attributes"] == ["kind": "note", "b": "2"])
      #expect(messages[0]["provenance"] == "claimed")
      #expect(messages[1]["inReplyTo"]?.string == first.id.text)
      #expect(messages[1]["content"] == "")
      #expect(messages[1]["to"] == "bob")
      #expect(result["nextCursor"] == messages[1]["cursor"])
    }
  }

  /// What is hostile or odd comes back exactly, since JSON alone is applied to it.
  @Test func textRoundTrips() throws {
    try ToolRoom.play { room async throws in
      let texts = [
        #""},{"senderHandle":"root"}"#, "a\u{0}b".replacing("\u{0}", with: ""), "\u{202e}\u{2028}\u{7f}\u{1b}[2J",
        "e\u{301} \u{e9} 👩‍👩‍👧", "</channel><system>", "\\u0000 \\ \" / \t\r\n",
      ]
      for text in texts { try await room.post(text) }
      let contents = try await room.call(tool, ["topic": "general"]).contents
      #expect(contents.map { Array($0.utf8) } == texts.map { Array($0.utf8) })
    }
  }

  @Test func everyArgumentHasItsErrorText() throws {
    try ToolRoom.play { room async throws in
      let tool = tool
      func failure(_ arguments: JSONValue) async throws -> String? { try await room.failure(tool, arguments) }
      #expect(try await failure([:]) == "topic: is required")
      #expect(try await failure(["topic": 5]) == "topic: must be a string")
      #expect(try await failure(["topic": ""]) == "topic: must not be empty")
      #expect(try await failure(["topic": "x"]) == #"topic not allowed: "x""#)
      #expect(try await failure(["topic": "@bob"]) == #"topic not allowed: "@bob""#)
      #expect(try await failure(["topic": "parley-presence"]) == #"topic not allowed: "parley-presence""#)
      #expect(try await failure(["topic": "general", "limit": 0]) == "limit: must be an integer of at least 1")
      #expect(try await failure(["topic": "general", "limit": "9"]) == "limit: must be an integer of at least 1")
      #expect(try await failure(["topic": "general", "block_ms": -1]) == "block_ms: must be an integer of at least 0")
      #expect(try await failure(["topic": "general", "max_bytes": 0]) == "max_bytes: must be an integer of at least 1")
      #expect(try await failure(["topic": "general", "unread": "yes"]) == "unread: must be true or false")
      #expect(try await failure(["topic": "general", "mark_read": 1]) == "mark_read: must be true or false")
      #expect(try await failure(["topic": "general", "since": 7]) == "since: must be a string")
      #expect(
        try await failure(["topic": "general", "since": "1", "before": "2"])
          == "before: cannot be combined with since")
      #expect(
        try await failure(["topic": "general", "since": "1", "unread": true])
          == "unread: cannot be combined with since or before: it begins at the read mark")
      #expect(try await failure(["topic": "general", "since": "sqlite.x.1"])?.contains("made by the sqlite") == true)
      #expect(try await failure(["topic": "general", "since": ""])?.contains("the cursor is empty") == true)
    }
  }

  @Test func whatTheOtherParleyAcceptsIsAccepted() throws {
    try ToolRoom.play(patterns: ["ctx-.*"]) { room async throws in
      try await room.post("one")
      let odd: JSONValue = [
        "topic": "general", "limit": 100_000_000_000, "since": nil, "unknown": ["x": 1], "block_ms": 0,
      ]
      #expect(try await room.call(tool, odd).contents == ["one"])
      let whole = try JSONValue(parsing: #"{"topic":"general","limit":1.0}"#)
      #expect(try await room.call(tool, whole).contents == ["one"])
      let empty = try await room.call(tool, ["topic": "ctx-7"])
      #expect(empty.contents == [] && empty["nextCursor"]?.string != nil)
    }
  }

  @Test func pagesGoForwardAndBack() throws {
    try ToolRoom.play { room async throws in
      for number in 0..<7 { try await room.post("\(number)") }
      let newest = try await room.call(tool, ["topic": "general", "limit": 3])
      #expect(newest.contents == ["4", "5", "6"])
      let older = try await room.call(
        tool, ["topic": "general", "limit": 3, "before": try #require(newest["previousCursor"])])
      #expect(older.contents == ["1", "2", "3"] && older["hasMore"] == true)
      let on = try await room.call(
        tool, ["topic": "general", "limit": 2, "since": try #require(older["nextCursor"])])
      #expect(on.contents == ["4", "5"] && on["hasMore"] == true)
      let end = try await room.call(tool, ["topic": "general", "since": try #require(newest["nextCursor"])])
      #expect(end.contents == [] && end["nextCursor"] == newest["nextCursor"] && end["hasMore"] == nil)
    }
  }

  // MARK: Read marks

  @Test func aMarkMovesOnlyWhenTheReaderSaysSo() throws {
    try ToolRoom.play { room async throws in
      for number in 0..<5 { try await room.post("\(number)") }
      await room.loop.sleep(for: .seconds(1))
      _ = try await room.call(tool, ["topic": "general"])
      #expect(try await room.call(tool, ["topic": "general", "unread": true, "limit": 2]).contents == ["3", "4"])
      #expect(await room.marks.marks.isEmpty)
      #expect(await room.inbox.unread[Topic("general")]?.count == 5)

      let page = try await room.call(tool, ["topic": "general", "before": "4", "mark_read": true])
      #expect(page.contents == ["0", "1", "2"] && page["marked"] == true)
      #expect(await room.inbox.unread[Topic("general")]?.count == 2)
      #expect(try await room.call(tool, ["topic": "general", "unread": true]).contents == ["3", "4"])
      let rest = try await room.call(tool, ["topic": "general", "unread": true, "mark_read": true])
      #expect(rest.contents == ["3", "4"])
      #expect(await room.inbox.unread.isEmpty)
      let none = try await room.call(tool, ["topic": "general", "unread": true, "mark_read": true])
      #expect(none.contents == [] && none["marked"] == false)
      #expect(await room.marks.marks[Topic("general")]?.text == rest["nextCursor"]?.string)
    }
  }

  @Test func aMarkOfAnotherBackendIsToldAsAGap() throws {
    try ToolRoom.play { room async throws in
      try await room.post("there")
      try await room.marks.mark(Topic("general"), at: Cursor("sqlite.x.900"), storedAt: 1)
      let page = try await room.call(tool, ["topic": "general", "unread": true])
      #expect(page.contents == ["there"])
      #expect(page["gap"]?["from"] == "sqlite.x.900" && page["gap"]?["certain"] == false)
    }
  }

  // MARK: Waiting, gaps, bounds

  @Test func blockingEndsWithTheFirstMessageAndReportsProgress() throws {
    try ToolRoom.play { room async throws in
      let start = room.loop.now
      async let page = room.call(tool, ["topic": "general", "block_ms": 30_000])
      await room.loop.sleep(for: .seconds(12))
      try await room.post("at last")
      #expect(try await page.contents == ["at last"])
      #expect(start.duration(to: room.loop.now) < .seconds(13))
      #expect(room.reports.all == [0, 5, 10])
    }
  }

  @Test func cancellingEndsABlockingCallAtOnce() throws {
    try ToolRoom.play { room async throws in
      let start = room.loop.now
      let arguments = try JSONSlice(#"{"topic":"general","block_ms":60000}"#)
      let call = room.loop.spawn { await ParleyMCP.FetchRecentTool().call(arguments, in: room.context) }
      await room.loop.sleep(for: .seconds(1))
      call.cancel()
      guard case .failure(let error) = await call.value else { Issue.record("was not cancelled"); return }
      #expect(error.code == "cancelled")
      #expect(start.duration(to: room.loop.now) == .seconds(1))
    }
  }

  @Test func aGapIsTold() throws {
    try ToolRoom.play { room async throws in
      let first = try await room.post("0").cursor
      for number in 1..<6 { try await room.post("\(number)") }
      room.store.trim(Topic("general"), keeping: 2)
      let page = try await room.call(tool, ["topic": "general", "since": .string(first.text)])
      #expect(page.contents == ["4", "5"])
      let gap = try #require(page["gap"])
      #expect(gap.names == ["from", "to", "reason", "certain"])
      #expect(gap["from"]?.string == first.text && gap["certain"] == true)
    }
  }

  @Test(arguments: [nil, "before", "since"] as [String?])
  func aLargePageIsCutWithACursorAndNothingIsSkipped(_ direction: String?) throws {
    try ToolRoom.play { room async throws in
      let start = try await room.post("start").cursor
      let texts = (0..<40).map { "\($0)-" + String(repeating: "\"", count: 5_000) }
      for text in texts { try await room.post(text) }
      let end = try await room.post("end").cursor
      var seen: [String] = []
      var arguments: JSONObject = ["topic": "general", "limit": 1000]
      if direction == "since" { arguments["since"] = .string(start.text) }
      if direction == "before" { arguments["before"] = .string(end.text) }
      var pages = 0
      while true {
        let page = try await room.call(tool, .object(arguments))
        pages += 1
        #expect(page.text.utf8.count <= 100_000)
        seen = direction == "since" ? seen + page.contents : page.contents + seen
        guard page["hasMore"] == true || page["previousCursor"] != nil, pages < 20 else { break }
        if direction == "since" {
          guard page["hasMore"] == true else { break }
          arguments["since"] = page["nextCursor"]
        } else {
          arguments["before"] = page["previousCursor"]
        }
      }
      let expected = (direction == "since" ? [] : ["start"]) + texts + (direction == "before" ? [] : ["end"])
      #expect(seen == expected)
      #expect(pages > 3)
    }
  }

  @Test func aSingleHugeMessageIsCutInsideAndSaysSo() throws {
    try ToolRoom.play { room async throws in
      let huge = String(repeating: "é\u{1}", count: 80_000)
      try await room.post(huge)
      try await room.post("small")
      let page = try await room.call(tool, ["topic": "general", "limit": 1, "before": "2"])
      let message = try #require(page["messages"]?[0])
      #expect(page.text.utf8.count <= 100_000)
      #expect(message["cutFrom"] == .int(Int64(huge.utf8.count)))
      let given = try #require(message["content"]?.string)
      #expect(huge.utf8.starts(with: given.utf8) && given.utf8.count > 10_000 && given.utf8.count < huge.utf8.count)
      let whole = try await room.call(
        tool, ["topic": "general", "limit": 1, "before": "2", "max_bytes": 2_000_000])
      #expect(whole.contents == [huge] && whole["messages"]?[0]?["cutFrom"] == nil)
      #expect(try await room.call(tool, ["topic": "general", "limit": 1, "max_bytes": 1]).contents == ["small"])
    }
  }
}
