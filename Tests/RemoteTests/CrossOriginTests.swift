import ParleyRuntime
import Testing

@testable import ParleyRemote

/// Web pages of other origins as clients: only those that are named, and only where programs call.
@Suite struct CrossOriginTests {
  private static let page = "https://page.example"
  private static let preflight = [
    "Origin": page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization",
  ]

  @Test func nobodyMayUnlessNamed() throws {
    try RemoteWorld.use { world async throws in
      #expect(try await world.request("OPTIONS", "/mcp", Self.preflight).status == 403)
      let own = try await world.request("GET", "/v1/topics", ["Origin": "http://\(world.authority)"])
      #expect(own.status == 200 && own.fields["access-control-allow-origin"] == nil)
    }
  }

  @Test func aNamedPageIsAskedForAndAnswered() throws {
    try RemoteWorld.use({
      $0.access.origins = [Self.page]
      $0.pages = [Self.page]
      $0.authenticator = StaticToken("a-token-of-some-length")
    }) { world async throws in
      for path in ["/mcp", "/v1/messages", "/token", "/.well-known/oauth-protected-resource"] {
        let asked = try await world.request("OPTIONS", path, Self.preflight)
        #expect(asked.status == 204 && asked.fields["access-control-allow-origin"] == Self.page, "\(path)")
        #expect(asked.fields["access-control-allow-headers"]?.contains("Authorization") == true)
        #expect(asked.fields["access-control-allow-methods"] == "GET, POST, DELETE")
        #expect(asked.fields["access-control-allow-credentials"] == nil)
      }
      // The page gets to see why it was refused, and is told its session.
      let refused = try await world.request("GET", "/v1/topics", ["Origin": Self.page])
      #expect(refused.status == 401 && refused.fields["access-control-allow-origin"] == Self.page)
      #expect(refused.fields["access-control-expose-headers"] == "Mcp-Session-Id, Retry-After, WWW-Authenticate")
      #expect(refused.fields["vary"] == "Origin")
      let token = ["Authorization": "Bearer a-token-of-some-length", "Origin": Self.page]
      let opened = try await world.request(
        "POST", "/mcp", token,
        RemoteWorld.legacy(
          "initialize",
          ["protocolVersion": "2025-11-25", "capabilities": [:], "clientInfo": ["name": "page", "version": "0"]]))
      #expect(opened.status == 200 && opened.fields["access-control-allow-origin"] == Self.page)
      let session = try #require(opened.fields["mcp-session-id"])
      let stream = try await world.begin("GET", "/mcp", token.merging(["Mcp-Session-Id": session]) { $1 })
      #expect(try await stream.head().fields["access-control-allow-origin"] == Self.page)
      stream.stream.close()
    }
  }

  @Test func othersAndOtherPathsGetNothing() throws {
    try ConsoleWorld.use({ _, door in
      door.access.origins = [Self.page]
      door.pages = [Self.page]
    }) { console async throws in
      var evil = Self.preflight
      evil["Origin"] = "https://evil.example"
      let refused = try await console.world.request("OPTIONS", "/mcp", evil)
      #expect(refused.status == 403 && refused.fields["access-control-allow-origin"] == nil)
      for path in ["/console", "/console/login", "/metrics", "/relay/news", "/readyz"] {
        let response = try await console.world.request("OPTIONS", path, Self.preflight)
        #expect(response.status != 204 && response.fields["access-control-allow-origin"] == nil, "\(path)")
        let got = try await console.world.request("GET", path, ["Origin": Self.page])
        #expect(got.fields["access-control-allow-origin"] == nil, "\(path)")
      }
    }
  }
}
