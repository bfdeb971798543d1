import ParleyHTTPServer
import ParleyRuntime
import ParleyTLS

extension AuthorizationServer {
  private static let formFields = [
    "grant_type", "code", "redirect_uri", "client_id", "client_secret", "code_verifier", "refresh_token", "scope",
    "token", "token_type_hint", "resource",
  ]

  /// Gives tokens for a code or a refresh token (RFC 6749 sections 4.1.3 and 6).
  func token(_ head: RequestHead, _ body: [UInt8], _ address: IPAddress?) async -> HTTPResponse {
    // Taken before the work and given back after a good end, so that many at once count too.
    guard tokenLimiter.take(address, now: now) else { return tooMany() }
    do throws(OAuthError) {
      let (form, client) = try read(head, body)
      let response: HTTPResponse
      switch form["grant_type"] {
      case "authorization_code": response = try await exchange(form, client, address)
      case "refresh_token": response = try await rotate(form, client, address)
      case nil: throw OAuthError(.invalidRequest, "grant_type is missing")
      default:
        throw OAuthError(.unsupportedGrantType, "of grant types authorization_code and refresh_token are known here")
      }
      tokenLimiter.giveBack(address, now: now)
      return response
    } catch {
      metrics.refused(.grant)
      Audit.note("token request refused", address, [("error", error.code.rawValue), ("reason", error.reason)])
      return error.response
    }
  }

  private func read(_ head: RequestHead, _ body: [UInt8]) throws(OAuthError) -> (FormFields, client: String) {
    guard let form = FormFields(body) else { throw OAuthError(.invalidRequest, "the form cannot be read") }
    guard !form.repeats(Self.formFields) else {
      throw OAuthError(.invalidRequest, "a parameter is there more than once")
    }
    let authorization = head.fields.all("authorization")
    guard authorization.count <= 1 else { throw OAuthError(.invalidRequest, "two headers Authorization") }
    return (form, try clients.authenticate(form, authorization: authorization.first))
  }

  private func exchange(
    _ form: FormFields, _ client: String, _ address: IPAddress?
  ) async throws(OAuthError) -> HTTPResponse {
    guard let code = form["code"], let redirect = form["redirect_uri"], let verifier = form["code_verifier"] else {
      throw OAuthError(.invalidRequest, "code, redirect_uri and code_verifier are required")
    }
    // RFC 7636 section 4.1.
    guard (43...128).contains(verifier.utf8.count),
      verifier.utf8.allSatisfy({ HostName.isAllowed($0) || $0 == UInt8(ascii: "~") })
    else { throw OAuthError(.invalidRequest, "code_verifier must be 43 to 128 unreserved characters") }
    // Which grant a code stands for never changes.
    let grant = store.state().codes[Secret.digest(code)]?.grant ?? ""
    let (access, refresh) = (Secret.access.make(), store.key.makeRefresh(of: grant))
    let exchange = AuthState.Exchange(
      code: Secret.digest(code), client: client, redirectURI: redirect,
      challenge: Base64.encodeURL(Digest.sha256.hash(Array(verifier.utf8))), resource: form["resource"],
      access: Secret.digest(access), refresh: Secret.digest(refresh))
    let (now, lifetimes) = (now, options.lifetimes)
    let issued = try await change("tokens given", client, address) { $0.exchange(exchange, now: now, lifetimes) }
    return answer(issued, access, refresh)
  }

  private func rotate(
    _ form: FormFields, _ client: String, _ address: IPAddress?
  ) async throws(OAuthError) -> HTTPResponse {
    guard let token = form["refresh_token"] else { throw OAuthError(.invalidRequest, "refresh_token is required") }
    var scopes: Scopes?
    if let text = form["scope"] {
      guard let asked = Scopes(text) else { throw OAuthError(.invalidScope, "a scope is not known here") }
      scopes = asked
    }
    let named = store.key.grant(ofRefresh: token)
    let (access, refresh) = (Secret.access.make(), store.key.makeRefresh(of: named ?? ""))
    let rotation = AuthState.Rotation(
      token: Secret.digest(token), named: named, client: client, scopes: scopes, resource: form["resource"],
      access: Secret.digest(access), refresh: Secret.digest(refresh))
    let (now, lifetimes) = (now, options.lifetimes)
    let issued = try await change("tokens renewed", client, address) { $0.rotate(rotation, now: now, lifetimes) }
    return answer(issued, access, refresh)
  }

  private func change(
    _ event: String, _ client: String, _ address: IPAddress?,
    _ change: @escaping @Sendable (inout AuthState) -> Result<AuthState.Issued, AuthState.Refusal>
  ) async throws(OAuthError) -> AuthState.Issued {
    let outcome: Result<AuthState.Issued, AuthState.Refusal>
    do throws(AuthStoreError) {
      outcome = try await store.change(on: loop, change)
    } catch {
      Audit.note("the auth store failed", address, [("cause", error.description)], level: .error)
      throw unavailable
    }
    switch outcome {
    case .success(let issued):
      Audit.note(event, address, [("grant", issued.grant.id), ("client", OAuthClient.shortID(client))])
      return issued
    case .failure(.scope): throw OAuthError(.invalidScope, "more was asked for than was granted")
    case .failure(.target): throw OAuthError(.invalidTarget, "resource must be the address of this server's /mcp")
    case .failure(.reused(let grant)):
      metrics.refused(.reuse)
      Audit.note(
        "a code or refresh token was used twice: everything under its consent is revoked", address,
        [("grant", grant), ("client", OAuthClient.shortID(client))], level: .warning)
    case .failure(.unknown), .failure(.mismatch): break
    }
    // One answer for all: who guesses learns nothing.
    throw OAuthError(.invalidGrant, "the code or refresh token is not valid")
  }

  private func answer(_ issued: AuthState.Issued, _ access: String, _ refresh: String) -> HTTPResponse {
    let value: JSONValue = [
      "access_token": .string(access), "token_type": "Bearer", "expires_in": .int(issued.lifetime),
      "refresh_token": .string(refresh), "scope": .string(issued.scopes.text),
    ]
    return .json(200, Array(value.text.utf8), fields: [("Pragma", "no-cache")])
  }

  /// Takes back a token (RFC 7009): the answer is the same for one that does not exist.
  func revoke(_ head: RequestHead, _ body: [UInt8], _ address: IPAddress?) async -> HTTPResponse {
    guard tokenLimiter.take(address, now: now) else { return tooMany() }
    do throws(OAuthError) {
      let (form, client) = try read(head, body)
      guard let token = form["token"] else { throw OAuthError(.invalidRequest, "token is required") }
      let digest = Secret.digest(token)
      let grant: String?
      do throws(AuthStoreError) {
        grant = try await store.change(on: loop) { $0.revoke(token: digest, client: client) }
      } catch {
        Audit.note("the auth store failed", address, [("cause", error.description)], level: .error)
        throw unavailable
      }
      tokenLimiter.giveBack(address, now: now)
      if let grant {
        Audit.note(
          "token revoked by its client", address, [("grant", grant), ("client", OAuthClient.shortID(client))],
          level: .notice)
      }
      return HTTPResponse(200)
    } catch {
      return error.response
    }
  }
}
