import ParleyRuntime
import ParleyTLS

/// Where a Redis backend's topics live, and how it behaves.
public struct RedisOptions: Sendable {
  let url: RedisURL
  let username: String?
  let password: String?
  let database: Int
  /// In front of every key.
  public var keyPrefix = "parley:"
  /// What CLIENT LIST shows; without spaces.
  public var clientName = "parley"
  /// How long one blocking read may last; at most 5 s, so that its deadline is our own.
  public var block: Duration = .seconds(2)
  /// How long an answer may be awaited before the server counts as hanging.
  public var timeout: Duration = .seconds(5)
  /// The longest pause between two looks where the server refuses blocking reads.
  public var pollInterval: Duration = .seconds(1)
  /// Entries older than this are trimmed by our posts; nil keeps all.
  public var retentionDays: Double?
  /// About so many entries are kept in a stream; nil keeps all.
  public var maximumLength: Int?
  /// How long a caller's key is remembered.
  public var keyWindow: Duration = .seconds(86_400)
  /// A post waits for so many replicas.
  public var replicas = 0
  /// How long it waits for them.
  public var replicaTimeout: Duration = .seconds(1)
  /// Addresses of Sentinels, which know where the master is; empty without.
  let sentinels: [Endpoint]
  /// The master's name that they are asked for.
  let sentinelMaster: String
  let sentinelPassword: String?
  /// Further nodes of a cluster to start at when the first is away.
  let clusterNodes: [Endpoint]
  let tls: TLSOptions
  let tlsServerName: String?

  /// Makes options from a URL alone (`redis://`, `rediss://`, `unix://`). Throws `invalidRequest` for a malformed one.
  public init(url: String) throws(SeamError) {
    self.url = try RedisURL(url)
    username = self.url.username
    password = self.url.password
    database = self.url.database ?? 0
    sentinels = []
    sentinelMaster = ""
    sentinelPassword = nil
    clusterNodes = []
    tls = TLSOptions()
    tlsServerName = nil
  }

  /// Options from settings that were validated against the schema. Throws `invalidRequest` for what no schema can say:
  /// a malformed URL or address, a key that lacks its counterpart.
  public init(_ settings: Settings) throws(SeamError) {
    func path(_ name: String) -> String? { settings.stringIfSet(name) }
    url = try RedisURL(settings.string("url"))
    username = settings.stringIfSet("username") ?? url.username
    password = settings.stringIfSet("password") ?? url.password
    database = settings.integerIfSet("database") ?? url.database ?? 0
    keyPrefix = settings.string("key_prefix")
    clientName = settings.string("client_name")
    block = .milliseconds(settings.integer("block_ms"))
    timeout = .milliseconds(settings.integer("timeout_ms"))
    pollInterval = .milliseconds(settings.integer("poll_interval_ms"))
    retentionDays = settings.numberIfSet("retention_days")
    maximumLength = settings.integerIfSet("max_length")
    keyWindow = .milliseconds(Int64(settings.number("key_window_hours") * 3_600_000))
    replicas = settings.integer("wait_replicas")
    replicaTimeout = .milliseconds(settings.integer("wait_timeout_ms"))
    sentinels = try Self.endpoints(settings.stringsIfSet("sentinels") ?? [], port: 26_379)
    sentinelMaster = settings.string("sentinel_master")
    sentinelPassword = settings.stringIfSet("sentinel_password")
    clusterNodes = try Self.endpoints(settings.stringsIfSet("cluster_nodes") ?? [], port: 6379)
    tls = TLSOptions(
      authorityFile: path("tls_ca_file"), certificateFile: path("tls_cert_file"), keyFile: path("tls_key_file"))
    tlsServerName = settings.stringIfSet("tls_server_name")
    let operation = "read backend_config"
    if clientName.utf8.contains(where: { $0 <= 0x20 || $0 > 0x7e }) {
      throw SeamError(.invalidRequest, operation: operation, cause: "client_name may hold no spaces")
    }
    if tls.keyFile != nil, tls.certificateFile == nil {
      throw SeamError(.invalidRequest, operation: operation, cause: "tls_key_file is set, tls_cert_file is not")
    }
    if !url.isEncrypted, tls != TLSOptions() || tlsServerName != nil {
      throw SeamError(
        .invalidRequest, operation: operation, cause: "TLS files are set, but the url does not begin with rediss://")
    }
    // An empty tag makes a cluster hash whole names, so that nothing beside a stream could share its slot.
    if keyPrefix.utf8.contains(0) || keyPrefix.contains("{}") {
      throw SeamError(.invalidRequest, operation: operation, cause: "key_prefix may hold neither NUL nor {}")
    }
  }

  private static func endpoints(_ texts: [String], port: Int) throws(SeamError) -> [Endpoint] {
    var found: [Endpoint] = []
    for text in texts { found.append(try RedisURL.endpoint(text, defaultPort: port)) }
    return found
  }

  /// Where it is, without user information.
  public var location: String {
    let place = sentinels.isEmpty ? url.endpoint.description : "master \(sentinelMaster) of \(sentinels[0])"
    let scheme =
      switch url.endpoint {
      case .unix: "unix:"
      case .tcp: url.isEncrypted ? "rediss://" : "redis://"
      }
    return scheme + place + (database == 0 ? "" : "/\(database)")
  }
}
