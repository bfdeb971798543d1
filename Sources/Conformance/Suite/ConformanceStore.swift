import ParleyRuntime

/// A fresh, empty store of one conformance case, and what the case may do to it.
///
/// Hooks are what a test does to a server from outside. One that is nil makes the cases that need it "not applicable",
/// with the hook's name as the reason; it is never passed silently.
public struct ConformanceStore: Sendable {
  /// Makes a backend that is not connected, as another process would: all share the store, none shares a session.
  public var makeBackend: @Sendable () async throws -> any Backend
  /// Removes the oldest messages of a topic, but for the newest so many, as retention or an administrator would.
  public var trim: (@Sendable (Topic, Int) async throws -> Void)?
  /// Restarts the server without losing what was acknowledged; returns when it can be reached again.
  public var restart: (@Sendable () async throws -> Void)?
  /// Cuts every connection that the backends have now.
  public var cut: (@Sendable () async throws -> Void)?
  /// Deletes a topic with all its messages, so that the next post creates it anew.
  public var deleteTopic: (@Sendable (Topic) async throws -> Void)?
  /// Removes the store. Called once, when the case has ended and its backends are disconnected.
  public var close: @Sendable () async -> Void

  /// Makes a store without hooks.
  public init(
    makeBackend: @escaping @Sendable () async throws -> any Backend, close: @escaping @Sendable () async -> Void = {}
  ) {
    self.makeBackend = makeBackend
    self.close = close
  }
}

/// What the suite must know about a backend beyond its traits.
public struct Capabilities: Hashable, Sendable {
  /// The longest a push, a reconnect or an operation may take before a case fails.
  public var patience: Duration = .seconds(10)
  /// How long a case watches for something that must not happen.
  public var quiet: Duration = .milliseconds(200)
  /// Whether a message's bare id is accepted as a cursor.
  public var acceptsBareIDs = true
  /// The account that handles resolve to; nil where the backend knows none and answers `unknown`.
  public var knownAccount: String?
  /// Messages that each of four writers posts in the concurrent case.
  public var postsPerWriter = 25
  /// Content size of the large-text case, in bytes; at least the contract's 200 KiB unless the server carries less.
  public var largeContent = 200 * 1024

  /// The defaults: an in-process store without accounts.
  public init() {}
}

/// One case of the contract: a name, the clause it belongs to, and what to do.
public struct ConformanceCase: Sendable, CustomStringConvertible {
  /// `S1` to `S13`.
  public let clause: String
  /// What must hold, as a sentence.
  public let name: String
  /// Throws `ConformanceFailure`, `NotApplicable`, or what the backend threw.
  public let run: @Sendable (ConformanceContext) async throws -> Void

  /// Makes a case.
  public init(_ clause: String, _ name: String, run: @escaping @Sendable (ConformanceContext) async throws -> Void) {
    self.clause = clause
    self.name = name
    self.run = run
  }

  public var description: String { "\(clause) \(name)" }
}

/// The backend broke the contract.
public struct ConformanceFailure: Error, Hashable, CustomStringConvertible {
  /// What was expected and what happened.
  public let message: String

  /// Makes a failure.
  public init(_ message: String) { self.message = message }

  public var description: String { message }
}

/// The case cannot be run on this backend.
public struct NotApplicable: Error, Hashable, CustomStringConvertible {
  /// Why not.
  public let reason: String

  /// Makes the error.
  public init(_ reason: String) { self.reason = reason }

  public var description: String { reason }
}
