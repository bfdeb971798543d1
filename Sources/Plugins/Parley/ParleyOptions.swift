import ParleyRuntime

/// How a backend over another Parley's HTTP door is set up: the `backend_config` of `backend: parley`.
public struct ParleyOptions: Hashable, Sendable {
  /// The door's origin, `https://host[:port]`, with a path where a proxy has the door below one; no slash at its end.
  public var url: String
  /// A token with the scope `parley:relay`; nil for a door that lets everybody in.
  public var token: String?
  /// A PEM file of the authorities that may have signed the door's certificate; nil for the system's.
  public var certificateAuthorities: String?
  /// How long the door may take to accept a connection.
  public var connectTimeout = Duration.seconds(5)

  /// Makes options with the defaults.
  public init(url: String, token: String? = nil) {
    self.url = url
    self.token = token
  }
}
