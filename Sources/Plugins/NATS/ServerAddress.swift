/// One server's URL, as cnats takes it, and what is read from it.
struct ServerAddress: Hashable, Sendable {
  /// As configured, or as the cluster told it.
  let url: String
  /// The host, without the brackets of an IPv6 address.
  let host: String
  /// The port; 4222 where none is named.
  let port: Int
  /// The name that its certificate must carry, unless configuration names another.
  let certificateName: String
  /// It was asked, and talks in clear.
  var isClear = false

  /// Reads `[scheme://][user[:password]@]host[:port]`.
  init(_ url: String, certificateName: String? = nil) {
    self.url = url
    var rest = url[...]
    if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
    if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
    rest = rest.prefix { $0 != "/" }
    var port: Int?
    if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
      port = Int(rest[end...].dropFirst(2))
      rest = rest[rest.index(after: rest.startIndex)..<end]
    } else if let colon = rest.lastIndex(of: ":") {
      port = Int(rest[rest.index(after: colon)...])
      rest = rest[..<colon]
    }
    host = String(rest)
    self.port = port ?? 4222
    self.certificateName = certificateName ?? host
  }

  /// The URL itself asks for TLS.
  var asksForTLS: Bool { url.hasPrefix("tls://") }

  /// For people: without user and password.
  var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
