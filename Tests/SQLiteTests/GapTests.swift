import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleySQLite

/// Loss is told (S4), whoever caused it.
struct GapTests {
  @Test func deletionAfterACursorIsTold() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      var cursors: [Cursor] = []
      for number in 1...6 { cursors.append(try await backend.post(draft("m\(number)")).cursor) }
      try await backend.post(draft("elsewhere", topic: Topic("other")))
      let other = try OtherProgram(folder.database)
      try other.run("DELETE FROM messages WHERE id <= 3")
      let lost = try await backend.fetch(FetchRequest(general, .after(cursors[0])))
      #expect(lost.gap?.isCertain == true)
      #expect(lost.gap?.from == cursors[0])
      #expect(lost.gap?.to == cursors[2])
      #expect(lost.messages.map(\.content) == ["m4", "m5", "m6"])
      // Whoever had read the deleted ones lost nothing, and neither did readers of other topics.
      #expect(try await backend.fetch(FetchRequest(general, .after(cursors[2]))).gap == nil)
      #expect(try await backend.fetch(FetchRequest(Topic("other"), .after(cursors[0]))).gap == nil)
      let inbox = Inbox()
      _ = try await backend.subscribe(general, after: cursors[1]) { inbox.take($0) }
      #expect(await inbox.nextGap()?.isCertain == true)
      for number in 4...6 { #expect(await inbox.nextMessage()?.content == "m\(number)") }
      try other.run("DELETE FROM messages")
      let empty = try await backend.fetch(FetchRequest(general, .after(cursors[4])))
      #expect(empty.gap?.isCertain == true)
      #expect(empty.messages.isEmpty)
      #expect(try await backend.fetch(FetchRequest(general, .after(empty.next))).gap == nil)
      #expect(try await backend.fetch(FetchRequest(general)).gap == nil)
    }
  }

  @Test func deletionUnderASubscriptionIsToldInItsPlace() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      let start = try await backend.fetch(FetchRequest(general)).next
      let inbox = Inbox()
      let quiet = Inbox()
      _ = try await backend.subscribe(general, after: start) { inbox.take($0) }
      _ = try await backend.subscribe(Topic("quiet"), after: start) { quiet.take($0) }
      try await backend.post(draft("m1"))
      #expect(await inbox.nextMessage()?.content == "m1")
      // In one transaction, so that the reader can see none of what is lost.
      let other = try OtherProgram(folder.database)
      try other.run("BEGIN IMMEDIATE")
      for number in 2...5 { try other.postAsTypeScript("m\(number)") }
      try other.run("DELETE FROM messages WHERE content IN ('m3', 'm4'); COMMIT")
      try await backend.post(draft("m6"))
      #expect(await inbox.nextMessage()?.content == "m2")
      let gap = try #require(await inbox.nextGap())
      #expect(gap.isCertain)
      #expect(await inbox.nextMessage()?.content == "m5")
      #expect(await inbox.nextMessage()?.content == "m6")
      // The newest ones: nothing follows that would show the hole.
      try other.run("BEGIN IMMEDIATE")
      try other.postAsTypeScript("m7")
      try other.run("DELETE FROM messages WHERE content = 'm7'; COMMIT")
      try await backend.post(draft("wake", topic: Topic("quiet")))
      #expect(await inbox.nextGap()?.isCertain == true)
      #expect(await quiet.nextMessage()?.content == "wake")
      #expect(quiet.deliveries.count == 1)
    }
  }

  @Test func deletionOfWhatWasDeliveredIsNoGap() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let inbox = Inbox()
      _ = try await backends[0].subscribe(general, after: Cursor("0")) { inbox.take($0) }
      for number in 1...3 {
        try await backends[0].post(draft("m\(number)"))
        #expect(await inbox.nextMessage()?.content == "m\(number)")
      }
      try OtherProgram(folder.database).run("DELETE FROM messages")
      try await backends[0].post(draft("m4"))
      #expect(await inbox.nextMessage()?.content == "m4")
    }
  }

  @Test func otherFilesAndEarlierStates() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      let receipt = try await backend.post(draft("m1"))
      for place in [Cursor("sqlite.00000000.1"), Cursor("99"), Cursor(receipt.cursor.text + "9")] {
        let page = try await backend.fetch(FetchRequest(general, .after(place)))
        #expect(page.gap?.isCertain == false)
        #expect(page.messages.map(\.content) == ["m1"])
        let inbox = Inbox()
        _ = try await backend.subscribe(general, after: place) { inbox.take($0) }
        #expect(await inbox.nextGap()?.from == place)
        #expect(await inbox.nextMessage()?.content == "m1")
      }
      for bad in [
        "", "x", "1.5", "-1", "redis.1.2-3", "sqlite.\(receipt.cursor.text)", "sqlite.abc.", "99999999999999999999",
      ] {
        for position in [Position.after(Cursor(bad)), .before(Cursor(bad))] {
          let error = await failure { try await backend.fetch(FetchRequest(general, position)) }
          #expect(error?.code == .cursorInvalid, "\(bad)")
        }
        let error = await failure { try await backend.subscribe(general, after: Cursor(bad)) { _ in .more } }
        #expect(error?.code == .cursorInvalid, "\(bad)")
      }
    }
  }

  @Test func whatWasPrunedBeforeTheUpgradeCannotBeRuledOut() throws {
    let folder = try TestFolder()
    let other = try OtherProgram(folder.database)
    try other.openAsTypeScript()
    for number in 1...5 { try other.postAsTypeScript("m\(number)") }
    try other.run("DELETE FROM messages WHERE id < 4")
    try withBackends(folder.options) { loop, backends in
      let page = try await backends[0].fetch(FetchRequest(general, .after(Cursor("2"))))
      #expect(page.gap?.isCertain == false)
      #expect(page.messages.map(\.content) == ["m4", "m5"])
      #expect(try await backends[0].fetch(FetchRequest(general, .after(Cursor("3")))).gap == nil)
    }
  }

  @Test func retentionDeletesTheOldAndKeepsIds() throws {
    let folder = try TestFolder()
    let other = try OtherProgram(folder.database)
    try other.openAsTypeScript()
    for number in 1...1200 { try other.postAsTypeScript("old\(number)", topic: number % 3 == 0 ? "@coder" : "general") }
    try other.run("UPDATE messages SET ts = '2020-01-01T00:00:00.000Z'")
    var options = folder.options
    options.retentionDays = 7
    try withBackends(options) { loop, backends in
      // A post waits behind the chunks that are under way, so once one has been let in after the last there are none.
      while try other.text("SELECT count(*) FROM messages") != "400" {
        try await backends[0].post(draft("new", key: .chosen("k")));
        try other.run("DELETE FROM messages WHERE content = 'new'")
      }
      #expect(try other.text("SELECT count(*) FROM messages WHERE topic = '@coder'") == "400")
      let id = try await backends[0].post(draft("last")).id.text
      #expect(try #require(Int(id)) > 1200)
      #expect(try await backends[0].fetch(FetchRequest(general, .after(Cursor("5")))).gap?.isCertain == true)
    }
  }
}
