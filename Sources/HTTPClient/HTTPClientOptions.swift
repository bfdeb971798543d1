/// How a client connects.
public struct HTTPClientOptions: Hashable, Sendable {
  /// A PEM file of certificate authorities to trust instead of the system's; nil for the system's.
  public var certificateAuthorities: String?
  /// The longest a connection may take to come about, TLS included.
  public var connectTimeout: Duration
  /// The `User-Agent` field.
  public var userAgent: String
  /// Idle connections that are kept for later requests.
  public var idleConnections: Int
  /// Connections to one host at the same time, over which further requests wait their turn; 0 for no bound.
  public var hostConnections: Int

  /// Connect to addresses of the public network alone, for URLs that strangers chose. Judged where the socket is opened,
  /// so that no second look-up of the name can lead elsewhere; proxies of the environment are passed over.
  public var onlyPublic = false

  /// Makes options.
  public init(
    certificateAuthorities: String? = nil, connectTimeout: Duration = .seconds(10), userAgent: String = "parley",
    idleConnections: Int = 16, hostConnections: Int = 0
  ) {
    self.certificateAuthorities = certificateAuthorities
    self.connectTimeout = connectTimeout
    self.userAgent = userAgent
    self.idleConnections = idleConnections
    self.hostConnections = hostConnections
  }
}
