import ParleyRuntime

extension NATSOptions {
  /// How configuration names the backend, and the keys of its `backend_config`.
  public static let description = BackendDescription(
    name: "nats", aliases: ["local-nats"],
    schema: SettingsSchema([
      Setting(
        "servers", .oneOrMoreStrings, default: .strings(["127.0.0.1:4222"]),
        "The servers of one cluster: URLs or host:port; one, or a list."),
      Setting(
        "subject_prefix", .string(minimumBytes: 1), default: .string("parley."),
        "What every topic's subject begins with."),
      Setting(
        "stream_prefix", .string(minimumBytes: 1), default: .string("PARLEY_"),
        "What every topic's stream begins with."),
      Setting(
        "inbox_prefix", .string(minimumBytes: 1), default: .string("_INBOX"),
        "What the subjects of replies begin with, where an account may not use _INBOX."),
      Setting("domain", .string(minimumBytes: 1), "The JetStream domain to use, for leaf nodes."),
      Setting("user", .string(minimumBytes: 1), "The user's name; needs a password."),
      Setting("password", .secret, "The user's password."),
      Setting("token", .secret, "A token, instead of a user."),
      Setting("nkey_seed_file", .path, "A file with an NKEY seed, instead of a user."),
      Setting("creds_file", .path, "A .creds file with a JWT and its seed, instead of a user."),
      Setting("tls", .block(tlsSchema), "How the connection is protected."),
      Setting(
        "retention_days", .number(0...36_500),
        "Messages older than this leave streams that Parley makes; without it, or with 0, all are kept."),
      Setting(
        "max_bytes", .integer(1024...Int.max),
        "The largest size of a stream that Parley makes, in bytes; its oldest messages leave first."),
      Setting(
        "replicas", .integer(1...5), default: .integer(1), "How many servers keep a stream that Parley makes."),
      Setting(
        "storage", .choice(Storage.allCases.map(\.rawValue)), default: .string("file"),
        "Where a stream that Parley makes keeps its messages."),
      Setting(
        "key_window_hours", .integer(1...8760), default: .integer(24),
        "How long a stream that Parley makes remembers the keys of posts."),
      Setting(
        "watchdog_ms", .integer(500...60_000), default: .integer(8000),
        "A server that is silent for so long, though asked, counts as lost, in milliseconds."),
      Setting(
        "connect_timeout_ms", .integer(100...60_000), default: .integer(2000),
        "How long each server may take to accept a connection, in milliseconds."),
    ]), addressSetting: "servers")

  private static let tlsSchema = SettingsSchema([
    Setting(
      "required", .boolean, default: .boolean(false),
      "Use TLS even where neither the URL (tls://) nor the server asks for it."),
    Setting("ca_file", .path, "PEM file of the authorities that may have signed the server's certificate."),
    Setting("cert_file", .path, "PEM file of our own certificate chain; needs key_file."),
    Setting("key_file", .path, "PEM file of our own key."),
    Setting(
      "server_name", .string(minimumBytes: 1), "The name in the server's certificate, where it is not the URL's host."),
  ])

  /// Options from settings that were validated against the schema.
  ///
  /// Throws `invalidRequest` for keys that exclude or need each other.
  public init(_ settings: Settings) throws(SeamError) {
    self.init()
    servers = settings.strings("servers")
    subjectPrefix = settings.string("subject_prefix")
    streamPrefix = settings.string("stream_prefix")
    inboxPrefix = settings.string("inbox_prefix")
    domain = settings.stringIfSet("domain")
    credentials = try Self.credentials(settings)
    tls = try Self.tls(settings.block("tls"))
    retentionDays = settings.numberIfSet("retention_days")
    maximumBytes = settings.integerIfSet("max_bytes")
    replicas = settings.integer("replicas")
    storage = Storage(rawValue: settings.string("storage")) ?? .file
    keyWindow = .seconds(settings.integer("key_window_hours") * 3600)
    watchdog = .milliseconds(settings.integer("watchdog_ms"))
    connectTimeout = .milliseconds(settings.integer("connect_timeout_ms"))
    try validate()
  }

  private static func credentials(_ settings: Settings) throws(SeamError) -> Credentials {
    let user = settings.stringIfSet("user")
    let password = settings.stringIfSet("password")
    guard (user == nil) == (password == nil) else { throw refused("user and password need each other") }
    let given: [Credentials] = [
      user.map { .user($0, password: password ?? "") }, settings.stringIfSet("token").map(Credentials.token),
      settings.stringIfSet("nkey_seed_file").map(Credentials.nkeySeedFile),
      settings.stringIfSet("creds_file").map(Credentials.credentialsFile),
    ].compactMap { $0 }
    guard given.count <= 1 else {
      throw refused("only one of user, token, nkey_seed_file and creds_file can be given")
    }
    return given.first ?? .none
  }

  private static func tls(_ settings: Settings) throws(SeamError) -> TLS {
    var tls = TLS()
    tls.isRequired = settings.boolean("required")
    tls.authorityFile = settings.stringIfSet("ca_file")
    tls.certificateFile = settings.stringIfSet("cert_file")
    tls.keyFile = settings.stringIfSet("key_file")
    tls.serverName = settings.stringIfSet("server_name")
    guard (tls.certificateFile == nil) == (tls.keyFile == nil) else {
      throw refused("cert_file and key_file need each other")
    }
    return tls
  }

  /// Refuses prefixes that NATS could not use: each must stay within one account's plain names.
  func validate() throws(SeamError) {
    guard !servers.isEmpty else { throw Self.refused("servers names none") }
    func isName(_ text: String, _ forbidden: String) -> Bool {
      text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } && !text.contains { forbidden.contains($0) }
    }
    guard isName(subjectPrefix, "*>"), !subjectPrefix.hasPrefix("."), !subjectPrefix.contains("..") else {
      throw Self.refused("subject_prefix '\(subjectPrefix)' is no beginning of a subject")
    }
    guard isName(streamPrefix, ".*>/\\") else {
      throw Self.refused("stream_prefix '\(streamPrefix)' cannot stand in a stream's name")
    }
    guard isName(inboxPrefix, "*>"), !inboxPrefix.hasSuffix("."), !inboxPrefix.hasPrefix(".") else {
      throw Self.refused("inbox_prefix '\(inboxPrefix)' is no subject")
    }
    if let domain, !isName(domain, ".*>") { throw Self.refused("domain '\(domain)' is no domain's name") }
  }

  private static func refused(_ cause: String) -> SeamError {
    SeamError(.invalidRequest, operation: "read backend_config of nats", cause: cause)
  }
}
