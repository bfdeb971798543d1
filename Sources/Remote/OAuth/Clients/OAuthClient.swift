import ParleyRuntime

/// A program that asks for access, as far as it is known.
package struct OAuthClient: Hashable, Sendable {
  /// How it proves at the token endpoint that it is itself (RFC 7591 section 2).
  package enum Method: String, Hashable, Sendable {
    case none
    case post = "client_secret_post"
    case basic = "client_secret_basic"
  }

  package var id: String
  /// As it calls itself, unless it is pinned.
  package var name: String
  package var redirects: [RedirectURI]
  package var method: Method
  package var kind: ClientKind

  /// The longest name that is shown, in characters.
  static let nameLimit = 80

  package init(id: String, name: String, redirects: [RedirectURI], method: Method, kind: ClientKind) {
    self.id = id
    self.name = name
    self.redirects = redirects
    self.method = method
    self.kind = kind
  }

  /// Whether an authorization response may go there.
  package func serves(_ redirect: RedirectURI) -> Bool { redirects.contains { redirect.isServed(by: $0) } }

  /// What a client calls itself, fit to be shown.
  static func shown(_ name: String?) -> String {
    let visible = VisibleText.visible(name ?? "", keepsLines: false).prefix(nameLimit)
    let trimmed = visible.drop { $0 == " " }
    return trimmed.isEmpty ? "a program without a name" : String(trimmed)
  }

  /// Known without asking anybody: Claude's documents cannot be fetched from data centres.
  static func pinned(_ id: String) -> OAuthClient? {
    func client(_ name: String, _ redirects: [String]) -> OAuthClient {
      OAuthClient(
        id: id, name: name, redirects: redirects.compactMap(RedirectURI.init), method: .none, kind: .pinned)
    }
    switch id {
    case "https://claude.ai/oauth/mcp-oauth-client-metadata":
      return client(
        "Claude", ["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"])
    case "https://claude.ai/oauth/claude-code-client-metadata":
      return client("Claude Code", ["http://localhost/callback", "http://127.0.0.1/callback"])
    default: return nil
    }
  }
}

/// Which redirect addresses a client that registers itself may have: whoever could name any could send the owner's
/// consent to a server of its own.
package struct RedirectRules: Sendable {
  /// Exact addresses of well-known clients, beside every address of this computer.
  private static let known: Set<String> = [
    "https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback",
    "https://vscode.dev/redirect", "cursor://anysphere.cursor-mcp/oauth/callback",
    "https://cursor.com/oauth/mcp/callback",
  ]
  private let further: Set<String>

  package init(further: [String] = []) { self.further = Set(further) }

  package func allows(_ redirect: RedirectURI) -> Bool {
    redirect.isLoopback || Self.known.contains(redirect.text) || further.contains(redirect.text)
  }
}
