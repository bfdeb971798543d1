import ParleyHTTPServer
import ParleyRuntime

/// A refusal in OAuth's own form (RFC 6749 sections 4.1.2.1 and 5.2, RFC 7591 section 3.2.2, RFC 8707).
package struct OAuthError: Error, Hashable, Sendable {
  package enum Code: String, Hashable, Sendable {
    case invalidRequest = "invalid_request"
    case invalidClient = "invalid_client"
    case invalidGrant = "invalid_grant"
    case invalidScope = "invalid_scope"
    case invalidTarget = "invalid_target"
    case unsupportedGrantType = "unsupported_grant_type"
    case unsupportedResponseType = "unsupported_response_type"
    case accessDenied = "access_denied"
    case serverError = "server_error"
    case temporarilyUnavailable = "temporarily_unavailable"
    case invalidRedirectURI = "invalid_redirect_uri"
    case invalidClientMetadata = "invalid_client_metadata"
    case slowDown = "slow_down"
  }

  package let code: Code
  /// For people; ASCII without quotes and backslashes (RFC 6749 section 5.2), and nothing that came from outside.
  package let reason: String

  package init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  private var status: Int {
    switch code {
    case .invalidClient: 401
    case .serverError: 500
    case .temporarilyUnavailable: 503
    case .slowDown: 429
    default: 400
    }
  }

  /// The JSON answer of an endpoint that programs ask.
  package var response: HTTPResponse {
    let body: JSONValue = ["error": .string(code.rawValue), "error_description": .string(reason)]
    var fields: [(name: String, value: String)] = [("Pragma", "no-cache")]
    if code == .invalidClient { fields.append(("WWW-Authenticate", "Basic realm=\"parley\"")) }
    if status == 429 { fields.append(("Retry-After", "60")) }
    return .json(status, Array(body.text.utf8), fields: fields)
  }
}
