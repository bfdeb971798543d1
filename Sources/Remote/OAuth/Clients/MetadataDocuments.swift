import ParleyHTTPClient
import ParleyRuntime

/// Clients whose id is the address of a document about them (OAuth Client ID Metadata Document). Confined to the loop.
///
/// The address comes from a stranger. So only public addresses are connected to, judged where the socket is opened;
/// nothing is redirected; and time, size and number of look-ups have bounds.
//
// @unchecked: confined to the loop's thread.
package final class MetadataDocuments: @unchecked Sendable {
  private struct Known {
    var client: OAuthClient?
    var until: WallTime
  }

  private static let lifetime: WallTime = 3_600_000
  private static let failureLifetime: WallTime = 60_000
  private static let capacity = 64
  private static let atOnce = 4
  private static let bytes = 64 << 10

  /// Gets a document; nil where there is none.
  package typealias Fetch = @Sendable (_ url: String, _ loop: EventLoop) async -> [UInt8]?

  private let loop: EventLoop
  private let rules: RedirectRules
  private let fetch: Fetch
  private var known: [String: Known] = [:]
  private var pending = 0

  package init(loop: EventLoop, rules: RedirectRules, fetch: @escaping Fetch) {
    self.loop = loop
    self.rules = rules
    self.fetch = fetch
  }

  /// Gets documents from the public network, by a client that connects nowhere else.
  package static func network(_ client: HTTPClient) -> Fetch {
    { url, loop in
      let request = HTTPRequest(
        .get, url, headers: [HTTPRequest.Header("Accept", "application/json")], responseLimit: bytes)
      do throws(HTTPFailure) {
        let response = try await client.send(request, deadline: loop.now.advanced(by: .seconds(5)))
        let type = response.header("content-type")?.prefix { $0 != ";" }.lowercased() ?? ""
        guard response.status == 200, type == "application/json" || type.hasSuffix("+json") else { return nil }
        return response.body
      } catch {
        Log.write(.info, "a client's document cannot be fetched", [("cause", error.description)])
        return nil
      }
    }
  }

  /// Whether an id is such an address: https, a name with a dot and no port, a path, neither query nor fragment, no
  /// dot segments, not numeric.
  package static func isDocument(_ id: String) -> Bool {
    guard id.hasPrefix("https://"), id.utf8.count <= 512,
      id.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"?#\\\"'<>`{}|^".utf8.contains($0) })
    else { return false }
    let rest = id.dropFirst("https://".count)
    let host = rest.prefix { $0 != "/" }
    let path = rest.dropFirst(host.count)
    let labels = host.split(separator: ".", omittingEmptySubsequences: false)
    return host.utf8.allSatisfy(HostName.isAllowed) && labels.count >= 2 && labels.allSatisfy { !$0.isEmpty }
      && labels.last?.utf8.contains { (0x61...0x7A).contains($0 | 0x20) } == true && path.utf8.count > 1
      && !path.split(separator: "/").contains { $0 == "." || $0 == ".." }
  }

  /// The client of a document; nil where it cannot be had, is not about itself, or too many are being fetched.
  package func client(_ id: String) async -> OAuthClient? {
    let now = loop.wallClockMilliseconds
    if let found = known[id], found.until > now { return found.client }
    guard pending < Self.atOnce else { return nil }
    pending += 1
    let document = await fetch(id, loop)
    pending -= 1
    let client = document.flatMap { Self.parse($0, id, rules) }
    if known.count >= Self.capacity {
      known = known.filter { $0.value.until > now }
      if known.count >= Self.capacity { known = [:] }
    }
    known[id] = Known(client: client, until: now + (client == nil ? Self.failureLifetime : Self.lifetime))
    return client
  }

  static func parse(_ document: [UInt8], _ id: String, _ rules: RedirectRules) -> OAuthClient? {
    guard let value = try? JSONValue(parsing: document, limit: bytes), value["client_id"]?.string == id,
      value["token_endpoint_auth_method"]?.string ?? "none" == "none",
      let given = value["redirect_uris"]?.array, (1...16).contains(given.count)
    else { return nil }
    // Where the document lies is what the owner is shown: answers go there, or where any client's may go. Others are
    // passed over, and can never be asked for.
    let own = "https://" + id.dropFirst("https://".count).prefix { $0 != "/" }
    let redirects = given.compactMap { $0.string.flatMap(RedirectURI.init) }
      .filter { rules.allows($0) || $0.origin == own }
    guard !redirects.isEmpty else { return nil }
    return OAuthClient(
      id: id, name: OAuthClient.shown(value["client_name"]?.string), redirects: redirects, method: .none,
      kind: .document)
  }
}
