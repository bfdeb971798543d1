import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyNATS

/// Subscribers of topics that nobody has posted to: the server tells of a stream a moment before it finds it itself.
@Suite(.serialized) struct NewTopicTests {
  @Test func seenAtOnceByAFreshSession() async throws {
    for _ in 0..<10 {
      let store = try await TestStore()
      try await withBackends(store.options) { loop, backends in
        let log = DeliveryLog(loop)
        let tail = try await backends[0].fetch(FetchRequest(general, limit: 1)).next
        _ = try await backends[0].subscribe(general, after: tail, sink: log.sink)
        try await backends[0].post(draft("first"))
        #expect(await log.wait(for: 1, seconds: 2))
      }
      await store.end()
    }
  }

  @Test func seenAtOnceHoweverMany() async throws {
    let store = try await TestStore()
    try await withBackends(store.options, count: 2) { loop, backends in
      for number in 0..<200 {
        let topic = Topic("topic-\(number)")
        let log = DeliveryLog(loop)
        _ = try await backends[number % 2].subscribe(topic, after: Cursor("0"), sink: log.sink)
        try await backends[0].post(draft("first", topic: topic))
        #expect(await log.wait(for: 1, seconds: 2), "\(topic)")
      }
    }
    await store.end()
  }
}
