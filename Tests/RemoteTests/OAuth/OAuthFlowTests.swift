import ParleyRuntime
import Testing

@testable import ParleyRemote

/// The way in for a client: what it is told, what the owner sees, what it gets, and how that ends.
@Suite struct OAuthFlowTests {
  @Test func clientsAreToldTheWay() throws {
    try OAuthWorld.use { oauth async throws in
      let stranger = try await oauth.world.request("POST", "/mcp", [:], "{}")
      let challenge = try #require(stranger.fields["www-authenticate"])
      #expect(
        stranger.status == 401
          && challenge
            == "Bearer resource_metadata=\"\(OAuthWorld.issuer)/.well-known/oauth-protected-resource/mcp\", "
            + "scope=\"parley:read parley:post\""
      )
      let wrong = try await oauth.call("parley_status", token: "parley_at_wrong")
      #expect(wrong.fields["www-authenticate"]?.hasPrefix("Bearer error=\"invalid_token\", resource_metadata=") == true)
      for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let document = try await oauth.get(path)
        #expect(document.status == 200 && document.message?["resource"] == .string(OAuthWorld.issuer + "/mcp"))
        #expect(document.message?["authorization_servers"] == [.string(OAuthWorld.issuer)])
        #expect(document.message?["scopes_supported"] == ["parley:read", "parley:post"])
      }
      for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let document = try #require(try await oauth.get(path).message)
        #expect(document["issuer"] == .string(OAuthWorld.issuer))
        #expect(document["code_challenge_methods_supported"] == ["S256"])
        #expect(document["authorization_response_iss_parameter_supported"] == true)
        #expect(document["client_id_metadata_document_supported"] == true)
        for endpoint in ["authorization", "token", "registration", "revocation"] {
          #expect(document["\(endpoint)_endpoint"]?.string?.hasPrefix(OAuthWorld.issuer + "/") == true)
        }
      }
      #expect(try await oauth.post("/.well-known/oauth-authorization-server", []).status == 405)
    }
  }

  @Test func fromRegistrationToAToolCall() throws {
    try OAuthWorld.use { oauth async throws in
      let login = try await oauth.login()
      let posted = try await oauth.call(
        "parley_post", ["topic": "general", "content": "from a client"], token: login.access)
      #expect(posted.status == 200 && posted.message?["result"]?["isError"] == nil, "\(posted.text)")
      // Under the handle that the owner chose.
      let read = try await oauth.call("parley_fetch_recent", ["topic": "general"], token: login.access)
      let message = read.message?["result"]?["structuredContent"]?["messages"]?[0]
      #expect(message?["senderHandle"] == "ada" && message?["content"] == "from a client")
      // What is kept is no secret.
      let records = oauth.store.state().records.map(\.text).joined()
      #expect(!records.contains(login.access) && !records.contains(login.refresh))
      // A token in the address is none.
      let query = try await oauth.world.request("POST", "/mcp?access_token=\(login.access)", [:], "{}")
      #expect(query.status == 401)
    }
  }

  @Test func clientsWithASecretMustShowIt() throws {
    try OAuthWorld.use { oauth async throws in
      for method in ["client_secret_post", "client_secret_basic"] {
        let registered = try await oauth.register(method: method)
        let client = try #require(registered["client_id"]?.string)
        let secret = try #require(registered["client_secret"]?.string)
        #expect(registered["client_secret_expires_at"] == 0)
        let basic = ["Authorization": "Basic " + Base64.encode(Array("\(client):\(secret)".utf8))]
        let none = try await oauth.exchange(try await oauth.code(client: client), client: client)
        #expect(none.status == 401 && none.message?["error"] == "invalid_client")
        let wrong = try await oauth.exchange(
          try await oauth.code(client: client), client: client, ["client_secret": secret + "x"])
        #expect(wrong.status == 401)
        let code = try await oauth.code(client: client)
        let right =
          method == "client_secret_post"
          ? try await oauth.exchange(code, client: client, ["client_secret": secret])
          : try await oauth.exchange(code, client: client, ["client_id": ""], basic)
        #expect(right.status == 200, "\(right.text)")
        let both = try await oauth.exchange(
          try await oauth.code(client: client), client: client, ["client_secret": secret], basic)
        #expect(both.status == 401)
      }
    }
  }

  @Test func pinnedClientsNeedNoRegistration() throws {
    try OAuthWorld.use { oauth async throws in
      let web = "https://claude.ai/oauth/mcp-oauth-client-metadata"
      let redirect = "https://claude.ai/api/mcp/auth_callback"
      let page = try await oauth.page(client: web, ["redirect_uri": redirect])
      #expect(
        page.response.text.contains("Claude, known to Parley") && page.response.text.contains("https://claude.ai"))
      #expect(
        page.response.fields["content-security-policy"]?.contains("form-action 'self' https://claude.ai;") == true)
      let code = try #require(try OAuthWorld.location(try await oauth.answer(page), redirect: redirect)["code"])
      #expect(try await oauth.exchange(code, client: web, ["redirect_uri": redirect]).status == 200)
      // Claude Code, on any port of this computer.
      let terminal = "https://claude.ai/oauth/claude-code-client-metadata"
      #expect(
        try await oauth.page(client: terminal, ["redirect_uri": "http://localhost:50123/callback"]).response.text
          .contains("on the computer that you are using now"))
      let elsewhere = try await oauth.get(
        "/authorize?" + OAuthWorld.query(client: web, ["redirect_uri": "https://evil.example/cb"]))
      #expect(elsewhere.status == 400 && elsewhere.fields["location"] == nil)
    }
  }

  @Test func clientsWithADocumentAreAskedFor() throws {
    let id = "https://zed.dev/oauth/client-metadata.json"
    try OAuthWorld.use({
      $0.fetch = { url, _ in
        url == id
          ? Array(#"{"client_id":"\#(id)","client_name":"Zed","redirect_uris":["\#(OAuthWorld.redirect)"]}"#.utf8) : nil
      }
    }) { oauth async throws in
      let page = try await oauth.page(client: id)
      #expect(page.response.text.contains("Zed, as it calls itself at <strong>zed.dev</strong>"))
      let code = try #require(try OAuthWorld.location(try await oauth.answer(page))["code"])
      #expect(try await oauth.exchange(code, client: id).status == 200)
      let unknown = try await oauth.get("/authorize?" + OAuthWorld.query(client: "https://other.example/x"))
      #expect(unknown.status == 400 && unknown.fields["location"] == nil)
    }
  }

  @Test func theOwnerNarrowsWhatIsGiven() throws {
    try OAuthWorld.use { oauth async throws in
      let login = try await oauth.login(scopes: [])
      #expect(try await oauth.call("parley_fetch_recent", ["topic": "general"], token: login.access).status == 200)
      let refused = try await oauth.call(
        "parley_post", ["topic": "general", "content": "x"], token: login.access)
      #expect(refused.status == 403)
      let challenge = try #require(refused.fields["www-authenticate"])
      #expect(
        challenge.hasPrefix(
          "Bearer error=\"insufficient_scope\", scope=\"parley:read parley:post\", resource_metadata="),
        "\(challenge)")
      // A refresh cannot widen it; a new consent can.
      let wider = try await oauth.refresh(login.refresh, client: login.client, ["scope": "parley:post"])
      #expect(wider.status == 400 && wider.message?["error"] == "invalid_scope")
      let code = try await oauth.code(client: login.client)
      let stepped = try #require(
        try await oauth.exchange(code, client: login.client).message?["access_token"]?.string)
      #expect(
        try await oauth.call("parley_post", ["topic": "general", "content": "x"], token: stepped).status == 200)
      // A client that asks for less gets less, whatever is ticked.
      let page = try await oauth.page(client: login.client, ["scope": "parley:read"])
      #expect(!page.response.text.contains("Post and reply"))
      let narrow = try #require(try OAuthWorld.location(try await oauth.answer(page))["code"])
      #expect(try await oauth.exchange(narrow, client: login.client).message?["scope"] == "parley:read")
    }
  }

  @Test func figuresTakeAStepUpOfTheirOwn() throws {
    try OAuthWorld.use { oauth async throws in
      let login = try await oauth.login()
      func figures(_ token: String) async throws -> WebResponse {
        try await oauth.get("/metrics", ["Authorization": "Bearer \(token)"])
      }
      let refused = try await figures(login.access)
      #expect(refused.status == 403)
      #expect(
        refused.fields["www-authenticate"]?.hasPrefix("Bearer error=\"insufficient_scope\", scope=\"parley:admin\"")
          == true)
      let page = try await oauth.page(client: login.client, ["scope": "parley:admin"])
      #expect(page.response.text.contains("value=\"parley:admin\"") && !page.response.text.contains("Post and reply"))
      // Nothing is ticked beforehand, and nothing is not a consent.
      #expect(try await oauth.answer(page).status == 400)
      let fields = try OAuthWorld.location(try await oauth.answer(page, scopes: ["parley:admin"]))
      let issued = try await oauth.exchange(try #require(fields["code"]), client: login.client)
      #expect(issued.message?["scope"] == "parley:admin")
      let admin = try #require(issued.message?["access_token"]?.string)
      #expect(try await figures(admin).text.contains("parley_auth_failures_total{reason=\"scope\"} 1"))
      #expect(try await oauth.status(of: admin) == 403)
    }
  }

  @Test func theScopeCountsInSessionsToo() throws {
    try OAuthWorld.use { oauth async throws in
      let login = try await oauth.login(scopes: [])
      let bearer = ["Authorization": "Bearer \(login.access)"]
      let opened = try await oauth.world.request(
        "POST", "/mcp", bearer,
        RemoteWorld.legacy(
          "initialize",
          ["protocolVersion": "2025-03-26", "capabilities": [:], "clientInfo": ["name": "t", "version": "0"]]))
      let fields = bearer.merging(["Mcp-Session-Id": try #require(opened.fields["mcp-session-id"])]) { $1 }
      let post = RemoteWorld.legacy(
        "tools/call", ["name": "parley_post", "arguments": ["topic": "general", "content": "x"]])
      #expect(try await oauth.world.request("POST", "/mcp", fields, post).status == 403)
      #expect(try await oauth.world.request("POST", "/mcp", fields, "[\(post)]").status == 403)
      let status = RemoteWorld.legacy("tools/call", ["name": "parley_status", "arguments": [:]])
      #expect(try await oauth.world.request("POST", "/mcp", fields, status).status == 200)
    }
  }

  @Test func refreshAndRevocation() throws {
    try OAuthWorld.use { oauth async throws in
      let login = try await oauth.login()
      let renewed = try await oauth.refresh(login.refresh, client: login.client)
      #expect(renewed.status == 200 && renewed.fields["cache-control"] == "no-store")
      let access = try #require(renewed.message?["access_token"]?.string)
      let refresh = try #require(renewed.message?["refresh_token"]?.string)
      #expect(try await oauth.status(of: access) == 200)
      // Another client's word counts for nothing, and is not told so.
      let other = try await oauth.login(handle: "eve")
      #expect(try await oauth.post("/revoke", [("token", refresh), ("client_id", other.client)]).status == 200)
      #expect(try await oauth.status(of: access) == 200)
      #expect(try await oauth.post("/revoke", [("token", refresh), ("client_id", login.client)]).status == 200)
      #expect(try await oauth.status(of: access) == 401)
      #expect(try await oauth.refresh(refresh, client: login.client).message?["error"] == "invalid_grant")
      #expect(try await oauth.status(of: other.access) == 200)
    }
  }

  @Test func streamsEndWithWhatLetThemIn() throws {
    try OAuthWorld.use { oauth async throws in
      let login = try await oauth.login()
      let bearer = ["Authorization": "Bearer \(login.access)"]
      let opened = try await oauth.world.request(
        "POST", "/mcp", bearer,
        RemoteWorld.legacy(
          "initialize",
          ["protocolVersion": "2025-11-25", "capabilities": [:], "clientInfo": ["name": "t", "version": "0"]]))
      let id = try #require(opened.fields["mcp-session-id"])
      let stream = try await oauth.world.begin("GET", "/mcp", bearer.merging(["Mcp-Session-Id": id]) { $1 })
      _ = try await stream.head()
      let listening = try await oauth.world.begin(
        "POST", "/mcp", RemoteWorld.modernFields("subscriptions/listen").merging(bearer) { $1 },
        RemoteWorld.modern("subscriptions/listen", ["notifications": [:]]))
      _ = try await listening.events(1)
      // By another process.
      try oauth.store.changeNow { state in for id in state.grants.keys { state.revoke(grant: id) } }
      _ = try await stream.response()
      _ = try await listening.response()
      #expect(await oauth.world.server.sessionCount == 0)
      #expect(try await oauth.status(of: login.access) == 401)
    }
  }

  @Test func anotherTokenOfTheSameClientGoesOnWithItsSession() throws {
    try OAuthWorld.use { oauth async throws in
      let login = try await oauth.login()
      let opened = try await oauth.world.request(
        "POST", "/mcp", ["Authorization": "Bearer \(login.access)"],
        RemoteWorld.legacy(
          "initialize",
          ["protocolVersion": "2025-11-25", "capabilities": [:], "clientInfo": ["name": "t", "version": "0"]]))
      let id = try #require(opened.fields["mcp-session-id"])
      func status(_ token: String) async throws -> Int {
        try await oauth.world.request(
          "POST", "/mcp", ["Authorization": "Bearer \(token)", "Mcp-Session-Id": id], RemoteWorld.legacy("ping")
        ).status
      }
      let renewed = try await oauth.refresh(login.refresh, client: login.client)
      #expect(try await status(try #require(renewed.message?["access_token"]?.string)) == 200)
      // A guessed session of somebody else's is none.
      #expect(try await status(try await oauth.login(handle: "eve").access) == 404)
    }
  }

  @Test func tokensOfTheOwnerNameTheirHandle() throws {
    try OAuthWorld.use { oauth async throws in
      let (secret, other) = (Secret.token.make(), Secret.token.make())
      try oauth.store.changeNow {
        $0.tokens[Secret.digest(secret)] = TokenRecord(
          id: "1", name: "ci", scopes: .all, handle: Handle("ci"), created: 1, expires: nil)
        $0.tokens[Secret.digest(other)] = TokenRecord(
          id: "2", name: "", scopes: .all, handle: nil, created: 1, expires: 2)
      }
      _ = try await oauth.call("parley_post", ["topic": "general", "content": "built"], token: secret)
      let read = try await oauth.call("parley_fetch_recent", ["topic": "general"], token: secret)
      #expect(read.message?["result"]?["structuredContent"]?["messages"]?[0]?["senderHandle"] == "ci")
      #expect(try await oauth.status(of: other) == 401, "it has ended")
      try oauth.store.changeNow { $0.tokens = [:] }
      #expect(try await oauth.status(of: secret) == 401)
    }
  }
}
