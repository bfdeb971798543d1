import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyNATS

/// What the server cannot or will not take.
@Suite(.serialized) struct LimitTests {
  private func options(_ server: NATSServer) -> NATSOptions {
    var options = NATSOptions()
    options.servers = ["127.0.0.1:\(server.port)"]
    return options
  }

  @Test func payloads() async throws {
    var small = NATSServer.Options()
    small.maxPayload = 4096
    let server = try await NATSServer.start(small)
    try await withBackends(options(server)) { _, backends in
      let limit = try #require(await backends[0].traits.contentLimit)
      #expect(limit == 3072)
      try await backends[0].post(draft(String(repeating: "x", count: limit)))
      let over = try #require(
        await failure { try await backends[0].post(draft(String(repeating: "x", count: limit + 1))) })
      #expect(over.code == .tooLarge(limit: limit))
      // Within the limit, but not as JSON.
      let escaped = try #require(
        await failure { try await backends[0].post(draft(String(repeating: "\u{1}", count: limit - 1))) })
      #expect(escaped.code == .tooLarge(limit: limit) && escaped.cause.contains("as JSON"), "\(escaped)")
      #expect(try await backends[0].fetch(FetchRequest(general)).messages.count == 1)
    }
  }

  @Test func storage() async throws {
    var small = NATSServer.Options()
    small.maxStore = 1 << 20
    let server = try await NATSServer.start(small)
    try await withBackends(options(server)) { _, backends in
      var stored = 0
      var refusal: SeamError?
      while refusal == nil, stored < 40 {
        refusal = await failure {
          try await backends[0].post(draft("\(stored)" + String(repeating: "x", count: 100_000)))
        }
        if refusal == nil { stored += 1 }
      }
      #expect(refusal?.code == .storageFull, "\(String(describing: refusal)) after \(stored)")
      // Reading goes on, and what was acknowledged is there.
      let page = try await backends[0].fetch(FetchRequest(general))
      #expect(page.messages.last?.id == MessageID("\(stored)"))
    }
  }

  @Test func streamsThatTakeNoMore() async throws {
    let store = try await TestStore()
    try await withBackends(store.options) { _, backends in
      let names = store.names(general)
      try await store.admin.ask(
        "$JS.API.STREAM.CREATE.\(names.stream)",
        "{\"name\":\"\(names.stream)\",\"subjects\":[\"\(names.subject)\"],\"max_msgs\":2,\"discard\":\"new\",\"max_msg_size\":500}"
      )
      try await backends[0].post(draft("1"))
      let large = try #require(await failure { try await backends[0].post(draft(String(repeating: "x", count: 600))) })
      #expect(large.code == .tooLarge(limit: nil), "\(large)")
      try await backends[0].post(draft("2"))
      let full = try #require(await failure { try await backends[0].post(draft("3")) })
      #expect(full.code == .storageFull, "\(full)")
    }
    await store.end()
  }

  @Test func subjectsThatAnotherStreamTakes() async throws {
    let store = try await TestStore()
    try await withBackends(store.options) { _, backends in
      try await store.admin.ask("$JS.API.STREAM.CREATE.ALL", "{\"name\":\"ALL\",\"subjects\":[\"parley.>\"]}")
      let error = try #require(await failure { try await backends[0].post(draft("1")) })
      #expect(error.code == .unsupported && error.cause.contains("overlap"), "\(error)")
    }
    await store.end()
  }

  @Test func replicasWithoutACluster() async throws {
    let store = try await TestStore()
    var options = store.options
    options.replicas = 3
    try await withBackends(options) { _, backends in
      #expect(await backends[0].traits.durability == .replicated(2))
      let error = try #require(await failure { try await backends[0].post(draft("1")) })
      #expect(error.code == .unsupported && error.cause.contains("replicas"), "\(error)")
    }
    await store.end()
  }

  @Test func configuredStreams() async throws {
    let store = try await TestStore()
    var options = store.options
    options.storage = .memory
    options.retentionDays = 0.5
    options.maximumBytes = 1 << 20
    try await withBackends(options) { _, backends in
      #expect(try await backends[0].post(draft("1")).durability == .unknown)
      let config = try await store.admin.ask("$JS.API.STREAM.INFO.PARLEY_general").object?["config"]?.object
      #expect(config?["storage"]?.string == "memory" && config?["max_bytes"] == .int(1 << 20))
      #expect(config?["max_age"] == .int(43_200_000_000_000) && config?["duplicate_window"] == .int(43_200_000_000_000))
      #expect(config?["allow_direct"] == .bool(true))
    }
    try await withBackends(store.options) { _, backends in
      let receipt = try await backends[0].post(draft("1", topic: Topic("other")))
      #expect(receipt.durability == .written)
    }
    await store.end()
  }

  @Test("a thousand topics are one connection")
  func manyTopics() async throws {
    let store = try await TestStore()
    try await withBackends(store.options, count: 2) { loop, backends in
      let log = DeliveryLog(loop)
      for number in 0..<1000 {
        let topic = Topic("topic-\(number)")
        if number % 10 == 0 { try await backends[1].post(draft("first", topic: topic)) }
        _ = try await backends[0].subscribe(topic, after: Cursor("0"), sink: log.sink)
      }
      for number in stride(from: 5, to: 1000, by: 10) {
        try await backends[1].post(draft("later", topic: Topic("topic-\(number)")))
      }
      #expect(await log.wait(for: 200, seconds: 20))
      #expect(await store.proxy.connections == 2)
    }
    await store.end()
  }
}
