import ParleyConformance
import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// Which connections the backend needs.
@Suite(.serialized) struct ConnectionTests {
  @Test func oneConnectionOfHTTP2CarriesEverything() async throws {
    let homeserver = try await TestHomeserver.peaceful.value()
    let certificates = try await TestCertificates.make()
    let proxy = try await HTTP2Proxy.start(to: homeserver.server.port, certificates: certificates)
    try await MatrixWorld.run(homeserver) { world in
      var options = world.options
      options.homeserver = "https://127.0.0.1:\(proxy.port)"
      options.certificateAuthorities = certificates.authority
      let backend = try await world.backend(options)
      let first = try await backend.post(world.draft("first"), deadline: world.deadline)
      let recorder = try await world.subscribe(after: first.cursor, on: backend)
      _ = try await backend.post(world.draft("second"), deadline: world.deadline)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 1 })
      // A /sync hangs meanwhile; all of these leave beside it.
      let deadline = world.deadline
      let reads = (0..<20).map { _ in
        world.loop.spawn { try? await backend.fetch(FetchRequest(world.topic), deadline: deadline).messages.count }
      }
      for read in reads { #expect(await read.value == 2) }
      await backend.disconnect()
    }
    let visits = proxy.visits
    #expect(visits.contains { $0.path.hasPrefix("/_matrix/client/v3/sync") } && visits.count > 25, "\(visits)")
    #expect(visits.allSatisfy { $0.layer == "h2" }, "\(visits)")
    #expect(Set(visits.map(\.connection)).count == 1, "\(Set(visits.map(\.connection)))")
  }
}
