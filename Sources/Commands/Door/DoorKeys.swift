import ParleyConfiguration
import ParleyRuntime

/// Who may enter by the HTTP door, as the executable that carries it keeps it; each call names the
/// configuration whose store is meant, and blocks.
package struct DoorKeys: Sendable {
  /// What decides whether a door may be opened.
  package struct Summary: Hashable, Sendable {
    package var hasOwner: Bool
    /// Tokens of the owner's that count now.
    package var tokens: Int

    package init(hasOwner: Bool, tokens: Int) {
      self.hasOwner = hasOwner
      self.tokens = tokens
    }
  }

  /// A token to be made.
  package struct NewToken: Hashable, Sendable {
    package var name: String
    /// As they are written in OAuth.
    package var scopes: String
    package var handle: Handle?
    /// Nil for one that does not expire.
    package var lifetime: Duration?
  }

  /// A token as it is shown.
  package struct Token: Hashable, Sendable {
    package var id: String
    package var name: String
    package var scopes: String
    package var handle: Handle?
    /// Milliseconds since 1970.
    package var created: Int64
    package var expires: Int64?

    package init(id: String, name: String, scopes: String, handle: Handle?, created: Int64, expires: Int64?) {
      self.id = id
      self.name = name
      self.scopes = scopes
      self.handle = handle
      self.created = created
      self.expires = expires
    }
  }

  /// A client that the owner let in.
  package struct Client: Sendable {
    package var id: String
    package var name: String
    /// How it is known: `pinned`, `document`, `registered`.
    package var kind: String
    /// What each consent that counts lets it do, and as whom.
    package var consents: [(scopes: String, handle: Handle)]
    package var lastUse: Int64

    package init(
      id: String, name: String, kind: String, consents: [(scopes: String, handle: Handle)], lastUse: Int64
    ) {
      self.id = id
      self.name = name
      self.kind = kind
      self.consents = consents
      self.lastUse = lastUse
    }
  }

  package let summary: @Sendable (_ configuration: Configuration) throws -> Summary
  package let setOwner: @Sendable (_ configuration: Configuration, _ passphrase: String) throws -> Void
  /// The token itself, which is kept nowhere, and what is shown of it from then on; nil where a scope is unknown.
  package let createToken: @Sendable (_ configuration: Configuration, NewToken) throws -> (secret: String, Token)?
  package let tokens: @Sendable (_ configuration: Configuration) throws -> [Token]
  /// False where there is none of this id.
  package let revokeToken: @Sendable (_ configuration: Configuration, _ id: String) throws -> Bool
  package let clients: @Sendable (_ configuration: Configuration) throws -> [Client]
  package let revokeClient: @Sendable (_ configuration: Configuration, _ id: String) throws -> Bool

  package init(
    summary: @escaping @Sendable (Configuration) throws -> Summary,
    setOwner: @escaping @Sendable (Configuration, String) throws -> Void,
    createToken: @escaping @Sendable (Configuration, NewToken) throws -> (secret: String, Token)?,
    tokens: @escaping @Sendable (Configuration) throws -> [Token],
    revokeToken: @escaping @Sendable (Configuration, String) throws -> Bool,
    clients: @escaping @Sendable (Configuration) throws -> [Client],
    revokeClient: @escaping @Sendable (Configuration, String) throws -> Bool
  ) {
    self.summary = summary
    self.setOwner = setOwner
    self.createToken = createToken
    self.tokens = tokens
    self.revokeToken = revokeToken
    self.clients = clients
    self.revokeClient = revokeClient
  }
}
