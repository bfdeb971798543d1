import CNats
import ParleyRuntime

/// Tries the servers of a cluster, one after the other, on a thread that may block.
enum Dialer {
  /// The first connection that stands; else the most telling failure, with the server's name.
  static func dial(
    _ servers: [ServerAddress], _ options: NATSOptions, events: ConnectionEvents
  ) -> Result<NATSHandle, SeamError> {
    var worst: SeamError?
    for server in servers {
      do throws(NATSFailure) {
        return .success(try NATSHandle.dial(server, options, events: events))
      } catch {
        let failure = error.seamError("connect to \(server.text)")
        // One server that refuses us says more than another that is away.
        if worst == nil || (worst?.code == .unavailable && failure.code != .unavailable) { worst = failure }
      }
    }
    return .failure(worst ?? SeamError(.invalidRequest, operation: "connect", cause: "no server is configured"))
  }
}
