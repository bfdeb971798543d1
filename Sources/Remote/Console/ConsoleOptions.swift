import ParleyCoordination
import ParleyRuntime

/// Pages for the owner's browser: who the owner is there, and where its logins are kept.
package struct ConsoleOptions: Sendable {
  /// Has the owner's passphrase, and the browsers that it logged in with.
  package var store: any AuthStore
  /// Whom the owner posts as.
  package var handle: Handle
  /// Cookies go over encrypted connections alone.
  package var isSecure: Bool
  /// The origin by which browsers reach the door, where that is known; else the one that a request is for counts.
  package var origin: String?
  /// Who is asked for leave; nil where nobody is.
  package var approvals: ApprovalRules?
  /// A login ends after so long.
  package var lifetime: Duration = .seconds(12 * 3_600)
  /// How long a page waits for a backend that is away.
  package var patience: Duration = .seconds(3)

  package init(store: any AuthStore, handle: Handle, isSecure: Bool) {
    self.store = store
    self.handle = handle
    self.isSecure = isSecure
  }
}
