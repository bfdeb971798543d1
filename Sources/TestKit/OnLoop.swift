import ParleyRuntime

/// Runs a test's body on a loop and thread of its own, so that no thread of the shared pool is held up.
package func onLoop<Value: Sendable>(
  _ body: @escaping @Sendable (EventLoop) async throws -> Value
) async throws -> Value {
  let loop = try EventLoop.thread(named: "test")
  defer { loop.stop() }
  return try await loop.spawn { () async -> Result<Value, any Error> in
    do { return .success(try await body(loop)) } catch { return .failure(error) }
  }.value.get()
}

/// The seam's error that `body` throws; nil when it throws none.
package func failure<Value>(
  isolation: isolated (any Actor)? = #isolation, of body: () async throws -> Value
) async -> SeamError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? SeamError
  }
}

/// Ten seconds from now.
package func soon(_ loop: EventLoop) -> LoopInstant { loop.now.advanced(by: .seconds(10)) }
