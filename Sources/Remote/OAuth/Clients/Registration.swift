import ParleyRuntime

/// Dynamic client registration (RFC 7591) that keeps nothing: the id that a client is given is its own registration,
/// sealed by the server. So nobody can fill a table, and nobody's client is ever evicted for another's.
package struct Registration: Sendable {
  private static let prefix = "parley."
  private static let redirectCount = 8
  private static let redirectBytes = 1536
  private let key: ServerKey
  private let rules: RedirectRules

  package init(key: ServerKey, rules: RedirectRules) {
    self.key = key
    self.rules = rules
  }

  /// What a client is told about itself.
  package struct Answer: Sendable {
    package let client: OAuthClient
    package let secret: String?
    package let issued: WallTime
  }

  /// Registers a client. Unknown members are ignored; what cannot be granted is replaced (section 3.2.1).
  package func register(_ body: [UInt8], now: WallTime) throws(OAuthError) -> Answer {
    guard let metadata = try? JSONValue(parsing: body), metadata.object != nil else {
      throw OAuthError(.invalidClientMetadata, "the body is no JSON object")
    }
    guard let given = metadata["redirect_uris"]?.array, !given.isEmpty, given.count <= Self.redirectCount else {
      throw OAuthError(.invalidRedirectURI, "redirect_uris must be a list of 1 to \(Self.redirectCount) addresses")
    }
    var redirects: [RedirectURI] = []
    for text in given {
      guard let redirect = text.string.flatMap(RedirectURI.init), rules.allows(redirect) else {
        throw OAuthError(
          .invalidRedirectURI,
          "a redirect address is not allowed here; localhost is, and what auth.redirects of the server names")
      }
      redirects.append(redirect)
    }
    guard redirects.reduce(0, { $0 + $1.text.utf8.count }) <= Self.redirectBytes else {
      throw OAuthError(.invalidRedirectURI, "redirect_uris are too long")
    }
    if let grants = metadata["grant_types"]?.array, !grants.contains("authorization_code") {
      throw OAuthError(
        .invalidClientMetadata, "of grant types only authorization_code and refresh_token are known here")
    }
    if let responses = metadata["response_types"]?.array, !responses.contains("code") {
      throw OAuthError(.invalidClientMetadata, "of response types only code is known here")
    }
    // RFC 7591 section 2: without a method it is client_secret_basic.
    let wanted = metadata["token_endpoint_auth_method"]?.string ?? OAuthClient.Method.basic.rawValue
    let method = OAuthClient.Method(rawValue: wanted) ?? .none
    let name = OAuthClient.shown(metadata["client_name"]?.string)
    let issued = now / 1000
    let sealed: JSONValue = [
      "t": .int(issued), "n": .string(name), "m": .string(method.rawValue),
      "r": .array(redirects.map { .string($0.text) }), "x": .string(Secret.makeID()),
    ]
    let id = Self.prefix + key.seal(sealed.text, for: .registration)
    let client = OAuthClient(id: id, name: name, redirects: redirects, method: method, kind: .registered)
    return Answer(client: client, secret: method == .none ? nil : secret(of: id), issued: issued)
  }

  /// Follows from the id and the server's key, so it is kept nowhere.
  package func secret(of id: String) -> String {
    Base64.encodeURL(key.code(Array(id.utf8), for: .clientSecret))
  }

  /// The client of an id that this server gave, and when; nil for any other id.
  package func open(_ id: String) -> (client: OAuthClient, issued: WallTime)? {
    guard id.hasPrefix(Self.prefix),
      let text = key.open(id.dropFirst(Self.prefix.count), for: .registration),
      let value = try? JSONValue(parsing: text), let issued = value["t"]?.int, let name = value["n"]?.string,
      let method = value["m"]?.string.flatMap(OAuthClient.Method.init), let redirects = value["r"]?.array
    else { return nil }
    // The rules of today count, not those of the day it registered.
    let allowed = redirects.compactMap { $0.string.flatMap(RedirectURI.init) }.filter(rules.allows)
    return (OAuthClient(id: id, name: name, redirects: allowed, method: method, kind: .registered), issued * 1000)
  }
}
