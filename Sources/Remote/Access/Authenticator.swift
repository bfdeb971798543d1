import ParleyHTTPServer
import ParleyRuntime

/// Who a request comes from, as far as the door could find out.
package struct Principal: Hashable, Sendable {
  /// What sessions are bound to; never shown to others.
  package let name: String

  package init(_ name: String) { self.name = name }
}

/// Finds out who sends a request; decides before anything else of the request is looked at.
package protocol Authenticator: Sendable {
  /// The sender, or the response that says what is missing.
  func authenticate(_ head: RequestHead) -> Authentication
}

/// What an authenticator found.
package enum Authentication: Sendable {
  case known(Principal)
  case refused(HTTPResponse)
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
  package init(_ token: String) { digest = SHA256.hash(token.utf8) }

  package func authenticate(_ head: RequestHead) -> Authentication {
    guard let given = Bearer.token(of: head) else { return .refused(Bearer.challenge()) }
    // Digests of equal length, compared to their ends: the time tells nothing about the token.
    let difference = zip(SHA256.hash(given.utf8), digest).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
    return difference == 0 ? .known(Principal("token")) : .refused(Bearer.challenge(error: "invalid_token"))
  }
}

/// The Bearer scheme (RFC 6750).
package enum Bearer {
  /// The token of the one Authorization line; nil where there is none, or another scheme.
  package static func token(of head: RequestHead) -> String? {
    let lines = head.fields.all("authorization")
    guard lines.count == 1, let line = lines.first, line.utf8.count <= 4096 else { return nil }
    let parts = line.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
    let token = HeaderFields.trimmed(parts[1])
    return token.isEmpty || token.contains(" ") ? nil : token
  }

  /// 401 with the challenge; an error is named only where a token was given (RFC 6750 section 3.1).
  package static func challenge(error: String? = nil, parameters: String = "") -> HTTPResponse {
    let attributes = [error.map { "error=\"\($0)\"" }, parameters.isEmpty ? nil : parameters].compactMap { $0 }
    let value = attributes.isEmpty ? "Bearer" : "Bearer \(attributes.joined(separator: ", "))"
    return .refusal(
      HTTPRefusal(401, "unauthorized", "a valid bearer token is required"), fields: [("WWW-Authenticate", value)])
  }
}
