import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRemote

/// The door as a Swift program opens it.
@Suite struct EmbeddingTests {
  private static func ask(_ request: String, of address: String, on loop: EventLoop) async throws -> String {
    let endpoint = try #require(Endpoint(listening: address))
    let soon = loop.now.advanced(by: .seconds(10))
    let client = WebClient(try await ByteStream.connect(to: endpoint, loop: loop, until: soon))
    defer { client.stream.close() }
    client.send(request)
    return try await client.response().text
  }

  @Test func opensServesAndEnds() async throws {
    try await onLoop { loop in
      let folder = try TemporaryDirectory()
      var setup = DoorSetup(
        handle: Handle("door"), topics: [Topic("general")], publicURL: "http://127.0.0.1:1",
        store: folder.path("auth.store"))
      setup.listen = "127.0.0.1:0"
      setup.endsWithSignals = false
      let store = SimulatedStore(loop: loop)
      let door = try await ParleyDoor.open(setup, over: SimulatedBackend(store: store)) { $0 == "open sesame" }
      let address = try #require(door.addresses.first)
      let metadata = try await Self.ask(
        "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: localhost\r\n\r\n", of: address, on: loop)
      #expect(metadata.contains("\"issuer\":\"http://127.0.0.1:1\""))
      let refused = try await Self.ask(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", of: address, on: loop)
      #expect(refused.contains("unauthorized"))
      // Where it listens already, a second one cannot.
      setup.listen = address
      await #expect(throws: DoorFailure.self) {
        try await ParleyDoor.open(setup, over: SimulatedBackend(store: store)) { _ in false }
      }
      await door.end()
      try await door.wait()
      await #expect(throws: (any Error).self) { try await Self.ask("GET / HTTP/1.1\r\n\r\n", of: address, on: loop) }
      for (listen, url) in [("localhost:1", "http://127.0.0.1:1"), ("127.0.0.1:0", "http://example.org")] {
        setup.listen = listen
        setup.publicURL = url
        await #expect(throws: DoorFailure.self) {
          try await ParleyDoor.open(setup, over: SimulatedBackend(store: store)) { _ in false }
        }
      }
    }
  }

  @Test func theProgramDecidesWhoOwnsIt() throws {
    try OAuthWorld.use(door: { $0.owner.isOwner = { $0 == "open sesame" } }) { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      #expect(try await oauth.answer(oauth.page(client: client)).status == 403)
      let fields = try OAuthWorld.location(
        try await oauth.answer(oauth.page(client: client), passphrase: "open sesame"))
      #expect(fields["code"] != nil)
    }
  }
}
