import ParleyRuntime

/// What a token of the identity provider must say.
package struct OIDCRules: Sendable {
  package var issuer: String
  package var audience: String
  package var requiredScope: String?
  package var allowedSubjects: [String]?
  package var allowedUsernames: [String]?
  package var requiredRole: String?
  /// How far clocks may differ.
  package var clockSkew: Duration = .seconds(30)

  package init(issuer: String, audience: String) {
    self.issuer = issuer
    self.audience = audience
  }

  /// What came of a token whose signature is good.
  enum Verdict: Hashable {
    case known(Principal)
    /// The word for the log; strangers are told nothing.
    case refused(String)
    case lacksScope
  }

  /// Judges the claims at a time in milliseconds since 1970.
  func judge(_ claims: JSONValue, now: WallTime) -> Verdict {
    let skew = clockSkew.milliseconds
    guard let issuer = claims["iss"]?.string, Self.isSame(issuer, self.issuer) else { return .refused("issuer") }
    let audiences = claims["aud"]?.string.map { [$0] } ?? claims["aud"]?.array?.compactMap(\.string) ?? []
    guard audiences.contains(audience) else { return .refused("audience") }
    guard let expires = claims["exp"]?.double, expires * 1000 + Double(skew) > Double(now) else {
      return .refused("expired")
    }
    if let begins = claims["nbf"] {
      guard let time = begins.double, time * 1000 - Double(skew) <= Double(now) else {
        return .refused("not yet valid")
      }
    }
    guard let subject = claims["sub"]?.string, !subject.isEmpty else { return .refused("no subject") }
    if let allowedSubjects, !allowedSubjects.contains(subject) { return .refused("subject") }
    if let allowedUsernames {
      guard let name = claims["preferred_username"]?.string, allowedUsernames.contains(name) else {
        return .refused("user name")
      }
    }
    if let requiredRole {
      let roles = claims["realm_access"]?["roles"]?.array?.compactMap(\.string) ?? []
      guard roles.contains(requiredRole) else { return .refused("role") }
    }
    let scopes = (claims["scope"]?.string ?? "").split(separator: " ").map(String.init)
    if let requiredScope, !requiredScope.isEmpty, !scopes.contains(requiredScope) { return .lacksScope }
    // A provider that knows our scopes is taken at its word; one that does not lets those take part whom the gates let in.
    let named = Set(scopes.compactMap(Scope.init))
    return .known(
      Principal("subject \(subject) of \(issuer)", scopes: named.isEmpty ? .usual : Scopes(named)))
  }

  /// The same but for a slash at the end, about which providers and people disagree.
  static func isSame(_ a: String, _ b: String) -> Bool {
    func plain(_ text: String) -> Substring { text.hasSuffix("/") ? text.dropLast() : text[...] }
    return plain(a).utf8.elementsEqual(plain(b).utf8)
  }
}
