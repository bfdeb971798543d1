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
    package let authentication: Configuration.Authentication
    package let access: Configuration.Access
    /// Handles that the owner may choose for a client, beside its own.
    package let handles: [Handle]
    /// Where the Duo broker listens, on this machine alone; nil where it does not.
    package let broker: Endpoint?
  }

  /// Who may enter, for the commands that decide it.
  package let keys: DoorKeys

  /// A door over one backend.
  package struct Opening: Sendable {
    /// The backend as the door's participants use it: vouched for, where the door knows its callers, and counted.
    package let backend: any Backend
    /// Serves until the process is told to end; must be called on the supervisor's loop.
    package let serve: @Sendable (Room) async -> (any Error)?

    package init(backend: any Backend, serve: @escaping @Sendable (Room) async -> (any Error)?) {
      self.backend = backend
      self.serve = serve
    }
  }

  /// Prepares a door.
  package let open: @Sendable (any Backend, Configuration) throws -> Opening

  /// Makes a door.
  package init(keys: DoorKeys, open: @escaping @Sendable (any Backend, Configuration) throws -> Opening) {
    self.keys = keys
    self.open = open
  }
}

/// Why a door is not opened: somebody could come in who should not, or read what is said.
enum DoorRule {
  /// The reason and the way out; nil where the door is safe to open.
  static func refusal(_ configuration: Configuration, _ keys: DoorKeys.Summary) -> String? {
    let http = configuration.http
    let open = http.listen.filter { !$0.isLocal }
    if http.consoleHandle != nil, !keys.hasOwner {
      return "http.console: nobody could log in, since the owner has no passphrase; run 'parley owner set'"
    }
    if case .oidc = configuration.authentication {
      guard configuration.access.publicURL != nil else {
        return "auth.public_url: mode oidc needs it, since tokens must be for its /mcp"
      }
    } else if configuration.access.publicURL != nil {
      guard keys.hasOwner else {
        return
          "auth.public_url: nobody could let a client in, since the owner has no passphrase; run 'parley owner set'"
      }
    } else if http.token == nil, keys.tokens == 0, http.consoleHandle == nil, !configuration.access.isSelfService {
      guard http.isInsecure else {
        return "http.token: whoever can connect could read and write; run 'parley token create', let clients log in "
          + "(auth.public_url), set a token (http.token_file names a file), or http.insecure: true where only this "
          + "machine can connect"
      }
      if let place = open.first {
        return
          "http.token: without one, everyone who reaches \(place) could read and write; http.insecure waives it on "
          + "loopback addresses and Unix sockets alone"
      }
    }
    if let place = open.first, http.tls == nil, http.trustedProxies.isEmpty, !http.isInsecure {
      return
        "http.listen: \(place) would carry tokens and all messages in clear; set http.tls, listen on a loopback address behind "
        + "a proxy that speaks TLS, name the proxy in http.trusted_proxies, or set http.insecure: true"
    }
    return nil
  }
}
