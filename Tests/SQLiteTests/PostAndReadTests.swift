import ParleyRuntime
import Testing

@testable import ParleySQLite

struct PostAndReadTests {
  @Test func postFetchSubscribe() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      let empty = try await backend.fetch(FetchRequest(general))
      #expect(empty.messages.isEmpty)
      let inbox = Inbox()
      _ = try await backend.subscribe(general, after: empty.next) { inbox.take($0) }
      var first = draft("hello @bob, ünïcode \u{1F680} \"'\\")
      first.inReplyTo = MessageID("x:1")
      first.to = Handle("bob")
      first.attributes = ["kind": "task.post", "a\"b": "line\nbreak \u{1} \u{1F680}"]
      let receipt = try await backend.post(first)
      #expect(receipt.durability == .synced)
      #expect(!receipt.isDuplicate)
      let live = await inbox.nextMessage()
      let page = try await backend.fetch(FetchRequest(general, .after(empty.next)))
      #expect(page.messages == [live])
      let message = try #require(live)
      #expect(message.content == first.content)
      #expect(message.attributes == first.attributes)
      #expect(message.to == first.to)
      #expect(message.inReplyTo == first.inReplyTo)
      #expect(message.instance == "instance-1")
      #expect(message.id == receipt.id)
      #expect(message.cursor == receipt.cursor)
      #expect(message.storedAt == receipt.storedAt)
      #expect(message.mentions == [Handle("bob")])
      #expect(page.next == message.cursor)
      let nothing = try await backend.fetch(FetchRequest(general, .after(page.next)))
      #expect(nothing.next == page.next)
      let bare = try await backend.fetch(FetchRequest(general, .after(Cursor(receipt.id.text))))
      #expect(bare.next == page.next)
    }
  }

  @Test func twoBackendsOnOneFileSeeEachOther() throws {
    let folder = try TestFolder()
    // A poll once an hour: what arrives has come by the sidecar.
    var options = folder.options
    options.pollInterval = .seconds(3600)
    try withBackends(options, count: 2) { loop, backends in
      let inbox = Inbox()
      let start = try await backends[1].fetch(FetchRequest(general)).next
      _ = try await backends[1].subscribe(general, after: start) { inbox.take($0) }
      for number in 0..<20 {
        try await backends[0].post(draft("m\(number)"))
        #expect(await inbox.nextMessage()?.content == "m\(number)")
      }
      #expect(await backends[1].traits.notes == [])
    }
  }
}
