import ParleyRuntime
import ParleyTestKit
import Testing

/// Conversations, hand-off, receipts and approvals over one SQLite file, by real processes.
@Suite struct ConversationTests {
  private static func configuration(_ handle: String, extra: String = "") -> String {
    """
    backend: sqlite
    identity: { handle: \(handle), may_post_as: [ann] }
    topics: [general, ops]
    tools: [conversations]
    live_push: { enabled: true }
    backend_config: { db_path: parley.db, durability: normal }
    \(extra)

    """
  }

  private static func client(_ place: Workplace, _ handle: String, extra: String = "") async throws -> Client {
    try place.write("\(handle).yaml", configuration(handle, extra: extra))
    let client = try Client(place, config: "\(handle).yaml")
    try await client.initialize()
    return client
  }

  @Test func aDirectMessageIsPushedToARunningSession() throws {
    try Workplace.use { place in
      let bob = try await Self.client(place, "bob")
      // Up and following before the conversation begins.
      _ = await bob.call(1, "parley_conversation", ["action": "list"])
      let ada = try await Self.client(place, "ada")
      let sent = await ada.call(
        1, "parley_conversation", ["action": "send", "with": "bob", "content": "between us"])
      let topic = try #require(sent?["structuredContent"]?["conversation"]?["conversation"]?.string)
      let push = await bob.push()
      #expect(push?["content"]?.string == "between us" && push?["meta"]?["topic"]?.string == topic)
      let answered = await bob.call(2, "parley_reply", ["topic": .string(topic), "content": "heard"])
      #expect(answered?["isError"] == nil)
      #expect(await ada.push()?["content"]?.string == "heard")
      // The command line of a third one sees nothing of it.
      try place.write("carol.yaml", Self.configuration("carol"))
      let list = try await place.run("conversation", "list", "--config", "carol.yaml", "--json")
      #expect(list.status == 0 && list.output.isEmpty)
      let refused = try await place.run("conversation", "history", topic, "--config", "carol.yaml", "--json")
      #expect(refused.status == 1 && refused.errorCode == "conversationUnknown")
    }
  }

  @Test func theCommandLineTalksToo() throws {
    try Workplace.use { place in
      let sent = try await place.run("conversation", "send", "builder", "hello", "there")
      #expect(sent.status == 0 && !sent.output.isEmpty)
      let list = try await place.run("conversation", "list", "--as", "builder", "--json")
      #expect(list.json?["unread"]?.int == 1 && list.json?["members"] == ["ada", "builder"])
      let history = try await place.run("conversation", "history", "ada", "--as", "builder", "--mark-read")
      #expect(history.output.first?.hasSuffix("ada> hello there") == true)
      let again = try await place.run("conversation", "list", "--as", "builder", "--json")
      #expect(again.json?["unread"]?.int == 0)
      let group = try await place.run("conversation", "create", "builder", "carol", "--name", "release", "--json")
      let topic = try #require(group.json?["conversation"]?.string)
      #expect(try await place.run("conversation", "invite", topic, "dora").status == 0)
      #expect(try await place.run("conversation", "leave", topic, "--as", "builder").status == 0)
      let gone = try await place.run("conversation", "send", topic, "x", "--as", "builder", "--json")
      #expect(gone.errorCode == "conversationUnknown")
      let wrong = try await place.run("conversation", "send", "system", "x", "--json")
      #expect(wrong.status == 2 && wrong.errorCode == "invalidRequest")
    }
  }

  @Test func aPostWaitsUntilItIsSeenAndActedOn() throws {
    try Workplace.use { place in
      let waiting = try place.start(["post", "general", "look", "--to", "builder", "--wait-for", "seen", "--json"])
      waiting.closeInput()
      let stored = await waiting.nextLine(until: place.soon)
      let id = try #require(stored.flatMap { try? JSONValue(parsing: $0) }?["backendMsgId"]?.string)
      _ = try await place.run("fetch", "general", "--as", "builder", "--mark-read")
      #expect(await waiting.waitForExit(until: place.soon) == .status(0))
      #expect(waiting.outputLines.last == #"{"receipt":"seen"}"#)
      let late = try await place.run(
        "post", "general", "again", "--to", "builder", "--wait-for", "acted", "--timeout", "0.3", "--json")
      #expect(late.status == 4 && late.errorCode == "timedOut")
      let acting = try place.start(["post", "general", "and this", "--wait-for", "acted", "--json"])
      acting.closeInput()
      let posted = await acting.nextLine(until: place.soon)
      let other = try #require(posted.flatMap { try? JSONValue(parsing: $0) }?["backendMsgId"]?.string)
      _ = try await place.run("post", "general", "no answer", "--as", "builder", "--reply-to", id)
      _ = try await place.run("post", "general", "done", "--as", "builder", "--reply-to", other)
      #expect(await acting.waitForExit(until: place.soon) == .status(0))
      #expect(try await place.run("post", "general", "x", "--wait-for", "seen").status == 2)
      #expect(try await place.run("post", "general", "x", "--wait-for", "nonsense").status == 2)
    }
  }

  @Test func aSummaryIsFoundByTheNext() throws {
    try Workplace.use { place in
      #expect(try await place.run("handoff", "general", "half done,", "see branch", "--write").status == 0)
      #expect(
        try await place.run("handoff", "general", "--write", "--scope", "carol", input: "for carol\n").status == 0)
      let found = try await place.run("handoff", "--as", "builder", "--json")
      #expect(found.json?["summary"]?["text"]?.string == "half done, see branch")
      let bob = try await Self.client(place, "bob")
      let oriented = await bob.call(1, "parley_handoff", ["topic": "general"])
      #expect(oriented?["structuredContent"]?["summary"]?["text"]?.string == "half done, see branch")
      #expect(try await place.run("handoff", "general", "x").status == 2)
      #expect(try await place.run("handoff", "secret", "--json").errorCode == "topicNotAllowed")
    }
  }

  private static let approvals = "approvals: { topic: ops, approvers: [ann], secret_file: approvals.key }"

  private static func permission(_ code: String) -> String {
    #"{"jsonrpc":"2.0","method":"notifications/claude/channel/permission_request","params":{"request_id":"\#(code)","#
      + #""tool_name":"Bash","description":"Delete the build","input_preview":"rm -rf build"}}"#
  }

  /// Looks until a request is there, which the session posts by itself.
  private static func untilAsked(_ place: Workplace) async throws {
    for _ in 0..<100 {
      let open = try await place.run("approve", "--config", "coder.yaml", "--as", "ann")
      if !open.output.isEmpty { return }
    }
    Issue.record("nothing was asked")
  }

  /// The next verdict that the client is told.
  private static func verdict(_ client: Client) async -> JSONValue? {
    while let message = await client.next() {
      if message["method"]?.string == "notifications/claude/channel/permission" { return message["params"] }
    }
    return nil
  }

  @Test func leaveIsGivenFromTheCommandLine() throws {
    try Workplace.use { place in
      try place.write("approvals.key", "0123456789abcdef0123456789abcdef\n")
      try place.write("coder.yaml", Self.configuration("coder", extra: Self.approvals))
      let coder = try Client(place, config: "coder.yaml")
      coder.send(
        #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#
      )
      let experimental = await coder.answer(0)?["result"]?["capabilities"]?["experimental"]
      #expect(experimental?["claude/channel/permission"] == [:])
      coder.send(#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
      _ = await coder.call(1, "parley_status", [:])
      coder.send(Self.permission("abcde"))
      // A plain word, also of an approver, is no verdict here.
      try await Self.untilAsked(place)
      _ = try await place.run("post", "ops", "yes abcde", "--config", "coder.yaml", "--as", "ann")
      let asked = try await place.run("approve", "--config", "coder.yaml", "--as", "ann")
      #expect(asked.output.joined(separator: "\n").contains("rm -rf build"))
      let own = try await place.run("approve", "abcde", "--config", "coder.yaml", "--json")
      #expect(own.status == 1 && own.errorCode == "notApprover")
      let given = try await place.run("approve", "abcde", "--config", "coder.yaml", "--as", "ann")
      #expect(given.status == 0 && given.output == ["abcde allowed"])
      #expect(await Self.verdict(coder) == ["request_id": "abcde", "behavior": "allow"])
      let twice = try await place.run("approve", "abcde", "--deny", "--config", "coder.yaml", "--as", "ann", "--json")
      #expect(twice.errorCode == "approvalUnknown")
      coder.send(Self.permission("fghij"))
      try await Self.untilAsked(place)
      _ = try await place.run("approve", "fghij", "--deny", "--config", "coder.yaml", "--as", "ann")
      #expect(await Self.verdict(coder) == ["request_id": "fghij", "behavior": "deny"])
    }
  }

  @Test func withoutASecretNobodyIsAsked() throws {
    try Workplace.use { place in
      try place.write(
        "coder.yaml", Self.configuration("coder", extra: "approvals: { topic: ops, approvers: [ann] }"))
      let coder = try Client(place, config: "coder.yaml")
      coder.send(
        #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#
      )
      let experimental = await coder.answer(0)?["result"]?["capabilities"]?["experimental"]
      #expect(experimental?["claude/channel"] == [:] && experimental?["claude/channel/permission"] == nil)
    }
  }
}
