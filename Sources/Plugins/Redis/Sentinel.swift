import ParleyRuntime
import ParleyTLS

/// Asks Sentinels where the master is, one after the other (Redis, "Guidelines for clients with Sentinel").
enum Sentinel {
  /// Throws the last Sentinel's failure when none knows.
  static func master(
    _ options: RedisOptions, tls: TLSContext?, loop: EventLoop, until deadline: LoopInstant,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> Endpoint {
    let operation = "ask the Sentinels for '\(options.sentinelMaster)'"
    var failure = SeamError(.unavailable, operation: operation, cause: "none is configured")
    let role = ConnectionRole(
      password: options.sentinelPassword, tls: tls, tlsServerName: options.tlsServerName)
    for endpoint in options.sentinels {
      // One that hangs must not take the time of the others.
      let share = min(deadline, loop.now.advanced(by: .seconds(2)))
      do throws(SeamError) {
        let connection = try await RedisConnection.open(
          to: endpoint, as: role, loop: loop, timeout: options.timeout, until: share, lost: { _ in })
        defer { connection.close() }
        let reply = try await connection.call(
          ["SENTINEL", "get-master-addr-by-name", options.sentinelMaster], until: share)
        if case .error(let text) = reply { throw RedisError(text).seamError(operation) }
        let address = reply.elements
        if address.count == 2, let host = address[0].text, let port = address[1].number {
          return .tcp(host: host, port: port)
        }
        failure = SeamError(
          .invalidRequest, operation: operation, cause: "\(endpoint) knows no master of that name")
      } catch {
        failure =
          error.code == .timedOut
          ? SeamError(.unavailable, operation: operation, cause: "\(endpoint) does not answer") : error
      }
    }
    throw failure
  }
}
