import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// Three masters that share the slots; one stream for each topic, each on its node.
@Suite(.serialized) struct ClusterTests {
  private func withCluster(_ body: @escaping @Sendable (EventLoop, [RedisServer]) async throws -> Void) async throws {
    try await onLoop { loop in
      var configuration = RedisServer.Options()
      configuration.appendfsync = "always"
      let nodes = try await RedisServer.cluster(of: 3, configuration)
      defer { for node in nodes { node.process.kill() } }
      try await body(loop, nodes)
    }
  }

  private func connect(
    _ loop: EventLoop, _ node: RedisServer, isolation: isolated (any Actor)? = #isolation,
    change: (inout RedisOptions) -> Void = { _ in }
  ) async throws -> RedisBackend {
    var options = try RedisOptions(url: "redis://127.0.0.1:\(node.port)")
    change(&options)
    let backend = RedisBackend(loop: loop, options: options)
    try await backend.connect { _ in }
    return backend
  }

  @Test func topicsOfAllNodesWork() async throws {
    try await withCluster { loop, nodes in
      let writer = try await connect(loop, nodes[0])
      let reader = try await connect(loop, nodes[1]) { $0.pollInterval = .milliseconds(50) }
      // More slots than blocking reads are kept for.
      let topics = (0..<40).map { Topic("topic \($0)") }
      var recorders: [DeliveryRecorder] = []
      for topic in topics {
        let recorder = DeliveryRecorder(loop: loop)
        recorders.append(recorder)
        _ = try await reader.subscribe(topic, after: Cursor("0-0"), sink: recorder.sink)
      }
      for topic in topics {
        try await writer.post(draft("to \(topic)", on: topic))
        let once = draft("once", on: topic, key: .chosen("k"))
        let first = try await writer.post(once)
        #expect(try await reader.post(once).id == first.id)
      }
      for (topic, recorder) in zip(topics, recorders) {
        #expect(await recorder.wait(until: writer.soon) { $0.messages.count == 2 }, "\(topic)")
        #expect(try await reader.fetch(of: topic).messages == recorder.messages)
        #expect(recorder.gaps.isEmpty)
      }
      for node in nodes {
        let clients = try await node.command("CLIENT", "LIST").text?.split(separator: "\n").count ?? 0
        #expect(clients < 40, "\(clients) connections at one node")
      }
      await writer.disconnect()
      await reader.disconnect()
    }
  }

  @Test func aSlotThatMovesIsFollowed() async throws {
    try await withCluster { loop, nodes in
      let backend = try await connect(loop, nodes[0])
      try await backend.post(draft("before"))
      let slot = RedisKeys.slot(of: "parley:general")
      let source = nodes[slot * 3 / 16_384]
      let target = nodes[(slot * 3 / 16_384 + 1) % 3]
      let names = try await ids(of: [source, target])
      try await target.command("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", names[0])
      try await source.command("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", names[1])
      // Half moved: the stream is still there, what is new beside it is asked for over there (ASK).
      try await backend.post(draft("while it moves"))
      let keys = try await source.command("CLUSTER", "GETKEYSINSLOT", "\(slot)", "100").list?.compactMap(\.text) ?? []
      for key in keys {
        try await source.command(
          "MIGRATE", "127.0.0.1", "\(target.port)", key, "0", "5000", "AUTH2", "testkit", "testkit")
      }
      try await backend.post(draft("moved, not said yet"))
      for node in nodes { try await node.command("CLUSTER", "SETSLOT", "\(slot)", "NODE", names[1]) }
      try await backend.post(draft("after"))
      #expect(
        try await backend.fetch().messages.map(\.content) == [
          "before", "while it moves", "moved, not said yet", "after",
        ])
      let recorder = DeliveryRecorder(loop: loop)
      _ = try await backend.subscribe(general, after: Cursor("0-0"), sink: recorder.sink)
      #expect(await recorder.wait(until: backend.soon) { $0.messages.count == 4 })
      await backend.disconnect()
    }
  }

  private func ids(
    of nodes: [RedisServer], isolation: isolated (any Actor)? = #isolation
  ) async throws -> [String] {
    var found: [String] = []
    for node in nodes { found.append(try await node.command("CLUSTER", "MYID").text ?? "") }
    return found
  }

  @Test func oneHashTagPutsAllTopicsIntoOneBlockingRead() async throws {
    try await withCluster { loop, nodes in
      let backend = try await connect(loop, nodes[0]) { $0.keyPrefix = "{parley}:" }
      let topics = (0..<50).map { Topic("topic \($0)") }
      var recorders: [DeliveryRecorder] = []
      for topic in topics {
        let recorder = DeliveryRecorder(loop: loop)
        recorders.append(recorder)
        _ = try await backend.subscribe(topic, after: Cursor("0-0"), sink: recorder.sink)
      }
      for topic in topics { try await backend.post(draft("x", on: topic)) }
      for recorder in recorders {
        #expect(await recorder.wait(until: backend.soon) { $0.messages.count == 1 })
      }
      var readers = 0
      for node in nodes {
        let list = try await node.command("CLIENT", "LIST").text ?? ""
        readers += list.split(separator: "\n").filter { $0.contains("name=parley-reader") }.count
      }
      #expect(readers == 1)
      await backend.disconnect()
    }
  }

  @Test func anotherNodeIsAskedWhenTheFirstIsAway() async throws {
    try await withCluster { loop, nodes in
      var settings = Settings(defaultsOf: RedisOptions.description.schema)
      settings["url"] = .string("redis://127.0.0.1:1")
      settings["cluster_nodes"] = .strings(nodes.map { "127.0.0.1:\($0.port)" })
      let backend = RedisBackend(loop: loop, options: try RedisOptions(settings))
      try await backend.connect { _ in }
      try await backend.post(draft("here"))
      await backend.disconnect()
    }
  }

  @Test func aClusterHasNoOtherDatabases() async throws {
    try await withCluster { loop, nodes in
      let options = try RedisOptions(url: "redis://127.0.0.1:\(nodes[0].port)/3")
      let backend = RedisBackend(loop: loop, options: options)
      #expect(await failure { try await backend.connect { _ in } }?.code == .invalidRequest)
    }
  }
}
