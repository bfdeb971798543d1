import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// A master, a replica and three Sentinels: the master is asked for on every connect, and its successor found.
@Suite(.serialized) struct SentinelTests {
  private struct Set: Sendable {
    let master: RedisServer
    let replica: RedisServer
    let sentinels: [RedisServer]

    static func start() async throws -> Set {
      var configuration = RedisServer.Options()
      configuration.appendfsync = "always"
      let master = try await RedisServer.start(configuration)
      configuration.role = .replica(of: master)
      let replica = try await RedisServer.start(configuration)
      try await master.wait(for: "state=online", in: "INFO", "replication")
      var sentinels: [RedisServer] = []
      for _ in 0..<3 {
        var configuration = RedisServer.Options()
        configuration.role = .sentinel(name: "parley", master: master, quorum: 2)
        sentinels.append(try await RedisServer.start(configuration))
      }
      for sentinel in sentinels {
        try await sentinel.wait(for: "slaves=1,sentinels=3", in: "INFO", "sentinel")
      }
      return Set(master: master, replica: replica, sentinels: sentinels)
    }

    func options(named name: String = "parley") throws -> RedisOptions {
      var settings = Settings(defaultsOf: RedisOptions.description.schema)
      // The first Sentinel is not there: the next one is asked.
      settings["sentinels"] = .strings(["127.0.0.1:1"] + sentinels.map { "127.0.0.1:\($0.port)" })
      settings["sentinel_master"] = .string(name)
      var options = try RedisOptions(settings)
      options.timeout = .milliseconds(800)
      options.block = .milliseconds(400)
      return options
    }

    func end() { for server in sentinels + [master, replica] { server.process.kill() } }
  }

  @Test(arguments: [false, true]) func theSuccessorIsFoundAndNothingIsLost(hangs: Bool) async throws {
    try await onLoop { loop in
      let set = try await Set.start()
      defer { set.end() }
      var options = try set.options()
      // Acknowledged means that the replica has it: a failover loses none.
      options.replicas = 1
      let policy = RestartPolicy(
        initialDelay: .milliseconds(20), maximumDelay: .milliseconds(300), settledAfter: .seconds(1))
      let supervisor = Supervisor(loop: loop, backend: RedisBackend(loop: loop, options: options), policy: policy)
      let life = loop.spawn { await supervisor.run() }
      let deadline = loop.now.advanced(by: .seconds(60))
      let start = try await supervisor.fetch(FetchRequest(general), deadline: deadline).next
      let recorder = DeliveryRecorder(loop: loop)
      _ = await supervisor.follow(general, after: start, sink: recorder.sink)
      for number in 0..<20 { _ = try await supervisor.post(draft("\(number)"), deadline: deadline) }
      if hangs { set.master.process.pause() } else { set.master.process.kill() }
      // The successor has no replica to wait for, so the rest is posted without.
      try await set.replica.wait(for: "role:master", in: "INFO", "replication")
      var later = try set.options()
      later.replicas = 0
      let successor = Supervisor(loop: loop, backend: RedisBackend(loop: loop, options: later), policy: policy)
      let successorsLife = loop.spawn { await successor.run() }
      for number in 20..<40 { _ = try await successor.post(draft("\(number)"), deadline: deadline) }
      #expect(await recorder.wait(until: deadline) { $0.messages.count >= 40 }, "\(recorder.messages.count) of 40")
      #expect(recorder.messages.map(\.content) == (0..<40).map(String.init))
      #expect(recorder.gaps.isEmpty, "\(recorder.gaps)")
      for task in [life, successorsLife] {
        task.cancel()
        await task.value
      }
    }
  }

  @Test func aNameThatNobodyKnowsIsTold() async throws {
    try await onLoop { loop in
      let set = try await Set.start()
      defer { set.end() }
      let backend = RedisBackend(loop: loop, options: try set.options(named: "other"))
      let error = await failure { try await backend.connect { _ in } }
      #expect(error?.cause.contains("knows no master") == true, "\(String(describing: error))")
    }
  }

  @Test func whatAFailoverLostIsToldAsAGap() async throws {
    try await onLoop { loop in
      let set = try await Set.start()
      defer { set.end() }
      let backend = RedisBackend(loop: loop, options: try set.options())
      try await backend.connect { _ in }
      try await backend.post(draft("both have it"))
      try await set.master.wait(for: "lag=0", in: "INFO", "replication")
      try await set.replica.command("REPLICAOF", "127.0.0.1", "1")
      let lost = try await backend.post(draft("the master alone"))
      await backend.disconnect()
      set.master.process.kill()
      try await set.replica.command("REPLICAOF", "NO", "ONE")
      let other = RedisBackend(
        loop: loop, options: try RedisOptions(url: "redis://127.0.0.1:\(set.replica.port)"))
      try await other.connect { _ in }
      try await other.post(draft("after"))
      let page = try await other.fetch(.after(lost.cursor))
      #expect(page.gap != nil)
      #expect(page.messages.last?.content == "after")
      await other.disconnect()
    }
  }
}
