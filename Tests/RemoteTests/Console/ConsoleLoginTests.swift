import ParleyRuntime
import Testing

@testable import ParleyRemote

/// Who gets to see the console, and who may write by it.
@Suite struct ConsoleLoginTests {
  @Test func thereIsNoneUnlessItIsConfigured() throws {
    try RemoteWorld.use { world async throws in
      for path in ["/console", "/console/login", "/console/events"] {
        #expect(try await world.request("GET", path).status == 404)
      }
    }
  }

  @Test func strangersSeeTheLoginPageAlone() throws {
    try ConsoleWorld.use { console async throws in
      for path in ["", "/topic?name=general", "/tasks", "/approvals", "/health", "/events"] {
        let response = try await console.get("/console" + path)
        #expect(response.status == 303 && response.fields["location"] == "/console/login", "\(path)")
      }
      for path in ["post", "read", "task", "approve", "logout"] {
        let response = try await console.send("/console/\(path)", [("topic", "general"), ("text", "x")], nil)
        #expect(response.status == 303 && response.fields["location"] == "/console/login", "\(path)")
      }
      let forged = ConsoleWorld.Login(cookie: "parley-console-x=parley_lg_guess", token: "guess")
      #expect(try await console.get("/console", forged).status == 303)
      #expect(try await console.world.messages().isEmpty)
      #expect(try await console.get("/console/nothing").status == 404)
      #expect(try await console.world.request("PUT", "/console").status == 405)
    }
  }

  @Test func theLoginIsACookieThatScriptsAndOtherSitesDoNotGet() throws {
    try ConsoleWorld.use { console async throws in
      #expect(try await console.answer("wrong").status == 403)
      let entered = try await console.answer(ConsoleWorld.passphrase)
      let line = try #require(entered.fields["set-cookie"])
      for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"] {
        #expect(line.contains(part), "\(line)")
      }
      let secret = try #require(line.split(separator: "=").dropFirst().first?.prefix { $0 != ";" })
      #expect(secret.utf8.count > 43 && console.store.state().logins[Secret.digest(String(secret))] != nil)
      let page = try await console.get("/console", try await console.login())
      let policy = try #require(page.fields["content-security-policy"])
      for part in [
        "default-src 'none'", "style-src 'sha256-", "script-src 'sha256-", "connect-src 'self'",
        "require-trusted-types-for 'script'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'",
      ] { #expect(policy.contains(part), "\(policy)") }
      #expect(!policy.contains("unsafe") && page.fields["x-frame-options"] == "DENY")
      #expect(page.fields["cache-control"] == "no-store")
    }
  }

  @Test func overTLSCookiesAreForTLSAlone() throws {
    try ConsoleWorld.use({ console, _ in console.isSecure = true }) { console async throws in
      #expect(try await console.answer(ConsoleWorld.passphrase).status == 403, "a page in clear")
      let secure = ["Origin": "https://\(console.world.authority)"]
      let line = try #require(try await console.answer(ConsoleWorld.passphrase, secure).fields["set-cookie"])
      #expect(line.hasPrefix("__Host-parley-console-") && line.hasSuffix("; Secure"), "\(line)")
    }
  }

  @Test func formsAreTakenFromTheDoorsOwnPagesAlone() throws {
    try ConsoleWorld.use({ _, door in
      door.access.origins = ["https://other.example"]
      door.pages = ["https://other.example"]
    }) { console async throws in
      let login = try await console.login()
      func send(_ login: ConsoleWorld.Login, _ fields: [String: String] = [:]) async throws -> Int {
        try await console.send("/console/post", [("topic", "general"), ("text", "forged")], login, fields).status
      }
      var wrong = login
      wrong.token = try await console.loginPage().token
      #expect(try await send(wrong) == 403, "another form's token")
      wrong.token = ""
      #expect(try await send(wrong) == 403, "no token")
      // An origin that may call /v1 may not write here.
      for origin in ["https://other.example", "https://evil.example", "null", ""] {
        #expect(try await send(login, ["Origin": origin]) == 403, "\(origin)")
      }
      #expect(try await send(login, ["Sec-Fetch-Site": "cross-site"]) == 403)
      #expect(try await send(login, ["Content-Type": "text/plain"]) == 415)
      #expect(try await console.world.messages().isEmpty)
      // A login form is only taken from the browser that it was shown to.
      var page = try await console.loginPage()
      page.cookie = try await console.loginPage().cookie
      let form = [("passphrase", ConsoleWorld.passphrase)]
      #expect(try await console.send("/console/login", form, page).status == 403)
      #expect(try await send(login) == 303)
      #expect(try await console.world.messages().count == 1)
    }
  }

  @Test func guessesCountTogetherWithThoseAtTheConsentPage() throws {
    try OAuthWorld.use(door: { door in
      door.owner.attempts = (perAddress: 3, inAll: 100)
      guard let store = door.authorization?.store else { return }
      door.console = ConsoleOptions(store: store, handle: Handle("ann"), isSecure: true)
      door.console?.origin = OAuthWorld.issuer
    }) { oauth async throws in
      let client = try #require(try await oauth.register()["client_id"]?.string)
      let consent = try await oauth.page(client: client)
      for _ in 0..<2 { #expect(try await oauth.answer(consent, passphrase: "wrong").status == 403) }
      func guess(_ passphrase: String) async throws -> WebResponse {
        let page = try await oauth.get("/console/login")
        return try await oauth.post(
          "/console/login", [("token", try ConsoleWorld.token(in: page)), ("passphrase", passphrase)],
          ["Cookie": try ConsoleWorld.cookie(of: page), "Origin": OAuthWorld.issuer])
      }
      #expect(try await guess("wrong").status == 403)
      let limited = try await guess(OAuthWorld.passphrase)
      #expect(limited.status == 429 && limited.fields["retry-after"] == "900")
      #expect(try await oauth.answer(consent).status == 429)
      #expect(oauth.store.state().logins.isEmpty)
    }
  }

  @Test func aLoginEndsByLoggingOutByTimeAndByAnotherPassphrase() throws {
    try ConsoleWorld.use { console async throws in
      let (login, other) = (try await console.login(), try await console.login())
      let stream = try await console.listen(login)
      let left = try await console.send("/console/logout", [], login)
      #expect(left.status == 303 && left.fields["set-cookie"]?.contains("; Max-Age=0;") == true)
      _ = try await stream.response()
      #expect(try await console.get("/console", login).status == 303)
      #expect(try await console.get("/console", other).status == 200)
      let listening = try await console.listen(other)
      try console.store.changeNow { $0.setOwner("another") }
      _ = try await listening.response()
      #expect(try await console.get("/console", other).status == 303)
    }
    try ConsoleWorld.use({ console, _ in console.lifetime = .milliseconds(1_500) }) { console async throws in
      let login = try await console.login()
      let stream = try await console.listen(login)
      _ = try await stream.response()
      #expect(try await console.get("/console", login).status == 303)
    }
  }

  @Test func loginsAreKeptButNotMany() throws {
    var state = AuthState()
    for number in 0..<20 { state.logIn("d\(number)", until: 1_000 + WallTime(number), now: 0) }
    #expect(state.logins.count == AuthState.loginLimit && state.logins["d3"] == nil && state.logins["d19"] != nil)
    var read = AuthState()
    for record in state.records {
      let isTaken = read.take(record)
      #expect(isTaken)
    }
    #expect(read == state)
    state.sweep(now: 1_018, AuthState.Lifetimes())
    #expect(Set(state.logins.keys) == ["d19"])
  }
}
