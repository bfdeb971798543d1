import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// The other program's documented commands, sent by an administrator's connection, against ours; both read each other.
@Suite struct InteropTests {
  @Test func itsPostsAreReadAndPushed() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let recorder = DeliveryRecorder(loop: place.loop)
      // It stands at "0-0" on an empty topic, and at a bare id elsewhere.
      _ = try await backend.subscribe(Topic("ctx a/b"), after: Cursor("0-0"), sink: recorder.sink)
      let id = try await place.server.command(
        "XADD", "parley:ctx a/b", "*", "sender", "alice", "content", "hi @bob", "ts", "2026-11-21T10:00:00.123Z",
        "in_reply_to", "1-1"
      ).text
      let page = try await backend.fetch(.after(Cursor("0-0")), of: Topic("ctx a/b"))
      #expect(page.gap == nil)
      let message = try #require(page.messages.first)
      #expect(message.id.text == id)
      #expect(message.sender == Handle("alice"))
      #expect(message.content == "hi @bob")
      #expect(message.timestamp == "2026-11-21T10:00:00.123Z")
      #expect(message.inReplyTo == MessageID("1-1"))
      #expect(message.mentions == [Handle("bob")])
      #expect(message.instance == nil)
      #expect(await recorder.wait(until: place.soon) { $0.messages.count == 1 })
      #expect(recorder.messages == page.messages)
    }
  }

  @Test func oursAreReadByItsCommands() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      var draft = draft("one")
      draft.to = Handle("bob")
      draft.attributes = ["kind": "note"]
      let receipt = try await backend.post(draft)
      // XREAD as it subscribes, XREVRANGE as it reads a window.
      let read = try await place.server.command("XREAD", "COUNT", "256", "STREAMS", "parley:general", "0")
      let entry = read.list?.first?.list?.last?.list?.first?.list
      #expect(entry?.first?.text == receipt.id.text)
      let fields = entry?.last?.list?.compactMap(\.text) ?? []
      #expect(fields.prefix(5) == ["sender", "ada", "content", "one", "ts"])
      #expect(fields[6...7] == ["in_reply_to", ""])
      let window = try await place.server.command("XREVRANGE", "parley:general", "+", "-", "COUNT", "100")
      #expect(window.list?.count == 1)
      let info = try await place.server.command("XINFO", "STREAM", "parley:general")
      #expect(info.list?.contains(.text(receipt.id.text)) == true)
    }
  }

  @Test func fieldsThatAreMissingOrStrangeDoNotHurt() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      try await place.server.command("XADD", "parley:general", "*", "what", "ever")
      try await place.server.command("XADD", "parley:general", "*", "content", "no sender", "content", "twice")
      let found = try await backend.fetch().messages
      #expect(found.map(\.content) == ["", "twice"])
      #expect(found.allSatisfy { $0.sender.name.isEmpty && $0.timestamp.hasSuffix("Z") })
    }
  }

  @Test func aKeyThatHoldsSomethingElseIsTold() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      try await place.server.command("SET", "parley:general", "a string")
      #expect(await failure { try await backend.post(draft("x")) }?.code == .corrupt)
      #expect(await failure { try await backend.fetch() }?.code == .corrupt)
    }
  }
}
