import ParleyHTTPServer
import ParleyRuntime
import Synchronization

@testable import ParleyRemote

/// Bearer tokens and what each may do, which can be taken back.
final class Keys: Authenticator {
  private let scopes: Mutex<[String: Scopes]>

  init(scopes: [String: Scopes]) { self.scopes = Mutex(scopes) }

  func revoke(_ token: String) { scopes.withLock { $0[token] = nil } }

  func authenticate(_ head: RequestHead) -> Authentication {
    guard let token = Bearer.token(of: head), let found = scopes.withLock({ $0[token] }) else {
      return .refused(Bearer.challenge())
    }
    return .known(Principal(token, scopes: found))
  }
}
