import ParleyHTTPServer
import ParleyRuntime

/// Which hosts, origins and addresses may come in at all; judged before anybody is asked for a token.
///
/// The checks of Host and Origin keep a web page from reaching the door through a visitor's browser, with a name of its
/// own that resolves to this machine (DNS rebinding).
package struct AccessRules: Sendable {
  /// Names that the door is reached by, in lower case, without ports; loopback names and numeric addresses count always.
  package var hosts: Set<String> = []
  /// Origins of pages that may call, as browsers write them; a page of the door's own origin always may.
  package var origins: Set<String> = []
  /// Addresses that may use the conversation; empty for all.
  package var allowedFrom: [AddressRange] = []
  /// Proxies whose word about the client's address is taken.
  package var proxies: [AddressRange] = []

  package init() {}

  /// What is wrong with Host or Origin; nil where nothing is.
  func refusal(of head: RequestHead) -> HTTPRefusal? {
    guard isKnown(host: head.host) else {
      return HTTPRefusal(403, "hostNotAllowed", "the door is not reached by this host name")
    }
    let given = head.fields.all("origin")
    guard !given.isEmpty else { return nil }
    let refusal = HTTPRefusal(403, "originNotAllowed", "pages of this origin may not call")
    guard given.count == 1, let origin = given.first?.lowercased() else { return refusal }
    if origins.contains(origin) { return nil }
    return ["http://", "https://"].contains { origin == $0 + head.authority } ? nil : refusal
  }

  /// A numeric address cannot be made to lead elsewhere, so it may be any.
  private func isKnown(host: String) -> Bool {
    host.isEmpty || host == "localhost" || hosts.contains(host) || IPAddress(host) != nil
  }

  /// The client's address: the connection's, or behind a trusted proxy the last one of X-Forwarded-For that no trusted
  /// proxy has. Nil for a Unix socket.
  func client(of head: RequestHead, peer: IPAddress?) -> IPAddress? {
    guard let peer, isProxy(peer) else { return peer }
    var client = peer
    for text in head.fields.list("x-forwarded-for").reversed() {
      guard let address = IPAddress(Self.withoutPort(text)) else { return client }
      client = address
      guard isProxy(address) else { return client }
    }
    return client
  }

  /// Whether the client's address is among those that may use the conversation; a Unix socket always is.
  func allows(_ client: IPAddress?) -> Bool {
    guard let client, !allowedFrom.isEmpty else { return true }
    return allowedFrom.contains { $0.contains(client) }
  }

  private func isProxy(_ address: IPAddress) -> Bool { proxies.contains { $0.contains(address) } }

  private static func withoutPort(_ text: String) -> String {
    if text.hasPrefix("[") { return String(text.dropFirst().prefix { $0 != "]" }) }
    return text.filter { $0 == ":" }.count == 1 ? String(text.prefix { $0 != ":" }) : text
  }
}
