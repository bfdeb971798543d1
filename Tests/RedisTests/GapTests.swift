import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// What is removed, rolled back or made anew behind a reader's back is told.
@Suite struct GapTests {
  @Test func aPlaceOnATopicThatIsEmptyIsSoundUntilSomethingIsRemoved() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let start = try await backend.fetch().next
      for text in ["a", "b", "c"] { try await backend.post(draft(text)) }
      #expect(try await backend.fetch(.after(start)).gap == nil)
      try await place.server.command("XTRIM", "parley:general", "MAXLEN", "0")
      let emptied = try await backend.fetch(.after(start))
      #expect(emptied.gap?.isCertain == true)
      // The end of a stream that was emptied is a place too.
      let end = try await backend.fetch().next
      #expect(end == emptied.next)
      #expect(try await backend.fetch(.after(end)).gap == nil)
      try await backend.post(draft("d"))
      let after = try await backend.fetch(.after(end))
      #expect(after.gap == nil)
      #expect(after.messages.map(\.content) == ["d"])
      try await backend.post(draft("e"))
      try await place.server.command("XTRIM", "parley:general", "MAXLEN", "1")
      let trimmed = try await backend.fetch(.after(end))
      #expect(trimmed.gap?.isCertain == true)
      #expect(trimmed.messages.map(\.content) == ["e"])
    }
  }

  @Test func aTopicThatWasMadeDeletedAndMadeAnewIsToldFromItsStart() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let start = try await backend.fetch().next
      try await backend.post(draft("gone"))
      try await place.server.command("DEL", "parley:general")
      #expect(try await backend.fetch(.after(start)).gap != nil)
      let between = try await backend.fetch().next
      try await backend.post(draft("new"))
      // Its counts alone look whole: only the marker tells.
      let page = try await backend.fetch(.after(start))
      #expect(page.gap != nil)
      #expect(page.messages.map(\.content) == ["new"])
      #expect(try await backend.fetch(.after(between)).gap == nil)
      let gapEnd = try #require(page.gap).to
      #expect(try await backend.fetch(.after(gapEnd)).gap == nil)
    }
  }

  @Test func aStreamThatIsMadeAnewGivesNoIDAgain() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      var seen: Set<MessageID> = []
      // Deleting and posting leave together, so that they often meet in one millisecond.
      for number in 0..<100 {
        async let deleted = place.server.command("DEL", "parley:general")
        let receipt = try await backend.post(draft("\(number)", key: number % 2 == 0 ? nil : .chosen("\(number)")))
        #expect(seen.insert(receipt.id).inserted, "\(receipt.id) was given twice")
        _ = try await deleted
      }
    }
  }

  @Test func aLogThatEndsBeforeTheCursorIsTold() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      try await backend.post(draft("a"))
      let cursor = try await backend.post(draft("b")).cursor
      // As a failover to a replica that lagged leaves it: the newest are gone, and later ones will have other ids.
      let first = try await backend.fetch().messages[0]
      try await place.server.command("DEL", "parley:general")
      try await place.server.command(
        "XADD", "parley:general", first.id.text, "sender", "ada", "content", "a", "ts", "", "in_reply_to", "")
      let page = try await backend.fetch(.after(cursor))
      #expect(page.gap != nil)
      #expect(page.messages.map(\.content) == ["a"])
      let recorder = DeliveryRecorder(loop: place.loop)
      _ = try await backend.subscribe(general, after: cursor, sink: recorder.sink)
      #expect(await recorder.wait(until: place.soon) { $0.messages.count == 1 })
      #expect(recorder.gaps.count == 1)
    }
  }

  @Test func whatHappensToAQuietStreamIsNoticedWithoutAPost() async throws {
    try await withServer { place in
      let backend = try await place.connect { $0.block = .milliseconds(50) }
      let cursor = try await backend.post(draft("a")).cursor
      try await backend.post(draft("b"))
      let recorder = DeliveryRecorder(loop: place.loop)
      _ = try await backend.subscribe(general, after: cursor, sink: recorder.sink)
      #expect(await recorder.wait(until: place.soon) { $0.messages.count == 1 })
      // Deleted and made anew with smaller ids, as by a clock that was set back: nothing would ever wake the reader.
      try await place.server.command("DEL", "parley:general")
      try await place.server.command("XADD", "parley:general", "5-1", "sender", "x", "content", "old clock")
      #expect(await recorder.wait(until: place.soon) { $0.gaps.count == 1 })
      #expect(await recorder.wait(until: place.soon) { $0.messages.last?.content == "old clock" })
      #expect(recorder.gaps.count == 1)
    }
  }

  @Test func trimmingFasterThanReadingIsTold() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let recorder = DeliveryRecorder(loop: place.loop)
      _ = try await backend.subscribe(general, after: Cursor("0-0"), sink: recorder.sink)
      try await backend.post(draft("first"))
      #expect(await recorder.wait(until: place.soon) { $0.messages.count == 1 })
      // In one step, so that the reader cannot come in between.
      try await place.server.command(
        "EVAL",
        "for i = 1, 100 do redis.call('XADD', KEYS[1], 'MAXLEN', '10', '*', 'sender', 'x', 'content', tostring(i)) end",
        "1", "parley:general")
      #expect(await recorder.wait(until: place.soon) { $0.messages.last?.content == "100" })
      #expect(recorder.messages.map(\.content) == ["first"] + (91...100).map(String.init))
      #expect(recorder.gaps.count == 1)
    }
  }

  @Test func aStreamThatOthersOutrunIsAskedAboutWhenItWakesAlone() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let quiet = Topic("quiet")
      let (slow, fast) = (DeliveryRecorder(loop: place.loop), DeliveryRecorder(loop: place.loop))
      for (topic, recorder) in [(quiet, slow), (general, fast)] {
        let cursor = try await backend.post(draft("start", on: topic)).cursor
        _ = try await backend.subscribe(topic, after: cursor, sink: recorder.sink)
        try await backend.post(draft("first", on: topic))
        #expect(await recorder.wait(until: place.soon) { $0.messages.count == 1 })
      }
      func run(_ numbers: ClosedRange<Int>) async throws {
        for number in numbers {
          try await backend.post(draft("\(number)"))
          #expect(await fast.wait(until: place.soon) { $0.messages.count == number })
        }
      }
      // Until the fast one is long enough to be judged by its length, and the other is outrun.
      try await run(2...100)
      let before = try await place.questions
      try await run(101...150)
      // One for each read, and not three.
      #expect(try await place.questions - before < 75)
      try await place.server.command(
        "EVAL",
        "for i = 1, 100 do redis.call('XADD', KEYS[1], 'MAXLEN', '10', '*', 'sender', 'x', 'content', tostring(i)) end",
        "1", "parley:quiet")
      #expect(await slow.wait(until: place.soon) { $0.messages.last?.content == "100" })
      #expect(slow.messages.map(\.content) == ["first"] + (91...100).map(String.init))
      #expect(slow.gaps.count == 1)
    }
  }

  /// Streams long enough to be judged by their length.
  @Test(arguments: [
    // Trimmed below what was unread; deleted and made anew, as long as the old one and one more; the same, longer.
    "for i = 1, 100 do redis.call('XADD', KEYS[1], 'MAXLEN', '10', '*', 'sender', 'x', 'content', tostring(i)) end",
    "redis.call('DEL', KEYS[1]) for i = 1, 101 do redis.call('XADD', KEYS[1], '*', 'content', tostring(i)) end",
    "redis.call('DEL', KEYS[1]) for i = 1, 400 do redis.call('XADD', KEYS[1], '*', 'content', tostring(i)) end",
  ]) func aLongStreamThatIsReplacedBetweenTwoReadsIsTold(script: String) async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let recorder = DeliveryRecorder(loop: place.loop)
      _ = try await backend.subscribe(general, after: Cursor("0-0"), sink: recorder.sink)
      for number in 1...100 {
        try await backend.post(draft("old \(number)"))
        #expect(await recorder.wait(until: place.soon) { $0.messages.count == number })
      }
      // Not in the millisecond of the last entry, whose id the new stream would have too; and in one step, so that the
      // reader cannot come in between.
      await place.loop.sleep(for: .milliseconds(2))
      try await place.server.command("EVAL", script, "1", "parley:general")
      let length = try await place.server.command("XLEN", "parley:general").integer ?? 0
      #expect(await recorder.wait(until: place.soon) { $0.messages.count == 100 + length })
      #expect(recorder.gaps.count == 1)
      let left = try await backend.fetch().messages
      #expect(recorder.messages.suffix(left.count) == left[...])
      if case .gap = recorder.deliveries[100] {} else { Issue.record("the gap is not told first") }
    }
  }

  @Test func trimmingBehindTheReadersIsNoGap() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let recorder = DeliveryRecorder(loop: place.loop)
      _ = try await backend.subscribe(general, after: Cursor("0-0"), sink: recorder.sink)
      for number in 1...300 {
        // Without trimming, with one entry trimmed for each, and cut back now and then.
        let text = "\(number)"
        switch number {
        case ...100: try await place.server.command("XADD", "parley:general", "*", "content", text)
        case ...200: try await place.server.command("XADD", "parley:general", "MAXLEN", "100", "*", "content", text)
        default: try await place.server.command("XADD", "parley:general", "MAXLEN", "~", "100", "*", "content", text)
        }
        #expect(await recorder.wait(until: place.soon) { $0.messages.count == number })
      }
      #expect(recorder.messages.map(\.content) == (1...300).map(String.init))
      #expect(recorder.gaps.isEmpty)
    }
  }

  @Test func ourOwnTrimmingKeepsItsBounds() async throws {
    try await withServer { place in
      let byLength = try await place.connect { $0.maximumLength = 100 }
      for number in 0..<450 { try await byLength.post(draft("\(number)")) }
      // "About": a stream is cut by whole nodes of a hundred entries.
      let count = try await place.server.command("XLEN", "parley:general").integer ?? 0
      #expect((100...250).contains(count), "\(count)")
      let reserved = Topic("~state")
      for number in 0..<250 { try await byLength.post(draft("\(number)", on: reserved)) }
      #expect(try await place.server.command("XLEN", "parley:~state").integer == 250)
      // Two days of age, written as another program would have.
      let old = place.loop.wallClockMilliseconds - 2 * 86_400_000
      for number in 0..<250 {
        try await place.server.command(
          "XADD", "parley:aged", "\(old + Int64(number))-0", "sender", "x", "content", "\(number)")
      }
      let byAge = try await place.connect {
        $0.retentionDays = 1
        $0.maximumLength = 1000
      }
      for number in 0..<70 { try await byAge.post(draft("\(number)", on: Topic("aged"))) }
      let left = try await place.server.command("XLEN", "parley:aged").integer ?? 0
      #expect(left < 250, "\(left)")
    }
  }
}

extension Place {
  /// How often the server was asked for the length of a stream or for entries of it.
  fileprivate var questions: Int {
    get async throws {
      let text = try await server.command("INFO", "commandstats").text ?? ""
      return text.split(whereSeparator: \.isNewline).reduce(0) { sum, line in
        guard line.hasPrefix("cmdstat_xlen:") || line.hasPrefix("cmdstat_xrange:") else { return sum }
        let calls = line.split(separator: "=").dropFirst().first?.prefix { $0.isNumber } ?? "0"
        return sum + (Int(calls) ?? 0)
      }
    }
  }
}
