import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// The whole suite over real Prosodys, one for each case, restarted by SIGKILL.
@Suite struct XMPPConformanceTests {
  static func store(on loop: EventLoop) async throws -> ConformanceStore {
    let store = try await TestStore()
    let options = try store.options()
    var conformance = ConformanceStore { XMPPBackend(loop: loop, options: options) }
    conformance.trim = { topic, count in try store.trim(topic, keeping: count) }
    conformance.restart = {
      store.server.process.kill()
      try await store.server.process.start()
    }
    conformance.cut = { await store.proxy.cutAll() }
    conformance.deleteTopic = { topic in
      let owner = try await Person.connect("parley", to: store, loop: loop)
      let room = TopicRooms(service: ProsodyServer.rooms).room(of: topic)
      let destroy = XMLElement("destroy", Namespace.mucOwner)
      _ = try await owner.session.request(
        "set", to: room, XMLElement("query", Namespace.mucOwner, children: [destroy]), "destroy", until: owner.soon)
      owner.session.close()
    }
    conformance.close = { await store.end() }
    return conformance
  }

  /// A reflection takes 5 to 10 ms, and a post with a chosen key asks the archive before and after.
  static var capabilities: Capabilities {
    var capabilities = Capabilities()
    capabilities.patience = .seconds(20)
    capabilities.knownAccount = "parley@chat.test"
    return capabilities
  }

  @Test(arguments: ConformanceSuite.cases) func holds(_ conformanceCase: ConformanceCase) async throws {
    let suite = ConformanceSuite(capabilities: Self.capabilities) { try await Self.store(on: $0) }
    let outcome = try await suite.run(conformanceCase)
    if case .notApplicable(let reason) = outcome {
      #expect(reason == "handles of one account share its keys", "\(conformanceCase): \(reason)")
    }
  }
}
