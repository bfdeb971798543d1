import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// The revisions with a handshake over HTTP: 2025-03-26 to 2025-11-25.
@Suite struct SessionTests {
  private static func call(_ name: String, id: JSONValue = 2, _ arguments: JSONValue = [:]) -> String {
    RemoteWorld.legacy("tools/call", id: id, ["name": .string(name), "arguments": arguments])
  }

  @Test(arguments: ["2025-03-26", "2025-06-18", "2025-11-25"]) func aSessionFromBeginToEnd(_ version: String) throws {
    try RemoteWorld.use { world async throws in
      let fields = try await world.open(version)
      let id = try #require(fields["Mcp-Session-Id"])
      #expect(id.utf8.count >= 32 && id.utf8.allSatisfy { (0x21...0x7E).contains($0) })
      let list = try await world.request("POST", "/mcp", fields, RemoteWorld.legacy("tools/list"))
      #expect(
        list.message?["result"]?["tools"]?.array?.count == StandardTools.all.count
          && list.message?["result"]?["resultType"] == nil)
      #expect(list.fields["mcp-session-id"] == id)
      let posted = try await world.request(
        "POST", "/mcp", fields, Self.call("parley_post", ["topic": "general", "content": "hello"]))
      #expect(posted.message?["id"] == 2 && posted.message?["result"]?["isError"] == nil)
      #expect(try await world.request("POST", "/mcp", fields, RemoteWorld.legacy("ping")).message?["result"] == [:])
      #expect(try await world.request("POST", "/mcp", fields, RemoteWorld.legacy("nothing")).failure == -32601)
      #expect(try await world.request("DELETE", "/mcp", fields).status == 204)
      #expect(try await world.request("POST", "/mcp", fields, RemoteWorld.legacy("ping")).status == 404)
      #expect(try await world.request("GET", "/mcp", fields).status == 404)
      #expect(try await world.request("DELETE", "/mcp", fields).status == 404)
    }
  }

  @Test func whoIsGoneFollowsNothing() throws {
    try RemoteWorld.use { world async throws in
      // The door follows its topics for itself, from soon after its start.
      await world.wait { await world.followers() > 0 }
      let before = await world.followers()
      let fields = try await world.open()
      let posted = try await world.request(
        "POST", "/mcp", fields, Self.call("parley_task_post", ["topic": "general", "title": "t"]))
      #expect(posted.message?["result"]?["isError"] == nil)
      #expect(await world.followers() > before)
      #expect(try await world.request("DELETE", "/mcp", fields).status == 204)
      await world.wait { await world.followers() == before }
      #expect(await world.followers() == before)
    }
  }

  @Test func whatASessionAsksOfRequests() throws {
    try RemoteWorld.use { world async throws in
      var fields = try await world.open()
      // The revision's header is the client's to leave out (it is taken as 2025-03-26), not to invent.
      fields["MCP-Protocol-Version"] = nil
      #expect(try await world.request("POST", "/mcp", fields, RemoteWorld.legacy("ping")).status == 200)
      fields["MCP-Protocol-Version"] = "1999-01-01"
      #expect(try await world.request("POST", "/mcp", fields, RemoteWorld.legacy("ping")).status == 400)
      #expect(try await world.request("GET", "/mcp", fields).status == 400)
      for body in [RemoteWorld.legacy("ping"), RemoteWorld.legacy("notifications/initialized", id: nil)] {
        #expect(try await world.request("POST", "/mcp", [:], body).status == 400)
        #expect(try await world.request("POST", "/mcp", ["Mcp-Session-Id": "guess"], body).status == 404)
      }
      #expect(try await world.request("GET", "/mcp").status == 400)
      #expect(try await world.request("DELETE", "/mcp").status == 400)
      fields["MCP-Protocol-Version"] = "2025-11-25"
      #expect(
        try await world.request("GET", "/mcp", fields.merging(["Accept": "application/json"]) { $1 }).status == 406)
      let initialize = RemoteWorld.legacy("initialize", ["protocolVersion": 7])
      let refused = try await world.request("POST", "/mcp", [:], initialize)
      #expect(refused.failure == -32602)
      let unknown = try await world.request(
        "POST", "/mcp", [:], RemoteWorld.legacy("initialize", ["protocolVersion": "2099-01-01", "capabilities": [:]]))
      #expect(unknown.message?["result"]?["protocolVersion"] == "2025-11-25")
    }
  }

  @Test func aSessionIsItsOwnersAlone() throws {
    final class TwoTokens: Authenticator {
      func authenticate(_ head: RequestHead) -> Authentication {
        Bearer.token(of: head).map { .known(Principal($0)) } ?? .refused(Bearer.challenge())
      }
    }
    try RemoteWorld.use({ $0.authenticator = TwoTokens() }) { world async throws in
      let initialize = RemoteWorld.legacy("initialize", ["protocolVersion": "2025-11-25", "capabilities": [:]])
      let opened = try await world.request("POST", "/mcp", ["Authorization": "Bearer alice"], initialize)
      let id = try #require(opened.fields["mcp-session-id"])
      for (token, status) in [("alice", 200), ("mallory", 404)] {
        let fields = ["Authorization": "Bearer \(token)", "Mcp-Session-Id": id]
        #expect(try await world.request("POST", "/mcp", fields, RemoteWorld.legacy("ping")).status == status)
      }
    }
  }

  @Test func batchesBelongToOneRevision() throws {
    try RemoteWorld.use { world async throws in
      let batch = "[\(RemoteWorld.legacy("ping", id: 1)),\(RemoteWorld.legacy("ping", id: "b"))]"
      let old = try await world.open("2025-03-26")
      let response = try await world.request("POST", "/mcp", old, batch)
      #expect(response.status == 200 && response.message?.array?.compactMap { $0["id"] } == [1, "b"])
      let notifications = "[\(RemoteWorld.legacy("notifications/x", id: nil))]"
      #expect(try await world.request("POST", "/mcp", old, notifications).status == 202)
      #expect(try await world.request("POST", "/mcp", old, "[]").failure == -32600)
      let new = try await world.open("2025-06-18")
      let refused = try await world.request("POST", "/mcp", new, batch)
      #expect(refused.status == 400 && refused.failure == -32600)
      // Alone, without a session, in a batch: never an initialize.
      #expect(try await world.request("POST", "/mcp", [:], "[\(RemoteWorld.legacy("initialize"))]").status == 400)
    }
  }

  @Test func livePushArrivesOnTheStandingStream() throws {
    try RemoteWorld.use({ $0.livePush = .init() }) { world async throws in
      let initialize = RemoteWorld.legacy("initialize", ["protocolVersion": "2025-11-25", "capabilities": [:]])
      let opened = try await world.request("POST", "/mcp", [:], initialize)
      let capability = opened.message?["result"]?["capabilities"]?["experimental"]?["claude/channel"]
      #expect(capability == [:])
      let fields = try await world.open()
      let other = try await world.open()
      _ = try await world.request("POST", "/mcp", fields, Self.call("parley_wait", ["timeout_ms": 0]))
      _ = try await world.request("POST", "/mcp", other, Self.call("parley_wait", ["timeout_ms": 0]))
      // Before there is a stream: held.
      try await world.post("early")
      let client = try await world.begin("GET", "/mcp", fields)
      #expect(try await client.head().isStream)
      let channel: @Sendable (JSONValue) -> Bool = { $0["method"] == "notifications/claude/channel" }
      let early = try await client.event { channel($0) && $0["params"]?["content"] == "early" }
      #expect(early["params"]?["meta"]?["sender"] == "bob" && early["params"]?["meta"]?["topic"] == "general")
      // Another session's post is news, one's own is not.
      _ = try await world.request(
        "POST", "/mcp", fields, Self.call("parley_post", ["topic": "general", "content": "mine"]))
      _ = try await world.request(
        "POST", "/mcp", other, Self.call("parley_post", ["topic": "general", "content": "theirs"]))
      _ = try await client.event { channel($0) && $0["params"]?["content"] == "theirs" }
      #expect(!client.bodyText.contains("mine"))
    }
  }

  @Test func aLostStandingStreamIsResumedWithoutLossOrRepetition() throws {
    try RemoteWorld.use({ $0.livePush = .init() }) { world async throws in
      let fields = try await world.open()
      _ = try await world.request("POST", "/mcp", fields, Self.call("parley_wait", ["timeout_ms": 0]))
      let first = try await world.begin("GET", "/mcp", fields)
      _ = try await first.head()
      for number in 1...3 { try await world.post("m\(number)") }
      let seen = try await first.events(3)
      #expect(Set(seen.compactMap(\.id)).count == 3)
      first.stream.close()
      // As if the third had been lost on the way.
      let last = try #require(seen[1].id)
      let second = try await world.begin("GET", "/mcp", fields.merging(["Last-Event-ID": last]) { $1 })
      let again = try #require(try await second.events(1).first)
      #expect(again.id == seen[2].id && again.message?["params"]?["content"] == "m3")
      try await world.post("m4")
      let next = try await second.event { $0["params"]?["content"] == "m4" }
      #expect(next["params"]?["meta"]?["sender"] == "bob")
      // A newer stream takes the place of an older one, which may have died unnoticed.
      let third = try await world.begin("GET", "/mcp", fields)
      _ = try await third.head()
      #expect(try await second.response().isStream)
      try await world.post("m5")
      _ = try await third.event { $0["params"]?["content"] == "m5" }
      #expect(!third.bodyText.contains("m4"))
    }
  }

  @Test func aLostCallIsNotCancelledAndItsAnswerIsFetched() throws {
    try RemoteWorld.use { world async throws in
      let fields = try await world.open()
      _ = try await world.request("POST", "/mcp", fields, Self.call("parley_wait", ["timeout_ms": 0]))
      let client = try await world.begin(
        "POST", "/mcp", fields, Self.call("parley_wait", id: 9, ["timeout_ms": 30_000]))
      // The first event of a stream has an id and no data.
      let priming = try #require(try await client.events(1).first)
      #expect(priming.data.isEmpty)
      let id = try #require(priming.id)
      client.stream.close()
      try await world.post("answer")
      let resumed = try await world.begin("GET", "/mcp", fields.merging(["Last-Event-ID": id]) { $1 })
      let answer = try await resumed.event { $0["id"] == 9 }
      #expect(answer["result"]?["structuredContent"]?["messages"]?.array?.first?["content"] == "answer")
      #expect(try await resumed.response().isStream)
    }
  }

  @Test func cancellingEndsTheCallsStreamWithoutAnAnswer() throws {
    try RemoteWorld.use { world async throws in
      let fields = try await world.open()
      _ = try await world.request("POST", "/mcp", fields, Self.call("parley_wait", ["timeout_ms": 0]))
      let client = try await world.begin(
        "POST", "/mcp", fields, Self.call("parley_wait", id: 9, ["timeout_ms": 30_000]))
      _ = try await client.head()
      let cancel = RemoteWorld.legacy("notifications/cancelled", id: nil, ["requestId": 9])
      #expect(try await world.request("POST", "/mcp", fields, cancel).status == 202)
      #expect(try await client.response().events.allSatisfy { $0.data.isEmpty })
    }
  }

  @Test func olderRevisionsGetNoEmptyEvents() throws {
    try RemoteWorld.use { world async throws in
      let fields = try await world.open("2025-06-18")
      _ = try await world.request("POST", "/mcp", fields, Self.call("parley_wait", ["timeout_ms": 0]))
      let client = try await world.begin(
        "POST", "/mcp", fields, Self.call("parley_wait", id: 9, ["timeout_ms": 30_000]))
      _ = try await client.head()
      try await world.post("x")
      let events = try await client.response().events
      #expect(events.count == 1 && events.first?.message?["id"] == 9)
    }
  }

  @Test func resourceUpdatesReachTheStandingStream() throws {
    try RemoteWorld.use { world async throws in
      let fields = try await world.open()
      _ = try await world.request("POST", "/mcp", fields, Self.call("parley_wait", ["timeout_ms": 0]))
      let subscribe = RemoteWorld.legacy("resources/subscribe", ["uri": "parley://topic/general"])
      #expect(try await world.request("POST", "/mcp", fields, subscribe).message?["result"] == [:])
      // Changes that come before the stream are told once.
      try await world.post("a")
      try await world.post("b")
      let client = try await world.begin("GET", "/mcp", fields)
      let update = try await client.event { $0["method"] == "notifications/resources/updated" }
      #expect(update["params"]?["uri"] == "parley://topic/general")
    }
  }

  @Test func sessionsAreBoundedAndEndWhenNobodyUsesThem() throws {
    try RemoteWorld.use({ $0.sessions = 2 }) { world async throws in
      let first = try await world.open()
      let second = try await world.open()
      let stream = try await world.begin("GET", "/mcp", second)
      _ = try await stream.head()
      // The one that nobody uses makes room.
      let third = try await world.open()
      #expect(try await world.request("POST", "/mcp", first, RemoteWorld.legacy("ping")).status == 404)
      #expect(try await world.request("POST", "/mcp", second, RemoteWorld.legacy("ping")).status == 200)
      let another = try await world.begin("GET", "/mcp", third)
      _ = try await another.head()
      let initialize = RemoteWorld.legacy("initialize", ["protocolVersion": "2025-11-25", "capabilities": [:]])
      let refused = try await world.request("POST", "/mcp", [:], initialize)
      #expect(refused.status == 503 && refused.fields["retry-after"] != nil)
    }
    try RemoteWorld.use({ $0.sessionIdleTime = .milliseconds(50) }) { world async throws in
      let fields = try await world.open()
      for _ in 0..<200 where await world.server.sessionCount > 0 { await world.loop.sleep(for: .milliseconds(5)) }
      #expect(try await world.request("POST", "/mcp", fields, RemoteWorld.legacy("ping")).status == 404)
    }
  }
}
