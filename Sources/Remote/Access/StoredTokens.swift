import ParleyHTTPServer
import ParleyRuntime

/// Lets in whoever has a token that counts: one of the authorization server, one that the owner made, or the one of the
/// configuration.
package struct StoredTokens: Authenticator {
  private let store: any AuthStore
  private let loop: EventLoop
  /// What access tokens are for; nil where none are given out.
  private let address: PublicAddress?
  private let configured: StaticToken?

  package init(loop: EventLoop, store: any AuthStore, address: PublicAddress?, configured: StaticToken?) {
    self.loop = loop
    self.store = store
    self.address = address
    self.configured = configured
  }

  package func authenticate(_ head: RequestHead) -> Authentication {
    guard let token = Bearer.token(of: head) else {
      return .refused(Bearer.challenge(parameters: parameters(scopes: Scopes.usual)))
    }
    if let principal = principal(token) { return .known(principal) }
    guard store.canBeBehind else { return unknown }
    // Given out by another process a moment ago, perhaps.
    return .pending { [self] reply in loop.spawn { reply(await lookAgain(token)) } }
  }

  private func lookAgain(_ token: String) async -> Authentication {
    do throws(AuthStoreError) { try await store.refresh() } catch {
      Log.write(.error, "nobody can be let in", [("cause", error.description)])
      let refusal = HTTPRefusal(503, "unavailable", "who may enter cannot be looked up now")
      return .refused(.refusal(refusal, fields: [("Retry-After", "2")]))
    }
    return principal(token).map(Authentication.known) ?? unknown
  }

  private var unknown: Authentication {
    .refused(Bearer.challenge(error: "invalid_token", parameters: parameters(scopes: Scopes.usual)))
  }

  private func principal(_ token: String) -> Principal? {
    if let configured, configured.accepts(token) { return StaticToken.principal }
    let (state, digest, now) = (store.state(), Secret.digest(token), loop.wallClockMilliseconds)
    if let record = state.token(digest, now: now) {
      return Principal("token \(record.id)", holder: record.id, handle: record.handle, scopes: record.scopes)
    }
    guard let address, let (grant, scopes) = state.grant(ofAccess: digest, now: now),
      grant.resource == address.resource
    else { return nil }
    return Principal(
      "client \(grant.client) as \(grant.handle.name)", guest: "consent as \(grant.handle.name)", holder: grant.id,
      handle: grant.handle, scopes: scopes)
  }

  package func refusal(lacking scope: Scope) -> HTTPResponse {
    Bearer.insufficient(scope, parameters: parameters(scopes: nil))
  }

  package func holders() -> Set<String>? { store.state().holders(now: loop.wallClockMilliseconds) }

  package func knows(_ handle: Handle) -> Bool {
    let state = store.state()
    return state.tokens.values.contains { $0.handle == handle } || state.grants.values.contains { $0.handle == handle }
  }

  private func parameters(scopes: Scopes?) -> String {
    guard let address else { return "" }
    return "resource_metadata=\"\(address.resourceMetadata)\"" + (scopes.map { ", scope=\"\($0.text)\"" } ?? "")
  }
}
