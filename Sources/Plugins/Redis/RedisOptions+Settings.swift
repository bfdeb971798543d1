import ParleyRuntime

extension RedisOptions {
  /// How configuration names the backend, and the keys of its `backend_config`.
  public static let description = BackendDescription(
    name: "redis", aliases: ["redis-streams", "valkey"],
    schema: SettingsSchema([
      Setting(
        "url", .string(minimumBytes: 1), default: .string("redis://127.0.0.1:6379"),
        "The server: redis://[user[:password]@]host[:port][/database], rediss:// for TLS, unix:///path."),
      Setting("key_prefix", .string(minimumBytes: 0), default: .string("parley:"), "In front of every key."),
      Setting(
        "username", .string(minimumBytes: 1), "The ACL user; without it the url's, or the server's default user."),
      Setting("password", .secret, "The user's password; without it the url's."),
      Setting("database", .integer(0...65_535), "The database's number; without it the url's, or 0."),
      Setting("client_name", .string(minimumBytes: 1), default: .string("parley"), "What CLIENT LIST shows."),
      Setting("tls_ca_file", .path, "The authorities to trust, PEM; without it the system's."),
      Setting("tls_cert_file", .path, "The certificate to show to the server, PEM."),
      Setting("tls_key_file", .path, "Its key, PEM; without it the certificate's file holds it."),
      Setting(
        "tls_server_name", .string(minimumBytes: 1),
        "The name that the server's certificate must be for; without it the url's host."),
      Setting(
        "sentinels", .strings(minimumCount: 1), "Addresses of Sentinels, host:port; they say where the master is."),
      Setting(
        "sentinel_master", .string(minimumBytes: 1), default: .string("mymaster"), "The master's name at the Sentinels."
      ),
      Setting("sentinel_password", .secret, "The Sentinels' own password."),
      Setting(
        "cluster_nodes", .strings(minimumCount: 1),
        "Further nodes of a cluster, host:port, to begin at when the url's is away."),
      Setting(
        "block_ms", .integer(10...5000), default: .integer(2000), "How long one blocking read lasts, in milliseconds."),
      Setting(
        "timeout_ms", .integer(100...60_000), default: .integer(5000),
        "A server that owes an answer longer than this counts as hanging, in milliseconds."),
      Setting(
        "poll_interval_ms", .integer(10...60_000), default: .integer(1000),
        "The longest pause between two looks where the server refuses blocking reads, in milliseconds."),
      Setting(
        "retention_days", .number(0...36_500), "Our posts trim messages older than this; without it all are kept."),
      Setting(
        "max_length", .integer(1...1_000_000_000),
        "Our posts trim a topic to about so many messages; without it all are kept."),
      Setting(
        "key_window_hours", .number(1...8760), default: .number(24),
        "How long a caller's idempotency key is remembered, in hours."),
      Setting("wait_replicas", .integer(0...16), default: .integer(0), "A post waits for so many replicas."),
      Setting(
        "wait_timeout_ms", .integer(1...60_000), default: .integer(1000), "How long it waits for them, in milliseconds."
      ),
    ]), addressSetting: "url")
}
