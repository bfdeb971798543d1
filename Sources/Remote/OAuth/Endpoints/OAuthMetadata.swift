import ParleyHTTPServer
import ParleyRuntime

/// The documents by which clients find their way (RFC 9728, RFC 8414, OpenID Connect Discovery).
package struct OAuthMetadata: Sendable {
  private let documents: [String: [UInt8]]
  /// Clients reach the door over TLS.
  let isSecure: Bool

  /// Those of a resource whose tokens somebody else gives out.
  package init(resource address: PublicAddress, issuers: [String], scopes: [String]) {
    isSecure = address.isSecure
    let resource = Self.resource(address, issuers: issuers, scopes: scopes)
    documents = [
      "/.well-known/oauth-protected-resource": resource, "/.well-known/oauth-protected-resource/mcp": resource,
    ]
  }

  /// Those of a resource with the built-in authorization server.
  package init(_ address: PublicAddress) {
    isSecure = address.isSecure
    let resource = Self.resource(address, issuers: [address.issuer], scopes: Scopes.usual.list.map(\.rawValue))
    let methods: JSONValue = ["none", "client_secret_post", "client_secret_basic"]
    let server: JSONValue = [
      "issuer": .string(address.issuer),
      "authorization_endpoint": .string(address.issuer + AuthorizationServer.Route.authorize.rawValue),
      "token_endpoint": .string(address.issuer + AuthorizationServer.Route.token.rawValue),
      "registration_endpoint": .string(address.issuer + AuthorizationServer.Route.register.rawValue),
      "revocation_endpoint": .string(address.issuer + AuthorizationServer.Route.revoke.rawValue),
      "scopes_supported": .array(
        Scopes.all.list.filter { $0 != .relay }.map { .string($0.rawValue) } + ["offline_access"]),
      "response_types_supported": ["code"], "response_modes_supported": ["query"],
      "grant_types_supported": ["authorization_code", "refresh_token"],
      "code_challenge_methods_supported": ["S256"],
      "token_endpoint_auth_methods_supported": methods, "revocation_endpoint_auth_methods_supported": methods,
      "client_id_metadata_document_supported": true, "authorization_response_iss_parameter_supported": true,
    ]
    let bytes = Array(server.text.utf8)
    documents = [
      "/.well-known/oauth-protected-resource": resource, "/.well-known/oauth-protected-resource/mcp": resource,
      "/.well-known/oauth-authorization-server": bytes, "/.well-known/openid-configuration": bytes,
    ]
  }

  private static func resource(_ address: PublicAddress, issuers: [String], scopes: [String]) -> [UInt8] {
    var document: JSONObject = [
      "resource": .string(address.resource), "authorization_servers": .array(issuers.map(JSONValue.string)),
      "bearer_methods_supported": ["header"], "resource_name": "Parley",
    ]
    if !scopes.isEmpty { document["scopes_supported"] = .array(scopes.map(JSONValue.string)) }
    return Array(JSONValue.object(document).text.utf8)
  }

  /// The answer to a request for one of the documents; nil for any other path.
  func answer(_ head: RequestHead) -> HTTPResponse? {
    guard let document = documents[head.path] else { return nil }
    guard head.method == .get || head.method == .head else {
      return .refusal(HTTPRefusal(405, "methodNotAllowed", "GET"), fields: [("Allow", "GET, HEAD")])
    }
    return .json(200, document)
  }
}
