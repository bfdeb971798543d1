import ParleyRuntime

extension CallContext {
  /// Runs `body`, and reports every few seconds that it still waits, so that clients do not give it up.
  nonisolated(nonsending) func reportingProgress<Value: Sendable>(
    for total: Duration, _ text: String, _ body: nonisolated(nonsending) () async throws(HubError) -> Value
  ) async throws(HubError) -> Value {
    guard isReporting else { return try await body() }
    async let _: Void = tick(total, text)
    return try await body()
  }

  /// Reports until the task is cancelled: seconds done, of the seconds that it may take.
  private func tick(_ total: Duration, _ text: String) async {
    let step = 5
    // Soon, so that the client sees the call under way; not at once, since most calls are over by then.
    guard await hub.loop.sleep(for: .milliseconds(100)) else { return }
    progress(0, Double(total.milliseconds) / 1000, text)
    var done = step
    while await hub.loop.sleep(for: .seconds(step)) {
      progress(Double(done), Double(total.milliseconds) / 1000, text)
      done += step
    }
  }
}
