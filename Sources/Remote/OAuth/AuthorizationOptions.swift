import ParleyRuntime
import ParleyTLS

/// What the built-in authorization server is made of.
package struct AuthorizationOptions: Sendable {
  package var address: PublicAddress
  package var redirects = RedirectRules()
  package var lifetimes = AuthState.Lifetimes()
  /// The handle that the consent page proposes, and others to choose from.
  package var handle: Handle
  package var suggestions: [Handle] = []
  /// A handle's longest name in bytes.
  package var handleLimit = Limits().handleBytes
  /// Gets documents about clients.
  package var fetch: MetadataDocuments.Fetch
  /// How long an open consent page may be answered; milliseconds.
  package var pageLifetime: WallTime = 600_000
  /// Wrong passphrases in a quarter of an hour: of one address, and of all.
  package var passphraseAttempts = (perAddress: 10, inAll: 60)
  /// Requests in a quarter of an hour, likewise: registrations, pages, and token requests that were refused.
  package var registrations = (perAddress: 40, inAll: 2_000)
  package var pages = (perAddress: 100, inAll: 2_000)
  package var refusedTokens = (perAddress: 60, inAll: 2_000)
  /// Whether the passphrase is the owner's; blocks.
  package var verify: @Sendable (_ passphrase: String, _ record: String) -> Bool = {
    PassphraseHash.verify($0, against: $1)
  }
  /// Decides instead of the store's record, where a program knows its owner by itself; blocks.
  package var isOwner: (@Sendable (_ passphrase: String) -> Bool)?

  package init(address: PublicAddress, handle: Handle, fetch: @escaping MetadataDocuments.Fetch) {
    self.address = address
    self.handle = handle
    self.fetch = fetch
  }
}
