import ParleyRuntime

/// The contract of the seam as cases that any backend's author can run; no test framework inside.
///
/// ```swift
/// let suite = ConformanceSuite { loop in ConformanceStore { MyBackend(loop: loop) } }
/// for conformanceCase in ConformanceSuite.cases { print(try await suite.run(conformanceCase)) }
/// ```
public struct ConformanceSuite: Sendable {
  /// Makes one fresh, empty store; its backends run on the given loop.
  public typealias Factory = @Sendable (EventLoop) async throws -> ConformanceStore

  /// How a case that did not fail ended.
  public enum Outcome: Hashable, Sendable {
    /// The backend keeps the contract.
    case passed
    /// The case needs what the backend or its test set-up does not have.
    case notApplicable(String)
  }

  private let factory: Factory
  private let capabilities: Capabilities

  /// Makes a suite over a factory.
  public init(capabilities: Capabilities = Capabilities(), factory: @escaping Factory) {
    self.capabilities = capabilities
    self.factory = factory
  }

  /// Every case, in the order of the contract.
  public static let cases: [ConformanceCase] =
    baseline + posting + keys + cursors + gaps + subscriptions + waiting + roundTrips + failures + sharing + identities

  /// Runs one case on a loop and thread of its own, over a store of its own.
  ///
  /// Throws `ConformanceFailure`, or what the backend threw where it should not have.
  public func run(_ conformanceCase: ConformanceCase) async throws -> Outcome {
    let loop = try EventLoop.thread(named: "conformance")
    defer { loop.stop() }
    let result = await loop.spawn { await attempt(conformanceCase, on: loop) }.value
    return try result.get()
  }

  /// Runs one case on a loop that the caller runs, for example a seeded one.
  public func run(_ conformanceCase: ConformanceCase, on loop: EventLoop) async throws -> Outcome {
    try await loop.spawn { await attempt(conformanceCase, on: loop) }.value.get()
  }

  private func attempt(_ conformanceCase: ConformanceCase, on loop: EventLoop) async -> Result<Outcome, any Error> {
    let store: ConformanceStore
    do { store = try await factory(loop) } catch { return .failure(error) }
    let context = ConformanceContext(loop: loop, store: store, capabilities: capabilities)
    let result: Result<Outcome, any Error>
    do {
      try await conformanceCase.run(context)
      result = .success(.passed)
    } catch let error as NotApplicable {
      result = .success(.notApplicable(error.reason))
    } catch {
      result = .failure(error)
    }
    await context.end()
    await store.close()
    return result
  }
}
