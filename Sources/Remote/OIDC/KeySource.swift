import ParleyHTTPClient
import ParleyRuntime

/// The provider's keys: fetched when first needed, again each hour, and when a token names one that is not known, at
/// most so often. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
package final class KeySource: @unchecked Sendable {
  /// Gets a document; nil where there is none.
  package typealias Fetch = @Sendable (_ url: String) async -> [UInt8]?

  private static let lifetime: Duration = .seconds(3_600)
  private static let bytes = 256 << 10
  private static let keyLimit = 64

  private let loop: EventLoop
  private let issuer: String
  private let configured: String?
  private let interval: Duration
  private let fetch: Fetch
  private var keys: [VerificationKey] = []
  private var fetched: LoopInstant?
  private var tried: LoopInstant?
  private var isFetching = false
  private let done: Waiters<Void>

  /// `interval` is the shortest time between two fetches, however many unknown keys strangers name.
  package init(
    loop: EventLoop, issuer: String, jwksURI: String?, interval: Duration = .seconds(10), fetch: @escaping Fetch
  ) {
    self.loop = loop
    self.issuer = issuer
    configured = jwksURI
    self.interval = interval
    self.fetch = fetch
    done = Waiters(loop: loop)
  }

  /// Gets documents over the network, from where the configuration says.
  package static func network(_ client: HTTPClient) -> Fetch {
    { url in
      let request = HTTPRequest(
        .get, url, headers: [HTTPRequest.Header("Accept", "application/json")], responseLimit: bytes)
      do throws(HTTPFailure) {
        let response = try await client.send(request, deadline: client.loop.now.advanced(by: .seconds(10)))
        return response.status == 200 ? response.body : nil
      } catch {
        Log.write(.warning, "the identity provider cannot be reached", [("cause", error.description)])
        return nil
      }
    }
  }

  /// The keys that a token may be signed by, of those that are known; nil where others should be fetched first.
  func known(for token: SignedToken) -> [VerificationKey]? {
    let found = matching(token)
    let isFresh = fetched.map { $0.duration(to: loop.now) < Self.lifetime } ?? false
    if !found.isEmpty, isFresh { return found }
    let mayFetch = tried.map { $0.duration(to: loop.now) >= interval } ?? true
    return mayFetch || isFetching ? nil : found
  }

  /// The same after a fetch.
  func keys(for token: SignedToken) async -> [VerificationKey] {
    if let known = known(for: token) { return known }
    if isFetching {
      _ = await done.wait(done.ticket(), until: loop.now.advanced(by: .seconds(15)))
    } else {
      isFetching = true
      tried = loop.now
      // What is known stays where nothing newer can be had.
      if let found = await fetchKeys() {
        keys = found
        fetched = loop.now
      }
      isFetching = false
      done.resumeAll(())
    }
    return matching(token)
  }

  private func matching(_ token: SignedToken) -> [VerificationKey] {
    keys.filter { key in key.serves(token.algorithm) && (token.keyID == nil || key.id == token.keyID) }
  }

  private func fetchKeys() async -> [VerificationKey]? {
    guard let address = await keyAddress(), let document = await fetch(address),
      let set = try? JSONValue(parsing: document, limit: Self.bytes), let list = set["keys"]?.array
    else {
      Log.write(.warning, "the identity provider's keys cannot be had", [("issuer", issuer)])
      return nil
    }
    return Array(list.compactMap(VerificationKey.init).prefix(Self.keyLimit))
  }

  /// Where the configuration says, else where the provider says, which must be with itself.
  private func keyAddress() async -> String? {
    if let configured { return configured }
    let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
    guard let document = await fetch(base + "/.well-known/openid-configuration"),
      let metadata = try? JSONValue(parsing: document, limit: Self.bytes), let named = metadata["issuer"]?.string,
      let address = metadata["jwks_uri"]?.string
    else { return nil }
    guard OIDCRules.isSame(named, issuer), Self.origin(address) == Self.origin(issuer) else {
      Log.write(
        .error, "the identity provider's metadata name another issuer, or keys elsewhere; set auth.oidc.jwks_uri",
        [("issuer", issuer)])
      return nil
    }
    return address
  }

  private static func origin(_ url: String) -> String {
    guard let mark = url.firstRange(of: "://") else { return url }
    return url[..<mark.upperBound] + url[mark.upperBound...].prefix { !"/?#\\".contains($0) }.lowercased()
  }
}
