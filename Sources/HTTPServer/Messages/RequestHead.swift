import ParleyRuntime

/// The request line and header section of a request that is well formed.
package struct RequestHead: Sendable {
  /// How the body's end is told (RFC 9112 section 6.3).
  package enum Framing: Hashable, Sendable {
    case none
    case length(Int)
    case chunked
  }

  package let method: HTTPMethod
  /// As sent: percent-encoding is not resolved, so that no two spellings reach one route.
  package let path: String
  /// What follows the first question mark, as sent.
  package let query: String?
  /// The request is HTTP/1.0: no chunks and no interim responses may be sent.
  package let isOld: Bool
  /// Host and port that the request is for, in lower case; empty only where an HTTP/1.0 client does not say.
  package let authority: String
  package let fields: HeaderFields
  package let framing: Framing
  /// The client wants to send another request on this connection.
  package let keepsAlive: Bool
  /// The client waits for a word before it sends the body.
  package let expectsContinue: Bool

  /// The host without its port, an IPv6 address without its brackets.
  package var host: String {
    if authority.hasPrefix("[") { return String(authority.dropFirst().prefix { $0 != "]" }) }
    return String(authority.prefix { $0 != ":" })
  }

  /// The media type of the body without its parameters, in lower case.
  package var contentType: String? {
    fields["content-type"].map { HeaderFields.trimmed($0.prefix { $0 != ";" }).lowercased() }
  }

  /// Whether the client takes a media type: it says so, by name or by range, or it says nothing (RFC 9110 12.5.1).
  package func accepts(_ type: String) -> Bool {
    let wanted = fields.list("accept")
    guard !wanted.isEmpty else { return true }
    let family = type.prefix { $0 != "/" } + "/*"
    return wanted.contains { range in
      let parts = range.split(separator: ";").map { HeaderFields.trimmed($0) }
      guard let name = parts.first, name == type || name == family || name == "*/*" else { return false }
      return !parts.dropFirst().contains { ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains($0) }
    }
  }
}
