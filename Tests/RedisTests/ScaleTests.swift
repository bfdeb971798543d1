import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// Many topics, many posts, slow sinks: what grows and what does not.
@Suite struct ScaleTests {
  @Test func aThousandTopicsShareTwoConnections() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let recorder = DeliveryRecorder(loop: place.loop)
      let topics = (0..<1000).map { Topic("topic \($0)") }
      for topic in topics { _ = try await backend.subscribe(topic, after: Cursor("0-0"), sink: recorder.sink) }
      let writer = try await place.connect { $0.clientName = "writer" }
      for topic in topics { try await writer.post(draft("x", on: topic)) }
      #expect(await recorder.wait(until: place.soon) { $0.messages.count == 1000 }, "\(recorder.messages.count)")
      #expect(Set(recorder.messages.map(\.topic)).count == 1000)
      #expect(recorder.gaps.isEmpty)
      let list = try await place.server.command("CLIENT", "LIST").text ?? ""
      #expect(list.split(separator: "\n").filter { $0.contains("name=parley") }.count == 2)
    }
  }

  @Test func sessionsLeaveNoConnectionBehind() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      for number in 0..<50 {
        let recorder = DeliveryRecorder(loop: place.loop)
        let end = try await backend.fetch(limit: 1).next
        _ = try await backend.subscribe(general, after: end, sink: recorder.sink)
        try await backend.post(draft("\(number)"))
        #expect(await recorder.wait(until: place.soon) { $0.messages.map(\.content) == ["\(number)"] })
        await backend.disconnect()
        try await backend.connect { _ in }
      }
      await backend.disconnect()
      // The server hears of the end a moment later.
      let deadline = place.soon
      var left = 1
      while left > 0, place.loop.now < deadline {
        let list = try await place.server.command("CLIENT", "LIST").text ?? ""
        left = list.split(separator: "\n").filter { $0.contains("name=parley") }.count
      }
      #expect(left == 0)
    }
  }

  /// Whoever waits for nothing is woken a few hundred times a second at most, and at once when somebody does wait.
  @Test func whatNobodyWaitsForIsReadTogether() async throws {
    try await withServer { place in
      let reader = try await place.connect()
      let writer = try await place.connect()
      try await writer.post(draft("first"))
      let recorder = DeliveryRecorder(loop: place.loop)
      let end = try await reader.fetch(limit: 1).next
      let subscription = try await reader.subscribe(general, after: end) {
        _ = recorder.sink($0)
        return .moreLater
      }
      let began = place.loop.now
      let before = try await place.reads()
      for number in 0..<300 { try await writer.post(draft("\(number)")) }
      #expect(await recorder.wait(until: place.soon) { $0.messages.count == 300 })
      let turns = Int(began.duration(to: place.loop.now).milliseconds) / 5
      #expect(try await place.reads() - before <= turns + 5)
      #expect(recorder.messages.map(\.content) == (0..<300).map(String.init))
      #expect(recorder.gaps.isEmpty)

      // Each comes right behind the one before, when the reader would still rest.
      var quickest = Duration.seconds(1)
      for number in 300..<400 {
        let sent = place.loop.now
        await reader.resume(subscription)
        try await writer.post(draft("\(number)"))
        #expect(await recorder.wait(until: place.soon) { $0.messages.count == number + 1 })
        quickest = min(quickest, sent.duration(to: place.loop.now))
      }
      #expect(quickest < .milliseconds(3))
    }
  }

  @Test func aSlowSinkHoldsBackItsOwnTopicAlone() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      let (slow, quick) = (DeliveryRecorder(loop: place.loop), DeliveryRecorder(loop: place.loop))
      slow.pausesAt = 1
      let paused = try await backend.subscribe(general, after: Cursor("0-0"), sink: slow.sink)
      _ = try await backend.subscribe(Topic("other"), after: Cursor("0-0"), sink: quick.sink)
      for number in 0..<2000 {
        try await backend.post(draft("\(number)"))
        if number % 100 == 0 { try await backend.post(draft("\(number)", on: Topic("other"))) }
      }
      #expect(await quick.wait(until: place.soon) { $0.messages.count == 20 })
      #expect(slow.messages.count == 1)
      await backend.resume(paused)
      #expect(await slow.wait(until: place.soon) { $0.messages.count == 2000 })
      #expect(slow.messages.map(\.content) == (0..<2000).map(String.init))
    }
  }

  @Test func subscriptionsThatComeAndGoLoseNothing() async throws {
    try await withServer { place in
      let backend = try await place.connect()
      var random = SystemRandomNumberGenerator()
      var live: [(SubscriptionID, DeliveryRecorder, from: Int)] = []
      var count = 0
      var cursors = [Cursor("0-0")]
      for _ in 0..<300 {
        switch UInt8.random(in: 0..<4, using: &random) {
        case 0:
          let recorder = DeliveryRecorder(loop: place.loop)
          let from = Int.random(in: 0...count, using: &random)
          live.append((try await backend.subscribe(general, after: cursors[from], sink: recorder.sink), recorder, from))
        case 1 where !live.isEmpty:
          let (id, recorder, from) = live.remove(at: Int.random(in: 0..<live.count, using: &random))
          await backend.unsubscribe(id)
          #expect(recorder.messages.map(\.content) == (from..<from + recorder.messages.count).map(String.init))
        default:
          cursors.append(try await backend.post(draft("\(count)")).cursor)
          count += 1
        }
      }
      let all = count
      for (_, recorder, from) in live {
        #expect(await recorder.wait(until: place.soon) { $0.messages.count >= all - from })
        #expect(recorder.messages.map(\.content) == (from..<all).map(String.init))
        #expect(recorder.gaps.isEmpty)
      }
    }
  }
}

extension Place {
  /// How many XREADs have returned.
  fileprivate func reads(isolation: isolated (any Actor)? = #isolation) async throws -> Int {
    let statistics = try await server.command("INFO", "commandstats").text ?? ""
    // No line before the first one has returned.
    guard let line = statistics.split(separator: "\r\n").first(where: { $0.hasPrefix("cmdstat_xread:") }) else {
      return 0
    }
    return try #require(line.split(separator: ",").first.flatMap { Int($0.drop { $0 != "=" }.dropFirst()) })
  }
}
