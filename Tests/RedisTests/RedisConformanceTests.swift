import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// The whole suite over real servers, one for each case, which synchronises every write and is restarted by SIGKILL.
@Suite struct RedisConformanceTests {
  static func store(on loop: EventLoop) async throws -> ConformanceStore {
    var configuration = RedisServer.Options()
    configuration.appendfsync = "always"
    let server = try await RedisServer.start(configuration)
    let options = try RedisOptions(url: "redis://127.0.0.1:\(server.port)")
    var store = ConformanceStore { RedisBackend(loop: loop, options: options) }
    store.trim = { topic, count in
      try await server.command("XTRIM", options.keyPrefix + topic.name, "MAXLEN", "\(count)")
    }
    store.deleteTopic = { topic in try await server.command("DEL", options.keyPrefix + topic.name) }
    store.restart = {
      server.process.kill()
      try await server.process.start()
    }
    store.cut = { try await server.command("CLIENT", "KILL", "TYPE", "normal") }
    store.close = { server.process.kill() }
    return store
  }

  @Test(arguments: ConformanceSuite.cases) func holds(_ conformanceCase: ConformanceCase) async throws {
    let outcome = try await ConformanceSuite { try await Self.store(on: $0) }.run(conformanceCase)
    if case .notApplicable(let reason) = outcome {
      #expect(reason == "the backend states no limit", "\(conformanceCase): \(reason)")
    }
  }
}
