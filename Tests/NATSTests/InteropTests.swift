import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyNATS

/// Together with the TypeScript Parley, played by its documented bytes.
@Suite(.serialized) struct InteropTests {
  private func withStore(_ body: @escaping @Sendable (TestStore, EventLoop, [NATSBackend]) async throws -> Void)
    async throws
  {
    let store = try await TestStore()
    try await withBackends(store.options, count: 2) { try await body(store, $0, $1) }
    await store.end()
  }

  /// What it does for a topic on first use, and when it posts.
  private static func postAsTypeScript(_ content: String, _ topic: Topic, to store: TestStore) async throws {
    let names = store.names(topic)
    let config = "{\"name\":\"\(names.stream)\",\"subjects\":[\"\(names.subject)\"]}"
    _ = try await store.admin.request("$JS.API.STREAM.CREATE.\(names.stream)", config)
    try await store.admin.ask(
      names.subject,
      "{\"sender\":\"ts\",\"content\":\"\(content)\",\"ts\":\"2026-07-12T18:03:11.204Z\",\"in_reply_to\":\"\"}")
  }

  @Test func readsWhatTheOtherWrote() async throws {
    try await withStore { store, loop, backends in
      let topic = Topic("a.b/c")
      try await Self.postAsTypeScript("one", topic, to: store)
      try await Self.postAsTypeScript("hi @bob", topic, to: store)
      let page = try await backends[0].fetch(FetchRequest(topic))
      #expect(page.messages.map(\.content) == ["one", "hi @bob"])
      #expect(page.messages[1].sender == Handle("ts") && page.messages[1].mentions == [Handle("bob")])
      #expect(page.messages[1].timestamp == "2026-07-12T18:03:11.204Z")
      #expect(page.messages[1].id == MessageID("2") && page.messages[1].instance == nil)
      // Its cursors are bare numbers.
      let rest = try await backends[0].fetch(FetchRequest(topic, .after(Cursor("1"))))
      #expect(rest.messages.map(\.content) == ["hi @bob"] && rest.gap == nil)
      #expect(try await backends[0].fetch(FetchRequest(topic, .after(Cursor("0")))).messages.count == 2)
      // And live, on a stream whose settings are the other's.
      let recorder = DeliveryRecorder(loop: loop)
      _ = try await backends[0].subscribe(topic, after: Cursor("2"), sink: recorder.sink)
      try await Self.postAsTypeScript("three", topic, to: store)
      #expect(await recorder.wait(until: backends[0].soon()) { $0.messages.count == 1 })
      let found = try await backends[1].fetch(FetchRequest(topic, .after(page.next)))
      #expect(recorder.messages == found.messages)
    }
  }

  @Test func writesWhatTheOtherReads() async throws {
    try await withStore { store, _, backends in
      let first = try await backends[0].post(draft("eins"))
      var answer = draft("zwei\n\"ü\"", by: "bob")
      answer.inReplyTo = first.id
      answer.to = Handle("coder")
      answer.attributes = ["kind": "note"]
      try await backends[0].post(answer)
      let reply = try await store.admin.ask("$JS.API.STREAM.MSG.GET.PARLEY_general", "{\"seq\":2}")
      let message = reply.object?["message"]?.object
      #expect(message?["subject"]?.string == "parley.general")
      let payload = try JSONSlice(try #require(Base64.decode(message?["data"]?.string ?? "")))
      #expect(payload.members.map(\.name) == ["sender", "content", "ts", "in_reply_to"])
      #expect(payload.member("sender")?.string == "bob" && payload.member("content")?.string == "zwei\n\"ü\"")
      #expect(payload.member("in_reply_to")?.string == "1")
      let headers = String(
        decoding: try #require(Base64.decode(message?["hdrs"]?.string ?? "")), as: UTF8.self)
      #expect(headers.contains("Nats-Msg-Id: bob/bob/k-"))
      #expect(headers.contains("Parley-To: coder\r\n") && headers.contains("Parley-Instance: bob-1\r\n"))
      #expect(headers.contains("Parley-Attributes: {\"kind\":\"note\"}\r\n"))
      let config = try await store.admin.ask("$JS.API.STREAM.INFO.PARLEY_general").object?["config"]?.object
      #expect(config?["retention"]?.string == "limits" && config?["storage"]?.string == "file")
    }
  }

  @Test func shownAsTextWhereAnotherProgramPublishesText() async throws {
    try await withStore { store, _, backends in
      try await backends[0].post(draft("first"))
      try await store.admin.ask("parley.general", "plain text")
      try await store.admin.ask("parley.general", "[1]")
      try await store.admin.ask("parley.general", "{\"sender\":7}")
      let messages = try await backends[0].fetch(FetchRequest(general)).messages
      #expect(messages.map(\.content) == ["first", "plain text", "[1]", ""])
      #expect(messages[1].sender == Handle(""))
    }
  }

  @Test func readingMakesNoStream() async throws {
    try await withStore { store, _, backends in
      let page = try await backends[0].fetch(FetchRequest(general))
      _ = try await backends[0].subscribe(general, after: page.next) { _ in .more }
      let streams = try await store.admin.ask("$JS.API.STREAM.NAMES")
      #expect(streams.object?["total"] == .int(0))
    }
  }

  @Test("a page of a stream without direct gets needs no consumer, and does not wait for what has expired")
  func pagesWithoutConsumers() async throws {
    try await withStore { store, loop, backends in
      for number in 0..<30 { try await Self.postAsTypeScript("\(number)", general, to: store) }
      try await store.trim(general, keep: 10)
      let began = loop.now
      let page = try await backends[0].fetch(FetchRequest(general, .after(Cursor("5"))))
      #expect(began.duration(to: loop.now) < .milliseconds(1500))
      #expect(page.messages.map(\.content) == (20..<30).map(String.init))
      #expect(page.gap?.isCertain == true && page.gap?.from == Cursor("5"))
      #expect(try await store.consumers(general).isEmpty)
    }
  }

  @Test("a chosen key is one message on a stream that remembers keys for two minutes only")
  func keysBeyondTheWindow() async throws {
    try await withStore { store, _, backends in
      let names = store.names(general)
      try await store.admin.ask(
        "$JS.API.STREAM.CREATE.\(names.stream)",
        "{\"name\":\"\(names.stream)\",\"subjects\":[\"\(names.subject)\"],\"duplicate_window\":100000000}")
      let once = draft("once", key: .chosen("build-7"))
      let first = try await backends[0].post(once)
      for number in 0..<20 { try await backends[0].post(draft("\(number)")) }
      // Past the window of 100 ms that the stream has.
      let loop = backends[0].loop
      await loop.sleep(for: .milliseconds(400))
      let again = try await backends[1].post(once)
      #expect(again.id == first.id && again.isDuplicate)
      var other = once
      other.content = "other"
      #expect(await failure { try await backends[1].post(other) }?.code == .keyReused)
      #expect(try await backends[0].fetch(FetchRequest(general)).messages.count == 21)
    }
  }

  @Test("a copy that the server let through is one message to readers, live and by page")
  func copiesOutsideTheWindow() async throws {
    try await withStore { store, loop, backends in
      let names = store.names(general)
      try await store.admin.ask(
        "$JS.API.STREAM.CREATE.\(names.stream)",
        "{\"name\":\"\(names.stream)\",\"subjects\":[\"\(names.subject)\"],\"duplicate_window\":100000000}")
      let recorder = DeliveryRecorder(loop: loop)
      _ = try await backends[1].subscribe(general, after: Cursor("0"), sink: recorder.sink)
      let payload = "{\"sender\":\"a\",\"content\":\"twice\",\"ts\":\"\",\"in_reply_to\":\"\"}"
      for _ in 0..<2 {
        _ = try await store.admin.request(names.subject, payload, headers: ["Nats-Msg-Id: a/a/k"])
        await loop.sleep(for: .milliseconds(400))
      }
      try await backends[0].post(draft("end"))
      #expect(await recorder.wait(until: backends[0].soon()) { $0.messages.last?.content == "end" })
      #expect(recorder.messages.map(\.content) == ["twice", "end"] && recorder.gaps.isEmpty)
      for backend in backends {
        let page = try await backend.fetch(FetchRequest(general, .after(Cursor("0"))))
        #expect(page.messages == recorder.messages)
        #expect(try await backend.fetch(FetchRequest(general)).messages == recorder.messages)
      }
    }
  }
}
