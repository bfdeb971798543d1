import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleySQLite

/// Rows of our own are given from the writer's word, those of others are read: together they are one log.
struct OwnRowTests {
  /// A subscriber that pauses now and then, and what it was given.
  private final class Follower: @unchecked Sendable {  // touched on one loop only
    var ids: [MessageID] = []
    var pauses = 0
    var id: SubscriptionID?

    func follow(_ topic: Topic, of backend: SQLiteBackend, pausing chance: UInt64?) async throws {
      id = try await backend.subscribe(topic, after: Cursor("0")) { [self] delivery in
        guard case .message(let message) = delivery else { return .more }
        ids.append(message.id)
        guard let chance, UInt64.random(in: 0..<chance) == 0 else { return .more }
        pauses += 1
        backend.loop.schedule(after: .microseconds(.random(in: 0...3000))) {
          backend.assumeIsolated { if let id = self.id { $0.resume(id) } }
        }
        return .pause
      }
    }
  }

  @Test func rowsOfOursAndOfOthersAreGivenOnceInTheLogsOrder() throws {
    let folder = try TestFolder()
    // No poll helps: a process that touches the sidecar must not take the touches of others for its own.
    var options = folder.options
    options.pollInterval = .seconds(3600)
    try withBackends(options, count: 3) { loop, backends in
      let topics = [Topic("a"), Topic("b"), Topic("c")]
      var followers: [(topic: Topic, follower: Follower)] = []
      // Nobody follows the third topic at first: its rows move the log on without a delivery.
      for topic in topics.prefix(2) {
        for (backend, chance) in zip(backends, [nil, 3, 40] as [UInt64?]) {
          let follower = Follower()
          try await follower.follow(topic, of: backend, pausing: chance)
          followers.append((topic, follower))
        }
      }
      let writers = backends.map { backend in
        loop.spawn { () -> Int in
          var failures = 0
          for number in 0..<300 {
            let topic = topics[Int.random(in: 0..<3)]
            if await failure(of: { try await backend.post(draft("\(number)", topic: topic)) }) != nil {
              failures += 1
            }
          }
          return failures
        }
      }
      // One that comes in the middle catches up while rows keep coming.
      await loop.sleep(for: .milliseconds(20))
      let late = Follower()
      try await late.follow(topics[2], of: backends[0], pausing: nil)
      followers.append((topics[2], late))
      for writer in writers { #expect(await writer.value == 0) }
      for (topic, follower) in followers {
        let log = try await backends[0].fetch(FetchRequest(topic, .after(Cursor("0")), limit: 1000)).messages.map(\.id)
        let end = loop.now.advanced(by: .seconds(10))
        while follower.ids.count < log.count, loop.now < end { await loop.sleep(for: .milliseconds(5)) }
        #expect(follower.ids == log)
      }
    }
  }

  @Test func aRowOfOursIsTheSameMessageLiveAndByFetch() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      let inbox = Inbox()
      _ = try await backend.subscribe(general, after: Cursor("0")) { inbox.take($0) }
      // The first may be read; from then on the subscription is live and rows are given directly.
      for number in 0..<20 {
        var draft = draft("text \(number) for @bob \u{1F469}\u{200D}\u{1F680}", key: .chosen("key \(number)"))
        draft.inReplyTo = MessageID("7")
        draft.to = Handle("carl")
        draft.attributes = ["kind": "note", "": "x", "a\"b": "\u{e9}\\n"]
        try await backend.post(draft)
        let live = await inbox.nextMessage()
        let fetched = try await backend.fetch(FetchRequest(general, .latest, limit: 1)).messages.first
        #expect(live == fetched)
      }
    }
  }
}
