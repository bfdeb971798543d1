import ParleyRuntime
import ParleyTLS

/// Who a client id stands for. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
package final class ClientDirectory: @unchecked Sendable {
  private let store: any AuthStore
  private let loop: EventLoop
  private let documents: MetadataDocuments
  private let lifetimes: AuthState.Lifetimes
  let registration: Registration

  package init(
    loop: EventLoop, store: any AuthStore, registration: Registration, documents: MetadataDocuments,
    lifetimes: AuthState.Lifetimes
  ) {
    self.loop = loop
    self.store = store
    self.registration = registration
    self.documents = documents
    self.lifetimes = lifetimes
  }

  /// The client; nil where there is none, or no longer. A document of one that is not known yet is fetched.
  package func find(_ id: String) async -> OAuthClient? {
    if let client = OAuthClient.pinned(id) { return client }
    if MetadataDocuments.isDocument(id) { return await documents.client(id) }
    guard let (client, issued) = registration.open(id) else { return nil }
    let now = loop.wallClockMilliseconds
    // The owner's consent makes a registration last; without one it ends after a day.
    if let record = store.state().clients[id] { return record.revokedUntil == nil ? client : nil }
    return issued + lifetimes.registration > now ? client : nil
  }

  /// The client of a token request: it consented before, so its document need not be asked again. Throws
  /// `invalid_client` where it is unknown, or does not prove itself as it registered.
  package func authenticate(_ fields: FormFields, authorization: String?) throws(OAuthError) -> String {
    var (id, secret) = (fields["client_id"], fields["client_secret"])
    var method = secret == nil ? OAuthClient.Method.none : .post
    if let authorization {
      guard secret == nil, let basic = Self.basic(authorization), id ?? basic.id == basic.id else {
        throw OAuthError(.invalidClient, "the client's credentials cannot be read, or are there twice")
      }
      (id, secret, method) = (basic.id, basic.secret, .basic)
    }
    guard let id else { throw OAuthError(.invalidRequest, "client_id is missing, or there more than once") }
    let refusal = OAuthError(.invalidClient, "the client is not known here, or does not prove itself")
    guard let (client, _) = registration.open(id) else {
      guard method == .none, OAuthClient.pinned(id) != nil || MetadataDocuments.isDocument(id) else { throw refusal }
      return id
    }
    guard let record = store.state().clients[id], record.revokedUntil == nil else { throw refusal }
    guard client.method != .none else {
      // Some send an empty or needless secret; a public client has none to prove.
      guard method == .none else { throw refusal }
      return id
    }
    let expected = Array(registration.secret(of: id).utf8)
    guard let secret, method != .none, Array(secret.utf8).isIdentical(to: expected) else { throw refusal }
    return id
  }

  /// RFC 6749 section 2.3.1: both parts are form-encoded first.
  private static func basic(_ header: String) -> (id: String, secret: String)? {
    let parts = header.split(separator: " ")
    guard parts.count == 2, parts[0].lowercased() == "basic", let bytes = Base64.decode(String(parts[1])),
      let text = String(validating: bytes, as: UTF8.self), let colon = text.firstIndex(of: ":"),
      let fields = FormFields("id=\(text[..<colon])&secret=\(text[text.index(after: colon)...])"),
      let id = fields["id"], let secret = fields["secret"]
    else { return nil }
    return (id, secret)
  }
}
