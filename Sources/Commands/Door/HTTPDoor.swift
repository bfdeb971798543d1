import ParleyConfiguration
import ParleyMCP
import ParleyRuntime

/// The HTTP door as an executable wires it in: `parley serve --http`.
public struct HTTPDoor: Sendable {
  /// What is served: the participant, its backend, what it offers.
  package struct Room: Sendable {
    package let hub: Hub.Setup
    package let supervisor: Supervisor
    package let offer: StdioServer.Offer
    /// What a session is pushed, and what it learns of the time before.
    package let session: StdioServer.Options
    package let http: Configuration.HTTP
  }

  /// Serves until the process is told to end; must be called on the supervisor's loop.
  package let serve: @Sendable (Room) async -> (any Error)?

  /// Makes a door.
  package init(serve: @escaping @Sendable (Room) async -> (any Error)?) { self.serve = serve }
}

/// Why a door is not opened: somebody could come in who should not, or read what is said.
enum DoorRule {
  /// The reason and the way out; nil where the door is safe to open.
  static func refusal(_ http: Configuration.HTTP) -> String? {
    let open = http.listen.filter { !$0.isLocal }
    if http.token == nil {
      guard http.isInsecure else {
        return "http.token: whoever can connect could read and write; set a token (http.token_file names a file), or "
          + "http.insecure: true where only this machine can connect"
      }
      if let place = open.first {
        return
          "http.token: without one, everyone who reaches \(place) could read and write; http.insecure waives it on "
          + "loopback addresses and Unix sockets alone"
      }
    }
    if let place = open.first, http.tls == nil, http.trustedProxies.isEmpty, !http.isInsecure {
      return
        "http.listen: \(place) would carry the token and all messages in clear; set http.tls, listen on a loopback address behind "
        + "a proxy that speaks TLS, name the proxy in http.trusted_proxies, or set http.insecure: true"
    }
    return nil
  }
}
