import ParleyHTTPServer
import ParleyRuntime
import ParleyTLS

/// Who a request comes from, and what it may do, as far as the door could find out.
package struct Principal: Hashable, Sendable {
  /// What sessions are bound to: the same for all tokens of one client and handle. Never shown to others.
  package let name: String
  /// Whom the tool sets of other systems take it for: its name, or for consents the handle, whichever client has them.
  package let guest: String
  /// The token, or the owner's consent, by which it entered: what a revocation takes away.
  package var holder: String
  /// The handle it posts as; nil for the door's own.
  package var handle: Handle?
  package var scopes: Scopes

  package init(
    _ name: String, guest: String? = nil, holder: String = "", handle: Handle? = nil, scopes: Scopes = .all
  ) {
    self.name = name
    self.guest = guest ?? name
    self.holder = holder
    self.handle = handle
    self.scopes = scopes
  }
}

/// Finds out who sends a request; decides before anything else of the request is looked at.
package protocol Authenticator: Sendable {
  /// The sender, or the response that says what is missing.
  func authenticate(_ head: RequestHead) -> Authentication

  /// The response to a principal that lacks a scope (RFC 6750 section 3.1).
  func refusal(lacking scope: Scope) -> HTTPResponse

  /// What principals may have entered by and still counts; nil where nothing is ever taken back.
  func holders() -> Set<String>?

  /// Whether somebody enters under a handle.
  func knows(_ handle: Handle) -> Bool
}

extension Authenticator {
  package func refusal(lacking scope: Scope) -> HTTPResponse { Bearer.insufficient(scope) }
  package func holders() -> Set<String>? { nil }
  package func knows(_ handle: Handle) -> Bool { false }
}

/// What an authenticator found.
package enum Authentication: Sendable {
  case known(Principal)
  case refused(HTTPResponse)
  /// It cannot be said without waiting. The outcome is told once, on the loop, and is not pending again.
  case pending(@Sendable (_ reply: @escaping @Sendable (Authentication) -> Void) -> Void)
}

/// Lets everyone in who can connect.
package struct OpenDoor: Authenticator {
  package init() {}

  package func authenticate(_ head: RequestHead) -> Authentication { .known(Principal("anyone")) }
}

/// Lets in whoever has the one token of the configuration (RFC 6750 section 2.1).
package struct StaticToken: Authenticator {
  private let digest: [UInt8]

  /// The token itself is not kept.
  package init(_ token: String) { digest = Digest.sha256.hash(Array(token.utf8)) }

  package func authenticate(_ head: RequestHead) -> Authentication {
    guard let given = Bearer.token(of: head) else { return .refused(Bearer.challenge()) }
    return accepts(given) ? .known(Self.principal) : .refused(Bearer.challenge(error: "invalid_token"))
  }

  static let principal = Principal("token")

  /// Digests of equal length, compared to their ends: the time tells nothing about the token.
  func accepts(_ given: String) -> Bool {
    Digest.sha256.hash(Array(given.utf8)).isIdentical(to: digest)
  }
}

/// The Bearer scheme (RFC 6750).
package enum Bearer {
  /// The token of the one Authorization line; nil where there is none, or another scheme.
  package static func token(of head: RequestHead) -> String? {
    guard let line = head.fields.only("authorization"), line.count <= 16 << 10,
      let space = line.firstIndex(of: UInt8(ascii: " ")), HeaderFields.isSame(line[..<space], "bearer")
    else { return nil }
    let token = HeaderFields.trimmed(line[space...])
    return token.isEmpty || token.contains(UInt8(ascii: " ")) ? nil : String(decoding: token, as: UTF8.self)
  }

  /// 401 with the challenge; an error is named only where a token was given (RFC 6750 section 3.1).
  package static func challenge(error: String? = nil, parameters: String = "") -> HTTPResponse {
    let attributes = [error.map { "error=\"\($0)\"" }, parameters.isEmpty ? nil : parameters].compactMap { $0 }
    let value = attributes.isEmpty ? "Bearer" : "Bearer \(attributes.joined(separator: ", "))"
    return .refusal(
      HTTPRefusal(401, "unauthorized", "a valid bearer token is required"), fields: [("WWW-Authenticate", value)])
  }

  /// 403 that names every scope the operation needs, so that one step up is enough.
  package static func insufficient(_ scope: Scope, parameters: String = "") -> HTTPResponse {
    var value = "Bearer error=\"insufficient_scope\", scope=\"\(Scopes([scope]).text)\""
    if !parameters.isEmpty { value += ", \(parameters)" }
    return .refusal(
      HTTPRefusal(403, "insufficientScope", "the token lacks the scope \(scope.rawValue)"),
      fields: [("WWW-Authenticate", value)])
  }
}
