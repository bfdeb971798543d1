import ParleyHTTPClient
import ParleyHTTPServer
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRemote

/// Tokens of an identity provider: who comes in by them, and who does not.
@Suite struct OIDCTests {
  /// A door that trusts a provider. Confined to its loop.
  private final class Place: @unchecked Sendable {
    let world: RemoteWorld
    let provider: IdentityProvider

    init(_ world: RemoteWorld, _ provider: IdentityProvider) {
      self.world = world
      self.provider = provider
    }

    func response(_ token: String, _ tool: String = "parley_status", _ arguments: JSONValue = [:]) async throws
      -> WebResponse
    {
      try await world.request(
        "POST", "/mcp",
        RemoteWorld.modernFields("tools/call", name: tool).merging(["Authorization": "Bearer \(token)"]) { $1 },
        RemoteWorld.modern("tools/call", ["name": .string(tool), "arguments": arguments]))
    }

    func status(_ token: String) async throws -> Int { try await response(token).status }
  }

  // Filled on the loop before a request is made; read on it.
  private final class Late: @unchecked Sendable {
    var keys: KeySource?
    var rules: OIDCRules?
  }

  /// Passes to what is known only once the provider runs.
  private struct LateTokens: Authenticator {
    let late: Late
    let loop: EventLoop
    let address: PublicAddress
    let own: StoredTokens

    func authenticate(_ head: RequestHead) -> Authentication { tokens.authenticate(head) }
    func refusal(lacking scope: Scope) -> ParleyHTTPServer.HTTPResponse { tokens.refusal(lacking: scope) }

    private var tokens: OIDCTokens {
      guard let keys = late.keys, let rules = late.rules else { preconditionFailure("asked before the provider ran") }
      return OIDCTokens(loop: loop, rules: rules, keys: keys, address: address, own: own)
    }
  }

  private func use(
    interval: Duration = .milliseconds(1), adjusting adjust: @escaping @Sendable (inout OIDCRules) -> Void = { _ in },
    _ body: @escaping @Sendable (Place) async throws -> Void
  ) throws {
    let folder = try TemporaryDirectory()
    let store = try FileAuthStore(folder.path("auth.store"))
    let late = Late()
    let address = try #require(PublicAddress("https://parley.example.org"))
    try RemoteWorld.use(adjusting: { options, loop in
      options.authenticator = LateTokens(
        late: late, loop: loop, address: address,
        own: StoredTokens(loop: loop, store: store, address: nil, configured: nil))
    }) { world async throws in
      let provider = try await IdentityProvider(loop: world.loop)
      var rules = OIDCRules(issuer: provider.issuer, audience: address.resource)
      rules.allowedUsernames = ["ada"]
      adjust(&rules)
      late.rules = rules
      let client = HTTPClient(loop: world.loop)
      late.keys = KeySource(
        loop: world.loop, issuer: provider.issuer, jwksURI: nil, interval: interval, fetch: KeySource.network(client))
      try await body(Place(world, provider))
      await client.close()
      _ = folder
    }
  }

  @Test func tokensOfTheProviderAreLetIn() throws {
    try use { place async throws in
      for (algorithm, key) in [("RS256", "rsa-1"), ("PS256", "rsa-1"), ("ES256", "ec-1")] {
        #expect(
          try await place.status(try await place.provider.token(algorithm: algorithm, key: key)) == 200, "\(algorithm)")
      }
      // Without the key's name each key of the kind is tried.
      #expect(try await place.status(try await place.provider.token(header: ["kid": nil])) == 200)
      #expect(try await place.provider.count("/keys") <= 3)
    }
  }

  @Test func everyOtherTokenIsRefused() throws {
    try use { place async throws in
      let good = try await place.provider.token()
      #expect(try await place.status(good) == 200)
      let parts = good.split(separator: ".").map(String.init)
      let claims: [(String, JSONObject)] = [
        ("another issuer", ["iss": "https://evil.example"]), ("no issuer", ["iss": nil]),
        ("another audience", ["aud": "https://evil.example/mcp"]),
        ("an audience like ours", ["aud": "https://parley.example.org/mcp/"]),
        ("no audience", ["aud": nil]), ("over", ["exp": "now-31"]), ("no end", ["exp": nil]),
        ("an end that is no number", ["exp": "never"]), ("not begun", ["nbf": "now+60"]), ("no subject", ["sub": nil]),
        ("another user", ["preferred_username": "eve"]), ("no user", ["preferred_username": nil]),
      ]
      for (what, changes) in claims {
        let response = try await place.response(try await place.provider.token(changes))
        #expect(response.status == 401, "\(what)")
        // All the same from outside.
        #expect(response.fields["www-authenticate"]?.hasPrefix("Bearer error=\"invalid_token\"") == true)
      }
      for (what, token) in [
        ("unsigned", try await place.provider.token(algorithm: "none")),
        ("the public key as a secret", try await place.provider.token(algorithm: "HS256")),
        ("another algorithm", try await place.provider.token(algorithm: "RS512")),
        ("another key under its name", try await place.provider.token(key: "thief", header: ["kid": "rsa-1"])),
        ("a key that is not shown", try await place.provider.token(key: "thief")),
        ("a weak key", try await place.provider.token(key: "weak")),
        ("a key of another kind", try await place.provider.token(header: ["kid": "ec-1"])),
        ("an extension that must be understood", try await place.provider.token(header: ["crit": ["exp"]])),
        ("another type", try await place.provider.token(header: ["typ": "dpop+jwt"])),
        (
          "a key of its own",
          try await place.provider.token(key: "thief", header: ["jku": "http://evil.example/", "kid": nil])
        ),
        ("cut", parts[0] + "." + parts[1]), ("without a signature", parts[0] + "." + parts[1] + "."),
        ("a changed payload", parts[0] + "." + parts[1] + "A." + parts[2]), ("garbage", "a.b.c"),
        ("more parts", good + ".x"),
        ("too long", good + String(repeating: "A", count: 5_000)),
      ] { #expect(try await place.status(token) == 401, "\(what)") }
      // Clocks may differ a little.
      #expect(try await place.status(try await place.provider.token(["exp": "now-20", "nbf": "now+20"])) == 200)
      let none = try await place.world.request("POST", "/mcp", [:], "{}")
      #expect(
        none.status == 401
          && none.fields["www-authenticate"]
            == "Bearer resource_metadata=\"https://parley.example.org/.well-known/oauth-protected-resource/mcp\""
      )
    }
  }

  @Test func everyGateCounts() throws {
    try use(adjusting: {
      $0.allowedSubjects = ["u-1"]
      $0.requiredRole = "parley"
      $0.requiredScope = "chat"
    }) { place async throws in
      #expect(try await place.status(try await place.provider.token(["scope": "openid chat"])) == 200)
      let lacking = try await place.response(try await place.provider.token())
      #expect(lacking.status == 403)
      #expect(
        lacking.fields["www-authenticate"]?.hasPrefix("Bearer error=\"insufficient_scope\", scope=\"chat\"") == true)
      for changes: JSONObject in [
        ["sub": "u-2", "scope": "chat"], ["realm_access": ["roles": ["other"]], "scope": "chat"],
        ["realm_access": nil, "scope": "chat"], ["preferred_username": "eve", "scope": "chat"],
      ] { #expect(try await place.status(try await place.provider.token(changes)) == 401) }
    }
  }

  @Test func aTokenThatNamesOurScopesIsHeldToThem() throws {
    try use { place async throws in
      let reading = try await place.provider.token(["scope": "openid parley:read"])
      #expect(try await place.status(reading) == 200)
      let post: JSONValue = ["topic": "general", "content": "x"]
      let refused = try await place.response(reading, "parley_post", post)
      #expect(refused.status == 403)
      let posting = try await place.provider.token(["scope": "parley:post"])
      #expect(try await place.response(posting, "parley_post", post).status == 200)
    }
  }

  @Test func newKeysAreFetchedWhenATokenNamesThem() throws {
    try use { place async throws in
      #expect(try await place.status(try await place.provider.token()) == 200)
      let next = try await place.provider.token(key: "rsa-2")
      #expect(try await place.status(next) == 401)
      #expect(try await place.provider.ask(["do": "show", "keys": ["rsa-2"]]) == "ok")
      #expect(try await place.status(next) == 200)
      // The old one is gone with the set.
      #expect(try await place.status(try await place.provider.token()) == 401)
    }
  }

  @Test func strangersCannotMakeItAskOftenNorManyAtOnce() throws {
    try use(interval: .seconds(600)) { place async throws in
      let good = try await place.provider.token()
      let tasks = (0..<8).map { _ in place.world.loop.spawn { try? await place.status(good) } }
      for task in tasks { #expect(await task.value == 200) }
      for _ in 0..<5 { #expect(try await place.status(try await place.provider.token(key: "thief")) == 401) }
      #expect(try await place.provider.count("/keys") == 1)
    }
  }

  @Test func aProviderThatSpeaksForAnotherIsNotBelieved() throws {
    for metadata: JSONValue in [
      ["issuer": "https://evil.example"], ["jwks_uri": "http://127.0.0.1:1/keys"], ["jwks_uri": 7],
    ] {
      try use { place async throws in
        #expect(try await place.provider.ask(["do": "say", "metadata": metadata]) == "ok")
        #expect(try await place.status(try await place.provider.token()) == 401)
        #expect(try await place.provider.count("/keys") == 0)
      }
    }
  }
}
