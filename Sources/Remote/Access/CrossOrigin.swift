import ParleyHTTPServer

/// Which pages of other origins may call what programs call, and read the answers (Fetch Standard, "CORS protocol").
///
/// Only the origins that the configuration names, without cookies: such a page shows a token, like every other client.
/// The pages of the door's own are for its own origin alone.
struct CrossOrigin: Sendable {
  private static let paths: Set<String> = ["/mcp", "/register", "/token", "/revoke"]
  private static let beginnings = ["/v1/", "/.well-known/"]
  private static let requestFields =
    "Accept, Authorization, Content-Type, Last-Event-ID, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id"
  private static let responseFields = "Mcp-Session-Id, Retry-After, WWW-Authenticate"

  private let origins: Set<String>

  /// Origins as browsers write them, in lower case; with none, no page of another origin may call.
  init(_ origins: Set<String>) { self.origins = origins }

  /// The lines that every answer to such a page has.
  func fields(for head: RequestHead) -> [(name: String, value: String)] {
    guard let origin = origin(of: head) else { return [] }
    return [
      ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", Self.responseFields),
      ("Vary", "Origin"),
    ]
  }

  /// The answer to a browser that asks before it sends a page's request; nil where the request is none.
  func preflight(_ head: RequestHead) -> HTTPResponse? {
    guard head.method == .options, head.fields["access-control-request-method"] != nil, origin(of: head) != nil else {
      return nil
    }
    return HTTPResponse(
      204,
      fields: [
        ("Access-Control-Allow-Methods", "GET, POST, DELETE"), ("Access-Control-Allow-Headers", Self.requestFields),
        ("Access-Control-Max-Age", "600"),
      ])
  }

  private func origin(of head: RequestHead) -> String? {
    guard !origins.isEmpty, Self.paths.contains(head.path) || Self.beginnings.contains(where: head.path.hasPrefix),
      let origin = head.fields["origin"], origins.contains(origin.lowercased())
    else { return nil }
    return origin
  }
}
