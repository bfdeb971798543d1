import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleySQLite

/// Many posts, large pages, paused sinks.
struct LoadTests {
  @Test func theLogOfWritesStaysBoundedUnderContinuousLoad() throws {
    let folder = try TestFolder()
    var options = folder.options
    options.durability = .normal
    try withBackends(options) { loop, backends in
      let backend = backends[0]
      let content = String(repeating: "x", count: 10_000)
      // Five writers without a pause, 50 MB together; each returns its failures and the longest WAL that it saw.
      let writers = (0..<5).map { _ in
        loop.spawn { () -> (Int, Int64) in
          var failures = 0
          var largest: Int64 = 0
          for _ in 0..<1000 {
            if await failure(of: { try await backend.post(draft(content)) }) != nil { failures += 1 }
            var status = stat()
            if stat(folder.database + "-wal", &status) == 0 { largest = max(largest, Int64(status.st_size)) }
          }
          return (failures, largest)
        }
      }
      var largest: Int64 = 0
      for writer in writers {
        let (failures, seen) = await writer.value
        #expect(failures == 0)
        largest = max(largest, seen)
      }
      #expect(largest > 0)
      #expect(largest < 32 << 20, "\(largest) bytes")
    }
  }

  @Test func aPageEndsAtOneMebibyte() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      for number in 0..<6 { try await backend.post(draft("\(number)" + String(repeating: "x", count: 262_000))) }
      try await backend.post(draft("6" + String(repeating: "x", count: 3 << 20)))
      var cursor = Cursor("0")
      var pages: [[String]] = []
      while true {
        let page = try await backend.fetch(FetchRequest(general, .after(cursor), limit: 1000))
        pages.append(page.messages.map { String($0.content.prefix(1)) })
        cursor = page.next
        if !page.hasMore { break }
      }
      #expect(pages == [["0", "1", "2", "3"], ["4", "5"], ["6"]])
      let newest = try await backend.fetch(FetchRequest(general, .latest, limit: 1000))
      #expect(newest.messages.map { $0.content.prefix(1) } == ["6"])
      var back: [String] = []
      var place = newest.previous
      while let before = place {
        let page = try await backend.fetch(FetchRequest(general, .before(before), limit: 2))
        back.insert(contentsOf: page.messages.map { String($0.content.prefix(1)) }, at: 0)
        place = page.previous
      }
      #expect(back == ["0", "1", "2", "3", "4", "5"])
      // A subscription gets all of them all the same.
      let inbox = Inbox()
      _ = try await backend.subscribe(general, after: Cursor("0")) { inbox.take($0) }
      for number in 0...6 { #expect(await inbox.nextMessage()?.content.prefix(1) == "\(number)") }
    }
  }

  @Test func aPausedSubscriptionKeepsItsPlace() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      let slow = Inbox()
      let fast = Inbox()
      slow.demand = { _ in .pause }
      let id = try await backend.subscribe(general, after: Cursor("0")) { slow.take($0) }
      _ = try await backend.subscribe(general, after: Cursor("0")) { fast.take($0) }
      for number in 0..<700 { try await backend.post(draft("m\(number)")) }
      for number in 0..<700 { #expect(await fast.nextMessage()?.content == "m\(number)") }
      #expect(slow.deliveries.count == 1)
      #expect(await slow.nextMessage()?.content == "m0")
      await backend.resume(id)
      #expect(await slow.nextMessage()?.content == "m1")
      #expect(slow.deliveries.count == 2)
      slow.demand = { _ in .more }
      await backend.resume(id)
      for number in 2..<700 { #expect(await slow.nextMessage()?.content == "m\(number)") }
      try await backend.post(draft("last"))
      #expect(await slow.nextMessage()?.content == "last")
      await backend.unsubscribe(id)
      try await backend.post(draft("unheard"))
      _ = await fast.nextMessage()
      #expect(await fast.nextMessage()?.content == "unheard")
      #expect(slow.deliveries.count == 701)
    }
  }

  @Test func writersOfSeveralBackendsKeepOneOrder() throws {
    let folder = try TestFolder()
    try withBackends(folder.options, count: 4) { loop, backends in
      let inboxes = backends.map { _ in Inbox() }
      for (backend, inbox) in zip(backends, inboxes) {
        _ = try await backend.subscribe(general, after: Cursor("0")) { inbox.take($0) }
      }
      let writers = backends.enumerated().map { index, backend in
        loop.spawn {
          for number in 0..<100 { _ = await failure { try await backend.post(draft("\(index)/\(number)")) } }
        }
      }
      for writer in writers { await writer.value }
      let log = try await backends[0].fetch(FetchRequest(general, .after(Cursor("0")), limit: 1000)).messages
      #expect(log.count == 400)
      for inbox in inboxes {
        var seen: [Message?] = []
        while seen.count < 400 { seen.append(await inbox.nextMessage()) }
        #expect(seen == log)
      }
      for index in 0..<4 {
        #expect(log.map(\.content).filter { $0.hasPrefix("\(index)/") } == (0..<100).map { "\(index)/\($0)" })
      }
    }
  }

  @Test func aQueueWithoutEndIsRefused() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      let other = open(folder.database + "-notify", O_RDWR)
      flock(other, LOCK_EX)
      let posts = (0..<SQLiteBackend.queueLimit + 3000).map { number in
        loop.spawn { await failure { try await backend.post(draft("m\(number)"), deadline: backend.soon(60)) } }
      }
      let last = await posts[posts.count - 1].value
      #expect(last?.code == .unavailable)
      flock(other, LOCK_UN)
      close(other)
      var refused = 0
      for post in posts where await post.value != nil { refused += 1 }
      var stored = 0
      var cursor = Cursor("0")
      while true {
        let page = try await backend.fetch(FetchRequest(general, .after(cursor), limit: 1000))
        stored += page.messages.count
        cursor = page.next
        if !page.hasMore { break }
      }
      #expect(stored + refused == posts.count)
      #expect(refused > 0)
    }
  }
}
