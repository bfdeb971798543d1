import ParleyConformance
import ParleyCoordination
import ParleyRuntime
import Testing

@testable import ParleyRemote

/// What the console shows, and what the owner does by it.
@Suite struct ConsolePageTests {
  private static let attack = "<img src=x onerror=alert(1)>\"'&\u{202e}\u{1b}"
  private static let shown = "&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;⟦U+202E⟧⟦U+001B⟧"

  @Test func textOfOthersIsTextWhereverItStands() throws {
    try ConsoleWorld.use { console async throws in
      let login = try await console.login()
      try await console.world.post(
        Self.attack, by: Self.attack, attributes: ["kind": Self.attack, "source": Self.attack, "severity": Self.attack])
      try await console.world.post(
        Self.attack, on: "approvals", by: Self.attack,
        attributes: ["kind": "approval.request", "code": "abcde", "host": Self.attack, "ttl_ms": "600000"])
      for (path, places) in [("", 1), ("/topic?name=general", 5), ("/approvals", 2)] {
        let page = try await console.get("/console" + path, login)
        #expect(page.status == 200 && !page.text.contains("<img"), "\(path)")
        #expect(page.text.split(separator: Self.shown).count > places, "\(path): \(page.text)")
      }
      let refused = try await console.send("/console/post", [("topic", Self.attack), ("text", "x")], login)
      #expect(refused.status == 403 && !refused.text.contains("<img"))
      let empty = try await console.send(
        "/console/task", [("topic", "general"), ("do", "claim"), ("task", "\"><img>")], login)
      #expect(empty.status == 400 && !empty.text.contains("<img"))
    }
  }

  @Test func whatIsPostedGoesThroughTheHub() throws {
    try ConsoleWorld.use { console async throws in
      let login = try await console.login()
      func post(_ form: [(String, String)]) async throws -> WebResponse {
        try await console.send("/console/post", form, login)
      }
      let first = try await console.world.post("a question")
      let sent = try await post([
        ("topic", "general"), ("text", "two\r\nlines"), ("reply", first.text), ("key", "once"),
      ])
      #expect(sent.status == 303 && sent.fields["location"] == "/console/topic?name=general")
      // Sent twice, as by an impatient click, it is one message.
      _ = try await post([("topic", "general"), ("text", "two\r\nlines"), ("reply", first.text), ("key", "once")])
      let stored = try await console.world.messages()
      #expect(stored.count == 2)
      let own = try #require(stored.last)
      #expect(own.content == "two\nlines" && own.sender == Handle("ann") && own.inReplyTo == first)
      // A person ends a row of messages that answer each other.
      #expect(own.attributes["parley.hop"] == "0")
      for topic in ["elsewhere", "@ann", "~conversation", "parley-presence", "approvals"] {
        #expect(try await post([("topic", topic), ("text", "x")]).status == 403, "\(topic)")
        #expect(try await console.get("/console/topic?name=\(FormFields.encode(topic))", login).status == 403)
      }
      let again = try await post([("topic", "general"), ("text", String(repeating: "x", count: (256 << 10) + 1))])
      #expect(again.status == 413 && again.text.contains("role=\"alert\""))
      let kept = try await post([("topic", "general"), ("text", "kept"), ("key", String(repeating: "k", count: 256))])
      #expect(kept.status == 413 && kept.text.contains("\nkept</textarea>"))
      #expect(try await console.world.messages().count == 2)
    }
  }

  /// The addresses in a page that have a part.
  private static func links(in page: String, with part: String) -> [String] {
    page.split(separator: "\"").map { String($0).replacing("&amp;", with: "&") }
      .filter { $0.hasPrefix("/console/topic?") && $0.contains(part) }
  }

  @Test func pagesGoBackAndALongMessageIsCut() throws {
    try ConsoleWorld.use { console async throws in
      let login = try await console.login()
      func long(_ name: String) -> String { "\(name) \(String(repeating: "y", count: 10_000)) end of \(name)<" }
      /// Every long message of a page leads to the whole of itself, and to that alone.
      func follow(_ page: String, _ names: [String]) async throws {
        let links = Self.links(in: page, with: "whole=1")
        #expect(links.count == names.count && !page.contains("end of"), "\(links)")
        for (link, name) in zip(links, names) {
          let whole = try await console.get(link, login).text
          #expect(whole.contains("end of \(name)&lt;") && whole.ranges(of: "<li id=\"m-").count == 1, "\(link)")
        }
      }
      try await console.world.post(long("first"))
      try await follow(try await console.get("/console/topic?name=general", login).text, ["first"])
      for number in 1...50 { try await console.world.post(number == 25 ? long("middle") : "message \(number)") }
      try await console.world.post(long("newest"))
      let newest = try await console.get("/console/topic?name=general", login).text
      #expect(newest.contains("message 50<") && newest.contains("message 2<") && !newest.contains("message 1<"))
      try await follow(newest, ["newest", "middle"])
      let older = try #require(Self.links(in: newest, with: "before=").last { !$0.contains("whole") })
      let page = try await console.get(older, login).text
      #expect(page.contains("message 1<") && !page.contains("message 2<"))
      try await follow(page, ["first"])
    }
  }

  @Test func unreadIsCountedUntilItIsMarked() throws {
    try ConsoleWorld.use { console async throws in
      let login = try await console.login()
      let stream = try await console.listen(login)
      try await console.world.post("one")
      _ = try await stream.events(1)
      #expect(try await console.get("/console", login).text.contains("1 unread"))
      let newest = try #require(try await console.world.messages().last)
      let read = try await console.send(
        "/console/read", [("topic", "general"), ("cursor", newest.cursor.text), ("at", String(newest.storedAt))], login)
      #expect(read.status == 303)
      #expect(try await !console.get("/console", login).text.contains("unread"))
    }
  }

  @Test func manyNewsAreToldAsFew() throws {
    try ConsoleWorld.use { console async throws in
      let login = try await console.login()
      let stream = try await console.listen(login)
      for number in 0..<200 { try await console.world.post("message \(number)") }
      let events = try await stream.events(1)
      #expect(events.allSatisfy { $0.data == "changed" })
      await console.world.loop.sleep(for: .milliseconds(120))
      #expect((stream.parsed?.response.events.count ?? 0) < 100)
    }
  }

  @Test func tasksAreClaimedAndFinished() throws {
    try ConsoleWorld.use { console async throws in
      let login = try await console.login()
      func act(_ form: [(String, String)]) async throws -> WebResponse {
        try await console.send("/console/task", [("topic", "general")] + form, login)
      }
      #expect(try await act([("do", "post"), ("title", "build the docs"), ("body", "all\r\nof them")]).status == 303)
      let open = try await console.get("/console/tasks", login).text
      #expect(open.contains("build the docs") && open.contains("value=\"claim\"") && open.contains("value=\"cancel\""))
      let start = try #require(open.firstRange(of: "name=\"task\" value=\"")).upperBound
      let id = String(open[start...].prefix { $0 != "\"" })
      #expect(try await act([("do", "claim"), ("task", id)]).status == 303)
      let held = try await console.get("/console/tasks", login).text
      let mark = try #require(held.firstRange(of: "name=\"fence\" value=\"")).upperBound
      let fence = String(held[mark...].prefix { $0 != "\"" })
      let late = try await act([("do", "done"), ("task", id), ("fence", "another"), ("text", "x")])
      #expect(late.status == 409 && late.text.contains("role=\"alert\""))
      #expect(try await act([("do", "done"), ("task", id), ("fence", fence), ("text", "3 pages")]).status == 303)
      let done = try await console.get("/console/tasks", login).text
      #expect(done.contains("done by") && done.contains("3 pages") && !done.contains("value=\"claim\""))
      #expect(try await act([("do", "explode"), ("task", id)]).status == 400)
    }
  }

  @Test func anAnswerIsForTheRequestThatWasRead() throws {
    try ConsoleWorld.use { console async throws in
      let login = try await console.login()
      func ask() async throws -> MessageID {
        try await console.world.post(
          "leave to delete", on: "approvals", by: "coder",
          attributes: ["kind": "approval.request", "code": "abcde", "ttl_ms": "600000"])
      }
      func answer(_ message: MessageID) async throws -> WebResponse {
        try await console.send(
          "/console/approve", [("code", "abcde"), ("message", message.text), ("verdict", "allow")], login)
      }
      let first = try await ask()
      #expect(try await console.get("/console/approvals", login).text.contains("leave to delete"))
      // The same code asks for something else by now.
      let second = try await ask()
      #expect(try await answer(first).status == 409)
      #expect(try await answer(second).status == 303)
      let verdict = try #require(try await console.world.messages(on: "approvals").last)
      #expect(verdict.kind == "approval.verdict" && verdict.inReplyTo == second && verdict.content == "yes abcde")
      let proof = "parley approval 1\nallow abcde\n9:approvals\(second.text.utf8.count):\(second.text)3:ann"
      #expect(verdict.attributes["mac"] == HMACSHA256.hexadecimal(of: proof, key: "0123456789abcdef"))
      #expect(try await answer(second).status == 409)
    }
    try ConsoleWorld.use({ console, _ in console.approvals?.approvers = [Handle("boss")] }) { console async throws in
      let page = try await console.get("/console/approvals", try await console.login())
      #expect(page.text.contains("You cannot answer here"))
    }
  }

  @Test func aBackendThatIsAwayIsToldAndLosesNothingThatWasTyped() throws {
    try ConsoleWorld.use({ console, _ in console.patience = .milliseconds(200) }) { console async throws in
      let login = try await console.login()
      let stream = try await console.listen(login)
      console.world.store.restart(downtime: .seconds(3))
      _ = try await stream.events(1)
      let overview = try await console.get("/console", login)
      #expect(overview.status == 200 && overview.text.contains("The backend: "), "\(overview.text)")
      #expect(try await console.get("/console/health", login).text.contains("Cause"))
      let refused = try await console.send("/console/post", [("topic", "general"), ("text", "long thoughts")], login)
      #expect(refused.status == 503 && refused.text.contains("\nlong thoughts</textarea>"), "\(refused.text)")
      #expect(refused.text.contains("The messages cannot be read now."))
      try await console.world.post("here again")
      try await stream.wait { (stream.parsed?.response.events.count ?? 0) > 1 }
      #expect(try await console.get("/console/topic?name=general", login).text.contains("here again"))
    }
  }

  @Test func healthIsShownInPictures() throws {
    try ConsoleWorld.use { console async throws in
      let login = try await console.login()
      let page = try await console.get("/console/health", login).text
      #expect(page.contains("<svg") && page.contains("Posts by how long") && page.contains("live, since"))
    }
  }
}
