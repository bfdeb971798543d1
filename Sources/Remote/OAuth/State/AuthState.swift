import ParleyRuntime
import ParleyTLS

/// Everything the authorization server remembers: a pure state machine over records, keyed by the digests of secrets.
///
/// Every change is given the time and the digests of secrets that its caller made, so that one change of a store is one
/// atomic step: a code or refresh token counts once, however many processes are asked at once.
package struct AuthState: Hashable, Sendable {
  /// How long things live; milliseconds.
  package struct Lifetimes: Hashable, Sendable {
    package var code: WallTime = 60_000
    package var access: WallTime = 3_600_000
    /// Since the last use.
    package var refresh: WallTime = 60 * 86_400_000
    /// A refresh token that was replaced still works so long: its successor may have been lost on the way.
    package var grace: WallTime = 30_000
    /// A registration that the owner never consented to.
    package var registration: WallTime = 86_400_000
    /// A client without a consent that counts.
    package var client: WallTime = 90 * 86_400_000
    package init() {}
  }

  /// Access tokens of one grant; the one that ends first gives way.
  static let accessPerGrant = 16
  /// A refresh token that was replaced is remembered so long, far over any grace.
  static let kept: WallTime = 600_000
  /// Successors of one refresh token.
  static let siblings = 8

  /// The hashed passphrase of the owner.
  package var owner: String?
  package var tokens: [String: TokenRecord] = [:]
  package var clients: [String: ClientRecord] = [:]
  package var grants: [String: GrantRecord] = [:]
  package var codes: [String: CodeRecord] = [:]
  package var access: [String: AccessRecord] = [:]
  package var refresh: [String: RefreshRecord] = [:]
  /// Webhooks that came, by digest, and until when they are known again.
  package var deliveries: [String: WallTime] = [:]
  /// Browsers in which the owner logged in to the console, by the digests of their cookies, and until when.
  package var logins: [String: WallTime] = [:]

  package init() {}

  /// Why nothing is given for a code or refresh token; callers are told no more than `invalid_grant`.
  package enum Refusal: Error, Hashable, Sendable {
    /// Unknown or expired.
    case unknown
    /// Of another client, for another redirect URI or resource, or with a wrong verifier.
    case mismatch
    /// Used before: everything under the same consent is revoked.
    case reused(grant: String)
    /// More was asked for than was granted.
    case scope
    /// For another resource.
    case target
  }

  /// What was given out.
  package struct Issued: Hashable, Sendable {
    package var grant: GrantRecord
    package var scopes: Scopes
    /// Seconds.
    package var lifetime: Int64
  }

  // MARK: Looking up

  /// The grant of an access token that counts now.
  package func grant(ofAccess digest: String, now: WallTime) -> (grant: GrantRecord, scopes: Scopes)? {
    guard let record = access[digest], record.expires > now, let grant = grants[record.grant] else { return nil }
    return (grant, record.scopes)
  }

  /// The owner's token, where it counts now.
  package func token(_ digest: String, now: WallTime) -> TokenRecord? {
    guard let record = tokens[digest], record.expires ?? .max > now else { return nil }
    return record
  }

  /// The grants and the owner's tokens that count now.
  package func holders(now: WallTime) -> Set<String> {
    Set(grants.keys).union(tokens.values.lazy.filter { $0.expires ?? .max > now }.map(\.id))
  }

  // MARK: Consent and code

  /// What the owner consented to.
  package struct Consent: Hashable, Sendable {
    package var client: ClientRecord
    package var scopes: Scopes
    package var handle: Handle
    package var resource: String
    package var redirectURI: String
    package var challenge: String
  }

  /// Notes a consent, and the code that stands for it.
  package mutating func consent(
    _ consent: Consent, grant id: String, code digest: String, now: WallTime, _ lifetimes: Lifetimes
  ) {
    sweep(now: now, lifetimes)
    var client = clients[consent.client.id] ?? consent.client
    client.name = consent.client.name
    client.lastUse = now
    client.revokedUntil = nil
    clients[client.id] = client
    grants[id] = GrantRecord(
      id: id, client: client.id, scopes: consent.scopes, handle: consent.handle, resource: consent.resource,
      created: now)
    codes[digest] = CodeRecord(
      grant: id, redirectURI: consent.redirectURI, challenge: consent.challenge, expires: now + lifetimes.code)
  }

  /// What a client presents for its first tokens.
  package struct Exchange: Hashable, Sendable {
    package var code: String
    package var client: String
    package var redirectURI: String
    /// The S256 transform of the verifier.
    package var challenge: String
    package var resource: String?
    package var access: String
    package var refresh: String
  }

  /// Gives the first tokens for a code, once. Whoever knows a code but not what belongs to it has not come by it
  /// honestly: it is used up either way.
  package mutating func exchange(
    _ exchange: Exchange, now: WallTime, _ lifetimes: Lifetimes
  ) -> Result<Issued, Refusal> {
    sweep(now: now, lifetimes)
    guard let record = codes[exchange.code] else { return .failure(.unknown) }
    if record.isUsed {
      revoke(grant: record.grant)
      return .failure(.reused(grant: record.grant))
    }
    codes[exchange.code]?.isUsed = true
    guard record.expires > now, let grant = grants[record.grant] else {
      revoke(grant: record.grant)
      return .failure(.unknown)
    }
    guard grant.client == exchange.client, Self.isSame(record.redirectURI, exchange.redirectURI),
      Self.isSame(record.challenge, exchange.challenge)
    else {
      revoke(grant: record.grant)
      return .failure(.mismatch)
    }
    guard exchange.resource ?? grant.resource == grant.resource else {
      revoke(grant: record.grant)
      return .failure(.target)
    }
    give(exchange.access, grant.scopes, of: grant, now: now, lifetimes)
    refresh[exchange.refresh] = RefreshRecord(grant: grant.id, expires: now + lifetimes.refresh)
    touch(grant.client, now)
    return .success(Issued(grant: grant, scopes: grant.scopes, lifetime: lifetimes.access / 1000))
  }

  // MARK: Refresh

  /// What a client presents for its next tokens.
  package struct Rotation: Hashable, Sendable {
    package var token: String
    /// The grant that the token itself names, vouched for by its seal: so one that was replaced long ago is known again
    /// although nothing of it is kept.
    package var named: String?
    package var client: String
    package var scopes: Scopes?
    package var resource: String?
    package var access: String
    package var refresh: String
  }

  /// Gives new tokens for a refresh token, which is replaced.
  ///
  /// Within the grace a replaced one gives a sibling of its successor, since that may have been lost. Of siblings one
  /// goes on: with its first use the others count as replaced, so that a thief's line and the client's never both live.
  package mutating func rotate(
    _ rotation: Rotation, now: WallTime, _ lifetimes: Lifetimes
  ) -> Result<Issued, Refusal> {
    sweep(now: now, lifetimes)
    guard let record = refresh[rotation.token], let grant = grants[record.grant] else {
      guard let named = rotation.named, grants[named]?.client == rotation.client else { return .failure(.unknown) }
      revoke(grant: named)
      return .failure(.reused(grant: named))
    }
    guard grant.client == rotation.client else { return .failure(.mismatch) }
    guard rotation.resource ?? grant.resource == grant.resource else { return .failure(.target) }
    let scopes = rotation.scopes ?? grant.scopes
    guard grant.scopes.covers(scopes) else { return .failure(.scope) }
    if let replaced = record.replaced {
      let successors = refresh.values.filter { $0.parent == rotation.token }
      // Once a successor was used none was lost.
      guard now - replaced <= lifetimes.grace, successors.count < Self.siblings,
        successors.allSatisfy({ $0.replaced == nil })
      else {
        revoke(grant: grant.id)
        return .failure(.reused(grant: grant.id))
      }
    } else {
      refresh[rotation.token]?.replaced = now
      if let parent = record.parent {
        for (digest, other) in refresh where other.parent == parent && other.replaced == nil {
          refresh[digest]?.replaced = now
        }
      }
    }
    refresh[rotation.refresh] = RefreshRecord(
      grant: grant.id, expires: now + lifetimes.refresh, parent: rotation.token)
    give(rotation.access, scopes, of: grant, now: now, lifetimes)
    touch(grant.client, now)
    return .success(Issued(grant: grant, scopes: scopes, lifetime: lifetimes.access / 1000))
  }

  private mutating func give(
    _ digest: String, _ scopes: Scopes, of grant: GrantRecord, now: WallTime, _ lifetimes: Lifetimes
  ) {
    access[digest] = AccessRecord(grant: grant.id, scopes: scopes, expires: now + lifetimes.access)
    let all = access.filter { $0.value.grant == grant.id }
    guard all.count > Self.accessPerGrant, let first = all.min(by: { $0.value.expires < $1.value.expires }) else {
      return
    }
    access[first.key] = nil
  }

  private mutating func touch(_ client: String, _ now: WallTime) { clients[client]?.lastUse = now }

  // MARK: Taking back

  /// Takes back a token of this client (RFC 7009): a refresh token with everything under the same consent, an access
  /// token alone. The id of the grant that it belonged to; nil where there is nothing to take back.
  package mutating func revoke(token digest: String, client: String) -> String? {
    if let record = refresh[digest], grants[record.grant]?.client == client {
      revoke(grant: record.grant)
      return record.grant
    }
    guard let record = access[digest], grants[record.grant]?.client == client else { return nil }
    access[digest] = nil
    return record.grant
  }

  /// Takes back a consent. Codes stay, so that a second use is still noticed.
  package mutating func revoke(grant id: String) {
    grants[id] = nil
    access = access.filter { $0.value.grant != id }
    refresh = refresh.filter { $0.value.grant != id }
  }

  /// Takes back all consents for a client. One that registered itself must register again.
  package mutating func revoke(client id: String, now: WallTime, _ lifetimes: Lifetimes) {
    for grant in grants.values where grant.client == id { revoke(grant: grant.id) }
    if clients[id]?.kind == .registered {
      clients[id]?.revokedUntil = now + lifetimes.registration
    } else {
      clients[id] = nil
    }
  }

  /// Drops what has expired.
  package mutating func sweep(now: WallTime, _ lifetimes: Lifetimes) {
    access = access.filter { $0.value.expires > now }
    refresh = refresh.filter { _, token in
      token.expires > now && (token.replaced.map { $0 + Self.kept > now } ?? true)
    }
    codes = codes.filter { $0.value.expires + lifetimes.access > now }
    tokens = tokens.filter { $0.value.expires ?? .max > now }
    logins = logins.filter { $0.value > now }
    let alive = Set(access.values.map(\.grant)).union(refresh.values.map(\.grant))
      .union(codes.values.lazy.filter { $0.expires > now && !$0.isUsed }.map(\.grant))
    grants = grants.filter { alive.contains($0.key) }
    let used = Set(grants.values.map(\.client))
    clients = clients.filter { id, client in
      if let until = client.revokedUntil { return until > now }
      return used.contains(id) || client.lastUse + lifetimes.client > now
    }
  }

  // MARK: What is kept for a time

  /// Keeps a digest, and forgets those whose time is over; where there are too many, those that end first.
  private static func keep(
    _ digest: String, until: WallTime, among kept: inout [String: WallTime], limit: Int, now: WallTime
  ) {
    kept = kept.filter { $0.value > now }
    while kept.count >= limit, let first = kept.min(by: { $0.value < $1.value }) { kept[first.key] = nil }
    kept[digest] = until
  }

  // MARK: Webhooks

  /// Webhooks that are remembered at most; those that would be forgotten first give way.
  static let deliveryLimit = 10_000

  /// Notes a webhook, and forgets those whose time is over.
  package mutating func note(delivery digest: String, until: WallTime, now: WallTime) {
    Self.keep(digest, until: until, among: &deliveries, limit: Self.deliveryLimit, now: now)
  }

  // MARK: The console

  /// Browsers that are logged in at most; the one that ends first gives way.
  static let loginLimit = 16

  /// Notes a browser in which the owner logged in.
  package mutating func logIn(_ digest: String, until: WallTime, now: WallTime) {
    Self.keep(digest, until: until, among: &logins, limit: Self.loginLimit, now: now)
  }

  /// Another passphrase: whoever came by the old one is out.
  package mutating func setOwner(_ hash: String) {
    owner = hash
    logins = [:]
  }

  /// Compared to their ends, whatever differs.
  private static func isSame(_ a: String, _ b: String) -> Bool { Array(a.utf8).isIdentical(to: Array(b.utf8)) }
}
