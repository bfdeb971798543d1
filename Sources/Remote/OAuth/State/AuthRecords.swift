import ParleyRuntime

/// Milliseconds since 1970: records outlive processes, so their times are the wall clock's.
package typealias WallTime = Int64

/// A bearer token that the owner made for a script or an agent.
package struct TokenRecord: Hashable, Sendable {
  /// What `token list` shows and `token revoke` takes.
  package var id: String
  package var name: String
  package var scopes: Scopes
  package var handle: Handle?
  package var created: WallTime
  /// Nil for one that does not expire.
  package var expires: WallTime?

  package init(id: String, name: String, scopes: Scopes, handle: Handle?, created: WallTime, expires: WallTime?) {
    self.id = id
    self.name = name
    self.scopes = scopes
    self.handle = handle
    self.created = created
    self.expires = expires
  }
}

/// How a client is known.
package enum ClientKind: String, Hashable, Sendable {
  /// By a list in the program.
  case pinned
  /// By a document at the URL that is its id.
  case document
  /// By its own registration.
  case registered
}

/// A client to which the owner consented at least once.
package struct ClientRecord: Hashable, Sendable {
  package var id: String
  /// What `clients list` shows and `clients revoke` takes.
  package var shortID: String
  package var name: String
  package var kind: ClientKind
  package var created: WallTime
  package var lastUse: WallTime
  /// Revoked: the id is refused until then, when its registration has ended anyway.
  package var revokedUntil: WallTime?
}

/// One consent of the owner, and everything that is given out under it: a family that is revoked as one.
package struct GrantRecord: Hashable, Sendable {
  package var id: String
  package var client: String
  package var scopes: Scopes
  package var handle: Handle
  /// What its tokens are for (RFC 8707).
  package var resource: String
  package var created: WallTime
}

/// An authorization code, also after its use, so that a second use is noticed.
package struct CodeRecord: Hashable, Sendable {
  package var grant: String
  package var redirectURI: String
  /// The S256 challenge (RFC 7636).
  package var challenge: String
  package var expires: WallTime
  package var isUsed = false
}

/// An access token.
package struct AccessRecord: Hashable, Sendable {
  package var grant: String
  package var scopes: Scopes
  package var expires: WallTime
}

/// A refresh token, also after it was exchanged, so that a second use is noticed.
package struct RefreshRecord: Hashable, Sendable {
  package var grant: String
  package var expires: WallTime
  /// The one it was given for; those of one parent are siblings.
  package var parent: String?
  /// When another took its place.
  package var replaced: WallTime?
}
