import ParleyConformance
import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// The whole suite against a real Synapse. Every backend logs in as a device of its own, as processes on different
/// machines do, so that the server's own transaction ids do not help with keys (S2).
@Suite(.serialized) struct MatrixConformanceTests {
  private static let shared = TestHomeserver.Shared()

  private static var capabilities: Capabilities {
    var capabilities = Capabilities()
    // A send takes Synapse 20 to 50 ms of CPU, and 200 of them are one case.
    capabilities.patience = .seconds(60)
    capabilities.quiet = .milliseconds(300)
    capabilities.knownAccount = TestHomeserver.account
    // An event has at most 64 KiB, our text at most 48.
    capabilities.largeContent = 40 * 1024
    return capabilities
  }

  private static func store(_ homeserver: TestHomeserver, on loop: EventLoop) async throws -> ConformanceStore {
    let proxy = try await FaultProxy.start(to: homeserver.server.port)
    var store = ConformanceStore(
      makeBackend: { MatrixBackend(loop: loop, options: homeserver.options(port: proxy.port)) },
      close: { await proxy.close() })
    store.trim = { try await homeserver.trim($0, $1) }
    store.deleteTopic = { try await homeserver.delete($0) }
    // HTTP repeats a request on a new connection where the old one ended without a word: only a server that cannot be
    // reached for a moment ends the session.
    store.cut = {
      try await proxy.setWelcome(.refuse)
      await proxy.cutAll()
      await loop.sleep(for: .milliseconds(200))
      try await proxy.setWelcome(.pass)
    }
    store.restart = { try await homeserver.server.process.restart() }
    return store
  }

  @Test(arguments: ConformanceSuite.cases) func holds(_ conformanceCase: ConformanceCase) async throws {
    let homeserver = try await Self.shared.value()
    let suite = ConformanceSuite(capabilities: Self.capabilities) { try await Self.store(homeserver, on: $0) }
    let outcome = try await suite.run(conformanceCase)
    if case .notApplicable(let reason) = outcome {
      let expected = ["handles of one account share its keys"]
      #expect(expected.contains(reason), "\(conformanceCase): \(reason)")
    }
  }
}
