import ParleyRuntime
import Testing

@testable import ParleyRemote

/// What an attacker tries: each is refused, and nobody else notices.
@Suite struct OAuthAbuseTests {
  @Test func aCodeIsGoodForOneClientOnce() throws {
    try OAuthWorld.use { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      let thief = try #require(try await oauth.register()["client_id"]?.string)
      // The thief's client has a consent of its own, so that it is known.
      _ = try await oauth.code(client: thief)
      for change in [
        ["client_id": thief], ["redirect_uri": "http://localhost:4712/callback"], ["redirect_uri": ""],
        ["code_verifier": String(repeating: "a", count: 43)], ["code_verifier": ""], ["code_verifier": "short"],
        ["resource": "https://evil.example/mcp"], ["resource": OAuthWorld.issuer + "/mcp/"], ["code": "parley_ac_x"],
      ] {
        let response = try await oauth.exchange(try await oauth.code(client: client), client: client, change)
        #expect(response.status == 400 && response.message?["access_token"] == nil, "\(change): \(response.text)")
        #expect(response.fields["cache-control"] == "no-store")
      }
      let code = try await oauth.code(client: client)
      let first = try await oauth.exchange(code, client: client)
      let access = try #require(first.message?["access_token"]?.string)
      #expect(try await oauth.status(of: access) == 200)
      let replay = try await oauth.exchange(code, client: client)
      #expect(replay.status == 400 && replay.message?["error"] == "invalid_grant")
      // What the code had given is taken back: one of the two was a thief.
      #expect(try await oauth.status(of: access) == 401)
    }
  }

  @Test func manyAtOnceUseACodeOnce() throws {
    try OAuthWorld.use { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      let code = try await oauth.code(client: client)
      let tasks = (0..<12).map { _ in
        oauth.world.loop.spawn { try? await oauth.exchange(code, client: client).status }
      }
      var statuses: [Int?] = []
      for task in tasks { statuses.append(await task.value) }
      #expect(statuses.count { $0 == 200 } == 1 && statuses.count { $0 == 400 } == 11, "\(statuses)")
      #expect(oauth.store.state().access.isEmpty)
    }
  }

  @Test func aCodeEnds() throws {
    try OAuthWorld.use({ $0.lifetimes.code = 0 }) { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      let late = try await oauth.exchange(try await oauth.code(client: client), client: client)
      #expect(late.status == 400 && late.message?["error"] == "invalid_grant")
    }
  }

  @Test func aStolenRefreshTokenEndsEverything() throws {
    try OAuthWorld.use({ $0.lifetimes.grace = -1 }) { oauth async throws in
      let login = try await oauth.login()
      let renewed = try #require(
        try await oauth.refresh(login.refresh, client: login.client).message?["access_token"]?.string)
      #expect(try await oauth.status(of: renewed) == 200)
      #expect(try await oauth.refresh(login.refresh, client: login.client).message?["error"] == "invalid_grant")
      #expect(try await oauth.status(of: renewed) == 401)
    }
  }

  @Test func tokensOfAnotherServerOrResourceAreNone() throws {
    try OAuthWorld.use { oauth async throws in
      let login = try await oauth.login()
      // As if the door had moved: what was given for the old place does not count at the new one.
      try oauth.store.changeNow { state in
        for id in state.grants.keys { state.grants[id]?.resource = "https://old.example.org/mcp" }
      }
      #expect(try await oauth.status(of: login.access) == 401)
      // Neither a refresh token nor a code is an access token.
      let other = try await oauth.login()
      #expect(try await oauth.status(of: other.refresh) == 401)
    }
  }

  @Test func answersGoNowhereElse() throws {
    try OAuthWorld.use { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      for redirect in [
        "https://evil.example/cb", "http://localhost@evil.example/callback", "http://localhost:4711/callback/../x",
        "http://localhost:4711/callback%2f", "http://localhost:4711/callback#x", "http://localhost:4711/callback?x=1",
        "http://localhost:4711\\@evil.example/callback", "http://127.0.0.1:4711/callback", "//evil.example",
        "javascript:alert(1)", "HTTP://localhost:4711/callback", "http://localhost.evil.example:4711/callback",
        "http://localhost:4711/callback ", "http://localhost:4711/callback\r\nX: y",
      ] {
        let response = try await oauth.get(
          "/authorize?" + OAuthWorld.query(client: client, ["redirect_uri": redirect]))
        #expect(response.status == 400 && response.fields["location"] == nil, "\(redirect)")
        #expect(response.fields["content-type"] == "text/html; charset=utf-8")
      }
      let twice = try await oauth.get(
        "/authorize?" + OAuthWorld.query(client: client) + "&redirect_uri=https%3A%2F%2Fevil.example%2Fcb")
      #expect(twice.status == 400 && twice.fields["location"] == nil)
      for id in ["nobody", "parley.x.y", client + "A", "https://127.0.0.1/x", "https://evil.example/x"] {
        let response = try await oauth.get("/authorize?" + OAuthWorld.query(client: id))
        #expect(response.status == 400 && response.fields["location"] == nil, "\(id)")
      }
    }
  }

  @Test func requestsThatAreWrongAreToldToTheClientWithTheIssuer() throws {
    try OAuthWorld.use { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      for (change, error) in [
        (["response_type": "token"], "unsupported_response_type"), (["response_type": ""], "unsupported_response_type"),
        (["code_challenge_method": "plain"], "invalid_request"), (["code_challenge_method": ""], "invalid_request"),
        (["code_challenge": ""], "invalid_request"), (["code_challenge": "abc"], "invalid_request"),
        (["scope": "parley:everything"], "invalid_scope"), (["scope": "parley:relay"], "invalid_scope"),
        (["resource": "https://evil.example/mcp"], "invalid_target"),
      ] {
        let response = try await oauth.get("/authorize?" + OAuthWorld.query(client: client, change))
        let fields = try OAuthWorld.location(response)
        #expect(fields["error"] == error && fields["iss"] == OAuthWorld.issuer && fields["state"] == "a state")
        #expect(fields["code"] == nil)
      }
      let twice = try await oauth.get("/authorize?" + OAuthWorld.query(client: client) + "&scope=parley%3Aread")
      #expect(try OAuthWorld.location(twice)["error"] == "invalid_request")
    }
  }

  @Test func thePageCannotBeAnsweredFromElsewhere() throws {
    try OAuthWorld.use { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      let page = try await oauth.page(client: client)
      let cookie = try #require(page.response.fields["set-cookie"])
      #expect(cookie.hasPrefix("__Host-parley-") && cookie.contains("; HttpOnly; SameSite=Strict; Secure"))
      #expect(cookie.contains("; Path=/; ") && !cookie.contains("Domain"))
      for fields in [
        ["Cookie": ""], ["Cookie": "x=y"], ["Cookie": page.cookie + "x"], ["Sec-Fetch-Site": "cross-site"],
        ["Sec-Fetch-Site": "same-site"], ["Origin": "https://evil.example"], ["Origin": "null"],
      ] {
        let response = try await oauth.answer(page, fields)
        #expect(response.status == 403 && response.fields["location"] == nil, "\(fields)")
      }
      // Another page's cookie does not fit, nor does a changed request.
      let other = try await oauth.page(client: client)
      var mixed = page
      mixed.cookie = other.cookie
      #expect(try await oauth.answer(mixed).status == 403)
      mixed = page
      mixed.sealed = "A" + page.sealed.dropFirst()
      #expect(try await oauth.answer(mixed).status == 400)
      #expect(try await oauth.answer(page, ["Content-Type": "text/plain"]).status == 415)
      #expect(try await oauth.answer(page).status == 303)
    }
  }

  @Test func thePageIsSafeToShow() throws {
    try OAuthWorld.use { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      let page = try await oauth.page(client: client)
      let text = page.response.text
      #expect(text.contains("&lt;b&gt;Test &amp; &quot;co&quot;&lt;/b&gt;") && !text.contains("<b>"))
      #expect(text.contains("Nobody has checked that name") && !text.contains("<script") && !text.contains("style=\""))
      let policy = try #require(page.response.fields["content-security-policy"])
      #expect(policy.hasPrefix("default-src 'none'; style-src 'sha256-") && policy.contains("frame-ancestors 'none'"))
      #expect(policy.contains("form-action 'self' http://localhost:4711;"))
      #expect(page.response.fields["x-frame-options"] == "DENY")
      #expect(page.response.fields["strict-transport-security"] == "max-age=31536000")
      #expect(page.response.fields["cache-control"] == "no-store")
      // What was typed comes back as text.
      let again = try await oauth.answer(page, passphrase: "wrong", handle: "\"><script>alert(1)</script>")
      #expect(again.status == 403 && again.text.contains("&quot;&gt;&lt;script&gt;") && !again.text.contains("<script"))
      for handle in ["", "all", "system", " ", "a\u{202E}b", "a\u{0}b", String(repeating: "x", count: 129)] {
        let response = try await oauth.answer(page, handle: handle)
        #expect(response.status == 400 && response.fields["location"] == nil, "\(handle)")
      }
    }
  }

  @Test func theOwnerMayRefuseWithoutAPassphrase() throws {
    try OAuthWorld.use { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      let response = try await oauth.answer(try await oauth.page(client: client), passphrase: "", decision: "deny")
      let fields = try OAuthWorld.location(response)
      #expect(fields["error"] == "access_denied" && fields["code"] == nil && fields["iss"] == OAuthWorld.issuer)
      #expect(oauth.store.state().grants.isEmpty && oauth.store.state().clients.isEmpty)
    }
  }

  @Test func passphrasesCannotBeTriedForLong() throws {
    try OAuthWorld.use(
      door: {
        $0.owner.attempts = (perAddress: 3, inAll: 4)
        $0.access.proxies = [AddressRange("127.0.0.1")].compactMap { $0 }
      }
    ) { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      let page = try await oauth.page(client: client)
      func guess(_ passphrase: String, from address: String) async throws -> WebResponse {
        try await oauth.answer(page, passphrase: passphrase, ["X-Forwarded-For": address])
      }
      for _ in 0..<3 { #expect(try await guess("wrong", from: "198.51.100.1").status == 403) }
      let limited = try await guess(OAuthWorld.passphrase, from: "198.51.100.1")
      #expect(limited.status == 429 && limited.fields["retry-after"] == "900" && limited.fields["location"] == nil)
      // The owner, from elsewhere, is not disturbed, and does not count.
      for _ in 0..<3 { #expect(try await guess(OAuthWorld.passphrase, from: "198.51.100.2").status == 303) }
      #expect(try await guess("wrong", from: "198.51.100.3").status == 403)
      #expect(try await guess(OAuthWorld.passphrase, from: "198.51.100.4").status == 429, "all together")
      // Guesses from everywhere do not shut the owner out where it was before.
      #expect(try await guess(OAuthWorld.passphrase, from: "198.51.100.2").status == 303)
    }
  }

  @Test func registrationsAndGuessedCodesAreLimited() throws {
    try OAuthWorld.use({
      $0.registrations = (perAddress: 3, inAll: 100)
      $0.refusedTokens = (perAddress: 3, inAll: 100)
      $0.pages = (perAddress: 4, inAll: 100)
    }) { oauth async throws in
      var client = ""
      for _ in 0..<3 { client = try #require(try await oauth.register()["client_id"]?.string) }
      let fourth = try await oauth.world.request(
        "POST", "/register", [:], #"{"redirect_uris":["\#(OAuthWorld.redirect)"]}"#)
      #expect(fourth.status == 429)
      // Whoever registered before is not pushed out.
      let code = try await oauth.code(client: client)
      #expect(try await oauth.exchange(code, client: client).status == 200)
      for _ in 0..<3 { #expect(try await oauth.exchange("parley_ac_guess", client: client).status == 400) }
      #expect(try await oauth.exchange("parley_ac_guess", client: client).status == 429)
      for _ in 0..<3 { #expect(try await oauth.page(client: client).response.status == 200) }
      #expect(try await oauth.get("/authorize?" + OAuthWorld.query(client: client)).status == 429)
    }
  }

  @Test func endpointsTakeOnlyWhatTheyAreFor() throws {
    try OAuthWorld.use { oauth async throws in
      for path in ["/token", "/revoke", "/register", "/authorize/consent"] {
        #expect(try await oauth.get(path).status == 405, "\(path)")
        #expect(try await oauth.world.request("POST", path, ["Content-Type": "text/plain"], "x").status == 415)
        let large = String(repeating: "x", count: AuthorizationServer.bodyLimit + 1)
        let type = path == "/register" ? "application/json" : "application/x-www-form-urlencoded"
        #expect(try await oauth.world.request("POST", path, ["Content-Type": type], large).status == 413)
      }
      #expect(try await oauth.post("/authorize", []).status == 405)
      #expect(try await oauth.get("/authorize/").status == 404)
      let client = try #require(try await oauth.register()["client_id"]?.string)
      _ = try await oauth.code(client: client)
      for (form, error) in [
        ([("client_id", client)], "invalid_request"),
        ([("grant_type", "password"), ("client_id", client)], "unsupported_grant_type"),
        ([("grant_type", "refresh_token"), ("client_id", client)], "invalid_request"),
        ([("grant_type", "refresh_token"), ("refresh_token", "x")], "invalid_request"),
        ([("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", client)], "invalid_grant"),
        (
          [
            ("grant_type", "refresh_token"), ("grant_type", "refresh_token"), ("refresh_token", "x"),
            ("client_id", client),
          ],
          "invalid_request"
        ),
      ] {
        let response = try await oauth.post("/token", form)
        #expect(response.status == 400 && response.message?["error"] == .string(error), "\(form)")
      }
      let unknown = try await oauth.post("/token", [("grant_type", "refresh_token"), ("client_id", "nobody")])
      #expect(unknown.status == 401 && unknown.message?["error"] == "invalid_client")
      #expect(try await oauth.post("/revoke", [("client_id", client)]).status == 400)
      #expect(try await oauth.post("/revoke", [("token", "x"), ("client_id", client)]).status == 200)
    }
  }

  @Test func aRevokedClientMustRegisterAgain() throws {
    try OAuthWorld.use { oauth async throws in
      let login = try await oauth.login()
      try oauth.store.changeNow { $0.revoke(client: login.client, now: 1, AuthState.Lifetimes()) }
      try oauth.store.changeNow { $0.clients[login.client]?.revokedUntil = .max }
      #expect(try await oauth.status(of: login.access) == 401)
      let refused = try await oauth.refresh(login.refresh, client: login.client)
      #expect(refused.status == 401 && refused.message?["error"] == "invalid_client")
      let page = try await oauth.get("/authorize?" + OAuthWorld.query(client: login.client))
      #expect(page.status == 400 && page.fields["location"] == nil)
    }
  }

  @Test func addressesAreJudgedButForPeople() throws {
    try OAuthWorld.use(door: { $0.access.allowedFrom = [AddressRange("160.79.104.0/21")].compactMap { $0 } }) {
      oauth async throws in
      #expect(try await oauth.post("/token", []).status == 403)
      #expect(try await oauth.post("/revoke", []).status == 403)
      #expect(try await oauth.world.request("POST", "/register", [:], "{}").status == 403)
      // The owner's browser is not where the clients are.
      #expect(try await oauth.get("/authorize").status == 400)
      for path in ["/authorize", "/.well-known/oauth-authorization-server"] {
        #expect(try await oauth.get(path, ["Host": "evil.example"]).status == 403)
      }
    }
  }
}
