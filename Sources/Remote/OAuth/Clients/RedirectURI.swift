import ParleyRuntime

/// Where an authorization response may go. Compared as text; nothing is normalised, so nothing can be hidden by it.
package struct RedirectURI: Hashable, Sendable {
  package let text: String
  /// `http://localhost:1234`: what people are shown, and what a page's policy names.
  package let origin: String
  /// It leads to a program on the computer of whoever consents.
  package let isLoopback: Bool
  /// Without the port, for loopback.
  private let withoutPort: String

  /// Takes `https` addresses, `http` ones of this computer, and addresses of applications (`cursor://…`): at most 512
  /// visible ASCII characters, without user information, fragment, backslash and quotes. Nil for anything else.
  package init?(_ text: String) {
    guard text.utf8.count <= 512,
      text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"#\\\"'<>`{}|^".utf8.contains($0) }),
      let mark = text.firstRange(of: "://")
    else { return nil }
    let scheme = String(text[..<mark.lowerBound])
    guard scheme.utf8.first.map({ (0x61...0x7A).contains($0) }) == true,
      scheme.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "+-.".utf8.contains($0) }),
      !["javascript", "data", "vbscript", "file", "blob", "about", "ws", "wss", "ftp"].contains(scheme)
    else { return nil }
    let rest = text[mark.upperBound...]
    let authority = String(rest.prefix { $0 != "/" && $0 != "?" })
    let path = rest.dropFirst(authority.count)
    guard !authority.isEmpty, !authority.contains("@"), !authority.contains("%") else { return nil }
    let (host, port) = Self.split(authority)
    guard let host, port.map({ Int($0).map { (1...65_535).contains($0) } ?? false }) ?? true else { return nil }
    isLoopback = scheme == "http" && ["localhost", "127.0.0.1", "[::1]"].contains(host)
    guard scheme != "http" || isLoopback else { return nil }
    if scheme == "https" {
      guard host == host.lowercased() else { return nil }
    }
    self.text = text
    origin = scheme + "://" + authority
    withoutPort = scheme + "://" + host + path
  }

  private static func split(_ authority: String) -> (host: String?, port: String?) {
    if authority.hasPrefix("[") {
      guard let end = authority.firstIndex(of: "]") else { return (nil, nil) }
      let rest = authority[authority.index(after: end)...]
      guard rest.isEmpty || rest.hasPrefix(":") else { return (nil, nil) }
      return (String(authority[...end]), rest.isEmpty ? nil : String(rest.dropFirst()))
    }
    let parts = authority.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard parts.count <= 2, let host = parts.first, !host.isEmpty,
      host.utf8.allSatisfy({ HostName.isAllowed($0) })
    else { return (nil, nil) }
    return (host, parts.count == 2 ? parts[1] : nil)
  }

  /// Whether a request for this address is served by a registration of the other: the same text, or on this computer
  /// the same but for the port (RFC 8252 section 7.3).
  package func isServed(by registered: RedirectURI) -> Bool {
    if text.utf8.elementsEqual(registered.text.utf8) { return true }
    return isLoopback && registered.isLoopback && withoutPort.utf8.elementsEqual(registered.withoutPort.utf8)
  }

  /// The address with a query's fields.
  package func with(_ fields: [(String, String)]) -> String {
    let query = fields.map { "\($0)=\(FormFields.encode($1))" }.joined(separator: "&")
    return text + (text.contains("?") ? "&" : "?") + query
  }
}

/// Letters, digits, dots, hyphens and underscores.
enum HostName {
  static func isAllowed(_ byte: UInt8) -> Bool {
    (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
      || "-._".utf8.contains(byte)
  }
}
