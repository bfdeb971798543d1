import Glibc
import ParleyRuntime
import Testing

@testable import ParleySQLite

/// One file shared with the TypeScript Parley.
struct InteropTests {
  @Test func upgradesTheOthersFile() throws {
    let folder = try TestFolder()
    let other = try OtherProgram(folder.database)
    try other.openAsTypeScript()
    try other.postAsTypeScript("one")
    try other.postAsTypeScript("two", ts: "2026-07-12T18:03:12.000Z", inReplyTo: "1")
    try withBackends(folder.options) { loop, backends in
      let page = try await backends[0].fetch(FetchRequest(general, .after(Cursor("0"))))
      #expect(page.messages.map(\.content) == ["one", "two"])
      #expect(page.messages[0].storedAt == 1_783_879_391_204)
      #expect(page.messages[0].timestamp == "2026-07-12T18:03:11.204Z")
      #expect(page.messages[0].sender == Handle("ts"))
      #expect(page.messages[0].provenance == .claimed)
      #expect(page.messages[1].inReplyTo == MessageID("1"))
      #expect(page.gap == nil)
      let receipt = try await backends[0].post(draft("three"))
      #expect(receipt.id == MessageID("3"))
      #expect(try #require(receipt.storedAt) >= 1_783_879_391_204)
    }
    #expect(
      try other.text("SELECT group_concat(content, ',') FROM messages WHERE topic = 'general'") == "one,two,three")
    #expect(try other.text("SELECT ts FROM messages WHERE id = 3")?.count == 24)
    #expect(try other.text("SELECT sender FROM messages WHERE id = 3") == "coder")
    #expect(try other.text("PRAGMA user_version") == "0")
  }

  @Test func hearsTheOthersPostsByPolling() throws {
    let folder = try TestFolder()
    var options = folder.options
    options.pollInterval = .milliseconds(20)
    try withBackends(options) { loop, backends in
      let other = try OtherProgram(folder.database)
      try other.openAsTypeScript()
      let inbox = Inbox()
      _ = try await backends[0].subscribe(general, after: Cursor("0")) { inbox.take($0) }
      try await backends[0].post(draft("ours"))
      #expect(await inbox.nextMessage()?.content == "ours")
      try other.postAsTypeScript("theirs")
      let message = try #require(await inbox.nextMessage())
      #expect(message.content == "theirs")
      // The trigger in the file gives their rows a place in the store's time, whatever their clock says.
      let stored = try #require(await backends[0].post(draft("later")).storedAt)
      #expect(message.storedAt > 1_783_879_391_204)
      #expect(message.storedAt <= stored)
      #expect(try await backends[0].fetch(FetchRequest(general)).messages[1] == message)
    }
  }

  @Test func rowsNeverGoBackInStoredTime() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      try await backends[0].post(draft("first"))
      let other = try OtherProgram(folder.database)
      try other.run("UPDATE messages SET stored_at = 4000000000000")
      try other.postAsTypeScript("theirs")
      let receipt = try await backends[0].post(draft("ours"))
      #expect(receipt.storedAt == 4_000_000_000_000)
      let page = try await backends[0].fetch(FetchRequest(general))
      #expect(page.messages.map(\.storedAt) == [4_000_000_000_000, 4_000_000_000_000, 4_000_000_000_000])
    }
  }

  @Test func filesAreTheirOwnersAlone() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      try await backends[0].post(draft("first"))
      for suffix in ["", "-wal", "-shm", "-notify"] {
        var status = stat()
        #expect(stat(folder.database + suffix, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600, "\(suffix)")
      }
    }
  }

  @Test func foreignAttributesAreTolerated() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      for text in ["null", "[1]", "{\"a\":1}", "{\"a\":\"b\"", "{\"a\":\"b\"} x", "{", "\"", ""] {
        #expect(Attributes(json: text).isEmpty, "\(text)")
      }
      #expect(
        Attributes(json: " { \"a\\u00e9\\ud83d\\ude80\" : \"\\/\\n\" , \"b\":\"\" } ") == ["aé🚀": "/\n", "b": ""])
      let receipt = try await backends[0].post(draft("x"))
      let other = try OtherProgram(folder.database)
      try other.run("UPDATE messages SET attributes = '{broken'")
      let message = try await backends[0].fetch(FetchRequest(general)).messages.first
      #expect(message?.id == receipt.id)
      #expect(message?.attributes == [:])
    }
  }

  @Test func timestampsRoundTrip() {
    for milliseconds: Int64 in [0, 1, 951_782_400_000, 1_709_164_800_123, 4_102_444_799_999, -1] {
      #expect(Timestamp.milliseconds(Timestamp.text(milliseconds)) == milliseconds)
    }
    #expect(Timestamp.text(1_783_879_391_204) == "2026-07-12T18:03:11.204Z")
    #expect(Timestamp.milliseconds("2026-07-12T18:03:11Z") == 1_783_879_391_000)
    #expect(Timestamp.milliseconds("2026-07-12T18:03:11.2Z") == 1_783_879_391_200)
    for bad in [
      "", "2026-07-12", "2026-07-12T18:03:11.204", "2026-13-12T18:03:11Z", "2026-07-12T18:03:11.Z",
      "xxxx-07-12T18:03:11Z",
    ] {
      #expect(Timestamp.milliseconds(bad) == nil, "\(bad)")
    }
  }
}
