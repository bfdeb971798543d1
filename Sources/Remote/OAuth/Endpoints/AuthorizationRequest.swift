import ParleyRuntime

/// What a client asks the owner for (RFC 6749 section 4.1.1, RFC 7636, RFC 8707).
package struct AuthorizationRequest: Sendable {
  package var client: OAuthClient
  package var redirect: RedirectURI
  package var state: String?
  package var challenge: String
  package var scopes: Scopes

  /// What is wrong, told where it may be told.
  enum Failure: Error {
    /// Client or redirect address are not to be trusted: the browser's user is told, and sent nowhere.
    case page(String)
    case redirect(RedirectURI, state: String?, OAuthError)
  }

  private static let names = [
    "client_id", "redirect_uri", "state", "response_type", "code_challenge", "code_challenge_method", "scope",
    "resource",
  ]
  private static let stateLimit = 2048

  static func read(
    _ fields: FormFields, resource: String, find: (String) async -> OAuthClient?
  ) async throws(Failure) -> AuthorizationRequest {
    guard !fields.repeats(["client_id", "redirect_uri"]), let id = fields["client_id"] else {
      throw .page("The request does not name one client.")
    }
    guard let client = await find(id) else {
      throw .page("The program that sent you here is not known, or no longer. Let it connect anew.")
    }
    guard let redirect = fields["redirect_uri"].flatMap(RedirectURI.init), client.serves(redirect) else {
      throw .page("The answer would go to an address that is not this program's.")
    }
    let state = fields["state"]
    func fail(_ code: OAuthError.Code, _ reason: String) -> Failure {
      .redirect(redirect, state: fields.all("state").count == 1 ? state : nil, OAuthError(code, reason))
    }
    guard !fields.repeats(names) else { throw fail(.invalidRequest, "a parameter is there more than once") }
    guard state?.utf8.count ?? 0 <= stateLimit else {
      throw .redirect(redirect, state: nil, OAuthError(.invalidRequest, "state is too long"))
    }
    guard fields["response_type"] == "code" else {
      throw fail(.unsupportedResponseType, "of response types only code is known here")
    }
    guard fields["code_challenge_method"] == "S256", let challenge = fields["code_challenge"],
      Base64.decodeURL(challenge)?.count == 32
    else { throw fail(.invalidRequest, "a code_challenge with the method S256 is required") }
    guard fields["resource"] ?? resource == resource else {
      throw fail(.invalidTarget, "resource must be the address of this server's /mcp")
    }
    var scopes = Scopes.usual
    if let text = fields["scope"] {
      // Another machine's backend is no client that a page could explain: its token is the owner's to make.
      guard let asked = Scopes(text), !asked.covers(.relay) else {
        throw fail(.invalidScope, "a scope is not known here")
      }
      scopes = asked
    }
    return AuthorizationRequest(
      client: client, redirect: redirect, state: state, challenge: challenge, scopes: scopes)
  }
}

/// A request that waits for the owner, as the consent page carries it: sealed, so that nothing need be kept, and bound
/// to the browser that it was shown to.
struct PendingConsent {
  var clientID: String
  var redirect: RedirectURI
  var state: String?
  var challenge: String
  var scopes: Scopes
  var expires: WallTime
  /// The name of the browser's cookie, and the digest of its value.
  var cookie: String
  var cookieDigest: String

  func seal(_ key: ServerKey) -> String {
    var value: JSONObject = [
      "c": .string(clientID), "r": .string(redirect.text), "h": .string(challenge), "o": .string(scopes.text),
      "e": .int(expires), "n": .string(cookie), "k": .string(cookieDigest),
    ]
    if let state { value["s"] = .string(state) }
    return key.seal(JSONValue.object(value).text, for: .consent)
  }

  static func open(_ text: String, _ key: ServerKey, now: WallTime) -> PendingConsent? {
    guard let opened = key.open(text, for: .consent), let value = try? JSONValue(parsing: opened),
      let client = value["c"]?.string, let redirect = value["r"]?.string.flatMap(RedirectURI.init),
      let challenge = value["h"]?.string, let scopes = value["o"]?.string.flatMap(Scopes.init),
      let expires = value["e"]?.int, expires > now, let cookie = value["n"]?.string, let digest = value["k"]?.string
    else { return nil }
    return PendingConsent(
      clientID: client, redirect: redirect, state: value["s"]?.string, challenge: challenge, scopes: scopes,
      expires: expires, cookie: cookie, cookieDigest: digest)
  }
}
