import ParleyHTTPServer
import ParleyRuntime
import ParleyTLS

extension AuthorizationServer {
  // MARK: The page

  /// Shows the owner who asks for what; nothing is kept.
  func authorize(_ head: RequestHead, _ address: IPAddress?) async -> HTTPResponse {
    guard pageLimiter.take(address, now: now) else {
      metrics.refused(.limit)
      return page(429, "Too many requests", "Try again in a quarter of an hour.", fields: [("Retry-After", "900")])
    }
    guard let fields = FormFields(head.query ?? "") else {
      return page(400, "This cannot be done", "The request cannot be read.")
    }
    let request: AuthorizationRequest
    do throws(AuthorizationRequest.Failure) {
      request = try await AuthorizationRequest.read(
        fields, resource: options.address.resource, find: { await self.clients.find($0) })
    } catch {
      switch error {
      case .page(let text):
        Audit.note("authorization refused", address, [("reason", text)])
        return page(400, "This cannot be done", text)
      case .redirect(let redirect, let state, let failure):
        Audit.note("authorization refused", address, [("reason", failure.reason)])
        return answer(
          redirect, state: state, [("error", failure.code.rawValue), ("error_description", failure.reason)])
      }
    }
    let cookie = Base64.encodeURL([UInt8](random: 32))
    let pending = PendingConsent(
      clientID: request.client.id, redirect: request.redirect, state: request.state, challenge: request.challenge,
      scopes: request.scopes, expires: now + options.pageLifetime, cookie: cookiePrefix + Secret.makeID(),
      cookieDigest: Secret.digest(cookie))
    var line = "\(pending.cookie)=\(cookie); Path=/; Max-Age=\(options.pageLifetime / 1000); HttpOnly; SameSite=Strict"
    if options.address.isSecure { line += "; Secure" }
    let shown = ConsentPage(
      client: request.client, redirect: request.redirect, scopes: request.scopes, sealed: pending.seal(store.key),
      handle: options.handle.name, suggestions: options.suggestions.map(\.name))
    return shown.page.response(200, fields: [("Set-Cookie", line)])
  }

  /// Browsers hold such a name to this very host, but know it only where the connection is encrypted.
  private var cookiePrefix: String { options.address.isSecure ? "__Host-parley-" : "parley-" }

  func page(
    _ status: Int, _ title: String, _ text: String, fields: [(name: String, value: String)] = []
  ) -> HTTPResponse {
    ConsentPage.message(title, text).response(status, fields: fields)
  }

  /// Sends the browser back to the client; every answer names its issuer (RFC 9207).
  private func answer(_ redirect: RedirectURI, state: String?, _ fields: [(String, String)]) -> HTTPResponse {
    var all = fields
    if let state { all.append(("state", state)) }
    all.append(("iss", options.address.issuer))
    return HTTPResponse(303, fields: [("Location", redirect.with(all))])
  }

  // MARK: The answer

  /// Takes the owner's answer.
  func consent(_ head: RequestHead, _ body: [UInt8], _ address: IPAddress?) async -> HTTPResponse {
    guard let form = FormFields(body), !form.repeats(["request", "passphrase", "handle", "decision"]),
      let sealed = form["request"], let pending = PendingConsent.open(sealed, store.key, now: now)
    else {
      return page(400, "This page is too old", "Go back to the program and let it connect anew.")
    }
    // Only the browser that the page was shown to may answer it, and only from that page.
    guard let cookie = Self.cookie(pending.cookie, of: head),
      Array(Secret.digest(cookie).utf8).isIdentical(to: Array(pending.cookieDigest.utf8)),
      ["same-origin", nil].contains(head.fields["sec-fetch-site"])
    else {
      Audit.note("consent from elsewhere refused", address, level: .warning)
      return page(
        403, "This page was not shown to this browser", "Allow cookies of this site, and let the program connect anew.")
    }
    guard let client = await clients.find(pending.clientID), client.serves(pending.redirect) else {
      return page(400, "This cannot be done", "The program is not known any longer. Let it connect anew.")
    }
    guard form["decision"] == "allow" else {
      Audit.note("consent refused by the owner", address, [("client", OAuthClient.shortID(client.id))], level: .notice)
      return answer(
        pending.redirect, state: pending.state,
        [("error", OAuthError.Code.accessDenied.rawValue), ("error_description", "the owner refused")])
    }
    return await allow(pending, client, form, sealed, address)
  }

  private func allow(
    _ pending: PendingConsent, _ client: OAuthClient, _ form: FormFields, _ sealed: String, _ address: IPAddress?
  ) async -> HTTPResponse {
    let handle = Handle(form["handle"] ?? "")
    func again(_ status: Int, _ error: String, _ fields: [(name: String, value: String)] = []) -> HTTPResponse {
      let shown = ConsentPage(
        client: client, redirect: pending.redirect, scopes: pending.scopes, sealed: sealed, handle: handle.name,
        suggestions: options.suggestions.map(\.name), error: error)
      return shown.page.response(status, fields: fields)
    }
    if let problem = handle.problem(limit: options.handleLimit) {
      return again(400, "The name it posts as \(problem).")
    }
    let ticked = Set(form.all("scope").compactMap(Scope.init)).union([.read])
    let scopes = Scopes(ticked).intersection(pending.scopes)
    guard !scopes.isEmpty else { return again(400, "Tick what it may do, or refuse.") }
    let isTrusted = address.map(ownersAddresses.contains) ?? false
    guard passphraseLimiter.take(address, now: now, isTrusted: isTrusted) else {
      metrics.refused(.limit)
      Audit.note("too many wrong passphrases", address, level: .warning)
      return again(429, "Too many wrong passphrases. Try again in a quarter of an hour.", [("Retry-After", "900")])
    }
    switch await isOwner(form["passphrase"] ?? "") {
    case nil: return again(503, "Others are being checked right now. Try again.", [("Retry-After", "2")])
    case false?:
      metrics.refused(.passphrase)
      Audit.note("wrong passphrase", address, [("client", OAuthClient.shortID(client.id))], level: .warning)
      return again(403, "That is not your passphrase.")
    case true?:
      passphraseLimiter.giveBack(address, now: now)
      if let address { ownersAddresses = [address] + ownersAddresses.filter { $0 != address }.prefix(15) }
    }
    return await grant(pending, client, scopes, handle, address)
  }

  /// Whether it is the owner's passphrase; nil where too many are being checked.
  private func isOwner(_ passphrase: String) async -> Bool? {
    guard verifying < 2 else { return nil }
    let check: @Sendable () -> Bool
    if let isOwner = options.isOwner {
      check = { isOwner(passphrase) }
    } else {
      guard let record = store.state().owner else { return false }
      let verify = options.verify
      check = { verify(passphrase, record) }
    }
    verifying += 1
    defer { verifying -= 1 }
    guard case .value(let isRight)? = try? await loop.offload(named: "passphrase", until: nil, check) else {
      return nil
    }
    return isRight
  }

  private func grant(
    _ pending: PendingConsent, _ client: OAuthClient, _ scopes: Scopes, _ handle: Handle, _ address: IPAddress?
  ) async -> HTTPResponse {
    let now = now
    let code = Secret.code.make()
    let id = Secret.makeID()
    let record = ClientRecord(
      id: client.id, shortID: OAuthClient.shortID(client.id), name: client.name, kind: client.kind, created: now,
      lastUse: now)
    let consent = AuthState.Consent(
      client: record, scopes: scopes, handle: handle, resource: options.address.resource,
      redirectURI: pending.redirect.text, challenge: pending.challenge)
    let lifetimes = options.lifetimes
    do throws(AuthStoreError) {
      try await store.change(on: loop) {
        $0.consent(consent, grant: id, code: Secret.digest(code), now: now, lifetimes)
      }
    } catch {
      Audit.note("the consent could not be kept", address, [("cause", error.description)], level: .error)
      return answer(
        pending.redirect, state: pending.state,
        [("error", unavailable.code.rawValue), ("error_description", unavailable.reason)])
    }
    Audit.note(
      "consent given", address,
      [("grant", id), ("client", record.shortID), ("handle", handle.name), ("scopes", scopes.text)], level: .notice)
    return answer(pending.redirect, state: pending.state, [("code", code)])
  }

  /// RFC 6265 section 5.4.
  private static func cookie(_ name: String, of head: RequestHead) -> String? {
    for pair in head.fields.all("cookie").flatMap({ $0.split(separator: ";") }) {
      let parts = pair.split(separator: "=", maxSplits: 1)
      if parts.count == 2, HeaderFields.trimmed(parts[0]) == name { return HeaderFields.trimmed(parts[1]) }
    }
    return nil
  }
}
