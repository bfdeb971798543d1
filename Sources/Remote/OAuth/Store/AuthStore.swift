import ParleyRuntime

/// Where the authorization server's records live: any number of processes see the same, and change it one at a time.
package protocol AuthStore: Sendable {
  /// The state as it is now, without waiting; called on the loop. Where it cannot be read, an empty one: then nobody
  /// comes in.
  func state() -> AuthState

  /// Changes the state as one step that no other process sees half of, and returns when it is kept.
  func change<Value: Sendable>(
    on loop: EventLoop, _ change: @escaping @Sendable (inout AuthState) -> Value
  ) async throws(AuthStoreError) -> Value

  /// Whether another process may have changed what `state` does not tell yet.
  var canBeBehind: Bool { get }

  /// Brings `state` up to date. Throws where it cannot be known.
  func refresh() async throws(AuthStoreError)

  /// Codes everything that the server vouches for.
  var key: ServerKey { get }
}

/// Why the records cannot be read or kept.
package struct AuthStoreError: Error, Hashable, Sendable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}
