import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyNATS

/// The whole suite over a real server, one for each case; two backends are two processes to it.
@Suite(.serialized) struct NATSConformanceTests {
  private static func store(on loop: EventLoop) async throws -> ConformanceStore {
    let test = try await TestStore()
    var store = ConformanceStore(makeBackend: { NATSBackend(loop: loop, options: test.options) }) { await test.end() }
    store.trim = { topic, count in try await test.trim(topic, keep: count) }
    store.deleteTopic = { topic in try await test.delete(topic) }
    store.restart = { try await test.crash() }
    store.cut = { await test.proxy.cutAll() }
    return store
  }

  @Test(arguments: ConformanceSuite.cases) func holds(_ conformanceCase: ConformanceCase) async throws {
    let outcome = try await ConformanceSuite { try await Self.store(on: $0) }.run(conformanceCase)
    #expect(outcome == .passed, "\(conformanceCase): \(outcome)")
  }
}
