import ParleyRuntime

/// How a backend over another Parley's HTTP door is set up: the `backend_config` of `backend: parley`.
public struct ParleyOptions: Hashable, Sendable {
  /// The door's origin, `https://host[:port]`, with a path where a proxy has the door below one; no slash at its end.
  public var url: String
  /// A token with the scope `parley:relay`; nil for a door that lets everybody in.
  public var token: String?
  /// Where the token is, or goes where it is asked for at the door (`POST /v1/keys`), and under which label that is; nil
  /// for neither.
  public var ownKey: OwnKey?
  /// A PEM file of the authorities that may have signed the door's certificate; nil for the system's.
  public var certificateAuthorities: String?
  /// How long the door may take to accept a connection.
  public var connectTimeout = Duration.seconds(5)

  /// A key that a program gets for itself.
  public struct OwnKey: Hashable, Sendable {
    /// A file that only its user can read.
    public var path: String
    /// What the key's handle becomes.
    public var label: String
  }

  /// Makes options with the defaults.
  public init(url: String, token: String? = nil) {
    self.url = url
    self.token = token
  }
}
