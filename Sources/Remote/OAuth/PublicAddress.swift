import ParleyRuntime

/// The origin by which clients and browsers reach the door, as they write it: it is the issuer of everything that the
/// authorization server says, so it is never guessed from a request.
package struct PublicAddress: Hashable, Sendable {
  /// `https://parley.example.org`, without a path.
  package let issuer: String
  package let isSecure: Bool
  /// The host without its port, an IPv6 address without its brackets.
  package let host: String

  /// Takes `https://host` or, on this computer, `http://host`, both with or without a port; nil for anything else.
  package init?(_ text: String) {
    let text = text.hasSuffix("/") ? String(text.dropLast()) : text
    guard text == text.lowercased(), let parsed = RedirectURI(text),
      parsed.origin == text, text.hasPrefix("https://") || parsed.isLoopback
    else { return nil }
    issuer = text
    isSecure = text.hasPrefix("https://")
    let authority = text.dropFirst(isSecure ? 8 : 7)
    host = String(
      authority.hasPrefix("[") ? authority.dropFirst().prefix { $0 != "]" } : authority.prefix { $0 != ":" })
  }

  /// What tokens are for (RFC 8707): what people type into their clients.
  package var resource: String { issuer + "/mcp" }
  /// Where the resource's metadata lie (RFC 9728 section 3.1).
  package var resourceMetadata: String { issuer + "/.well-known/oauth-protected-resource/mcp" }
}
