import ParleyHTTPServer
import ParleyRuntime

/// Lets in whoever has a token of the identity provider, or one that the owner made.
package struct OIDCTokens: Authenticator {
  private let loop: EventLoop
  private let rules: OIDCRules
  private let keys: KeySource
  private let address: PublicAddress
  private let own: StoredTokens

  package init(loop: EventLoop, rules: OIDCRules, keys: KeySource, address: PublicAddress, own: StoredTokens) {
    self.loop = loop
    self.rules = rules
    self.keys = keys
    self.address = address
    self.own = own
  }

  package func authenticate(_ head: RequestHead) -> Authentication {
    guard let text = Bearer.token(of: head) else { return .refused(Bearer.challenge(parameters: parameters)) }
    let ours = own.authenticate(head)
    if case .known = ours { return ours }
    guard let token = SignedToken(text) else {
      if case .pending = ours { return ours }
      return refused("malformed")
    }
    if let known = keys.known(for: token) { return judge(token, known) }
    return .pending { [self] reply in
      loop.spawn { reply(judge(token, await keys.keys(for: token))) }
    }
  }

  private func judge(_ token: SignedToken, _ keys: [VerificationKey]) -> Authentication {
    guard let claims = keys.lazy.compactMap({ token.claims(by: $0) }).first else { return refused("signature") }
    switch rules.judge(claims, now: loop.wallClockMilliseconds) {
    case .known(let principal): return .known(principal)
    case .refused(let reason): return refused(reason)
    case .lacksScope:
      let scope = rules.requiredScope ?? ""
      return .refused(
        .refusal(
          HTTPRefusal(403, "insufficientScope", "the token lacks a scope"),
          fields: [
            ("WWW-Authenticate", "Bearer error=\"insufficient_scope\", scope=\"\(scope)\", \(metadata)")
          ]))
    }
  }

  private func refused(_ reason: String) -> Authentication {
    Log.write(.info, "auth: a token of the identity provider is refused", [("reason", reason)])
    return .refused(Bearer.challenge(error: "invalid_token", parameters: parameters))
  }

  package func refusal(lacking scope: Scope) -> HTTPResponse { Bearer.insufficient(scope, parameters: metadata) }
  package func holders() -> Set<String>? { own.holders() }

  package func knows(_ handle: Handle) -> Bool { own.knows(handle) }

  private var metadata: String { "resource_metadata=\"\(address.resourceMetadata)\"" }
  private var parameters: String {
    guard let scope = rules.requiredScope, !scope.isEmpty else { return metadata }
    return metadata + ", scope=\"\(scope)\""
  }
}
