import ParleyRuntime

/// Every key of `parley.config.yaml`, in the one place where keys are added.
///
/// What a key means stands in `Configuration`; rules between keys stand in `ConfigurationRules`.
package enum ConfigurationSchema {
  /// The words that `log_level` takes.
  package static let logLevels = Log.Level.allCases.reversed().map { "\($0)" }

  /// The longest time in milliseconds: 24.8 days, the longest that the TypeScript program's timers can wait.
  private static let milliseconds = Int(Int32.max)

  /// The whole file. `backend` is the one whose `backend_config` it holds (nil where it is unknown), `defaultBackend`
  /// the name of the one used when none is named.
  package static func root(backend: BackendDescription?, defaultBackend: String?) -> SettingsSchema {
    SettingsSchema([
      Setting("identity", .block(identity), "Who this participant is."),
      Setting(
        "instance_id", .string(minimumBytes: 0), "Tells programs with the same handle apart; the handle unless set."),
      Setting("state_path", .path, "The read-state file of the TypeScript program, imported once."),
      Setting("topics", .strings(minimumCount: 1), required: true, "The topics that are subscribed and may be used."),
      Setting(
        "post_topics", .strings(minimumCount: 0), default: .strings([]),
        "Regular expressions: further topics, matched in full, that may be posted to and fetched."),
      Setting("catchup", .block(catchup), "How a session learns what came before it started."),
      Setting("live_push", .block(livePush), "Which messages are pushed into the session as they come."),
      Setting("presence", .block(presence), "How participants tell each other that they are there."),
      Setting("permissions", .block(permissions), "What the user waives."),
      Setting("approvals", .block(approvals), optional: true, "Whom a session asks for leave, and where."),
      Setting("auth", .block(auth), "Who may enter by HTTP."),
      Setting("keys", .block(keys), "Keys that agents get for themselves."),
      Setting("sessions", .block(sessions), "Whom sessions over HTTP post as."),
      Setting("http", .block(http), "Where and how `serve --http` listens, and to whom."),
      Setting(
        "backend", .string(minimumBytes: 1), default: defaultBackend.map { .string($0) },
        required: defaultBackend == nil,
        "The messaging system that carries the conversation."),
      Setting("backend_config", backend.map { .block($0.schema) } ?? .foreign, "The keys of that backend."),
      Setting(
        "tools", .strings(minimumCount: 0), default: .strings([]), "The tools to offer; empty for the default set."),
      Setting(
        "compat", .strings(minimumCount: 0), default: .strings([]), "Tool sets of other systems to offer as well."),
      Setting("compat_options", .block(compatOptions), "How those sets work."),
      Setting("limits", .block(limits), "What is accepted, and how much is given out at once."),
      Setting("strict", .boolean, default: .boolean(true), "Unknown keys are errors; false makes them warnings."),
      Setting("log_level", .choice(logLevels), "How much is logged to stderr."),
    ])
  }

  /// What `compat` may name.
  package static let compatSets = ["duo", "channels", "chatroom", "backchannel"]

  private static let compatOptions = SettingsSchema([
    Setting("backchannel", .block(backchannel), "The set backchannel."),
    Setting("channels", .block(channels), "The set channels."),
    Setting("chatroom", .block(chatroom), "The set chatroom."),
    Setting("duo", .block(duo), "The set duo."),
  ])

  private static let duo = SettingsSchema([
    Setting(
      "topic", .string(minimumBytes: 1), default: .string("duo"), "The topic that says which partners there are."),
    Setting(
      "notify_file", .boolean, default: .boolean(false), "Tell in the project's CLAUDE.md what is unread."),
    Setting(
      "broker", .boolean, default: .boolean(false), "Let `serve --http` answer as that system's broker, on loopback."),
    Setting("port", .integer(1...65_535), "The broker's port; $BROKER_PORT, then 3210, unless set."),
  ])

  private static let channels = SettingsSchema([
    Setting("topic", .string(minimumBytes: 1), default: .string("channels"), "The topic that agents meet on.")
  ])

  private static let chatroom = SettingsSchema([
    Setting("topic", .string(minimumBytes: 1), default: .string("chatroom"), "The topic that is the room.")
  ])

  private static let backchannel = SettingsSchema([
    Setting(
      "prefix", .string(minimumBytes: 1), default: .string("backchannel/"), "What the topics of channels begin with."),
    Setting(
      "writes_per_minute", .integer(0...1_000_000), default: .integer(120),
      "Events that one session may write in a minute; 0 for no limit."),
  ])

  private static let identity = SettingsSchema([
    Setting("handle", .string(minimumBytes: 1), required: true, "The name that others see."),
    Setting(
      "may_post_as", .strings(minimumCount: 0), default: .strings([]), "Other handles that a command may post as."),
    Setting(
      "exclusive", .boolean, default: .boolean(false), "No other process may use the handle at the same time."),
  ])

  private static let catchup = SettingsSchema([
    Setting("on_start", .boolean, default: .boolean(true), "Count, and push, what came since the read mark."),
    Setting("limit", .integer(1...Int.max), default: .integer(100), "At most this many earlier messages are pushed."),
    Setting("block_max_ms", .integer(0...milliseconds), default: .integer(60_000), "The longest a fetch may wait."),
    Setting(
      "block_poll_interval_ms", .integer(1...milliseconds), default: .integer(250),
      "How often a waiting fetch looks where the backend cannot wake it."),
  ])

  private static let livePush = SettingsSchema([
    Setting("enabled", .boolean, default: .boolean(false), "Push messages into the session."),
    Setting("mention_filter", .boolean, default: .boolean(false), "Only those that mention the handle."),
    Setting("from", .strings(minimumCount: 0), default: .strings([]), "Only from these handles; empty for everyone."),
  ])

  private static let presence = SettingsSchema([
    Setting("enabled", .boolean, default: .boolean(true), "Announce this participant."),
    Setting("topic", .string(minimumBytes: 1), default: .string("parley-presence"), "The topic reserved for it."),
    Setting("heartbeat_ms", .integer(1...milliseconds), default: .integer(600_000), "How often it is announced."),
    Setting("ttl_ms", .integer(1...milliseconds), "Silent longer, it is gone; 3 heartbeats unless set."),
    Setting(
      "kind", .choice(["agent", "person", "bot"]), default: .string("agent"), "What others see behind the handle."),
    Setting("status", .string(minimumBytes: 1), "What others see it doing, at most 256 bytes."),
  ])

  private static let permissions = SettingsSchema([
    Setting("skip_permissions", .boolean, default: .boolean(false), "Only in a sandbox (PARLEY_SANDBOX=1).")
  ])

  private static let approvals = SettingsSchema([
    Setting("topic", .string(minimumBytes: 1), required: true, "Where requests are posted and answered."),
    Setting(
      "approvers", .strings(minimumCount: 1), required: true,
      "Who may answer: handles, or accounts (Matrix ids, JIDs) where the backend verifies senders."),
    Setting("secret", .secret, "Proves verdicts where the backend cannot verify senders."),
    Setting(
      "timeout_s", .integer(10...86_400), default: .integer(600), "A request that nobody answers so long is denied."),
  ])

  private static let auth = SettingsSchema([
    Setting("mode", .choice(["builtin", "oidc"]), default: .string("builtin"), "Who vouches for whoever enters."),
    Setting("public_url", .string(minimumBytes: 1), "The origin by which clients reach the door; with it they log in."),
    Setting("store", .path, "The file of tokens, clients and the owner's passphrase; or redis://user@host:port/1."),
    Setting("store_password", .secret, "The password of the store's user on Redis."),
    Setting("store_key", .path, "The file of the key that codes records on Redis; the same for all processes."),
    Setting("store_ca_file", .path, "PEM file of the authorities that may have signed the store's certificate."),
    Setting(
      "redirects", .strings(minimumCount: 0), default: .strings([]), "Further addresses that answers may go to."),
    Setting("oidc", .block(oidc), optional: true, "The outside authority of mode oidc."),
  ])

  private static let keys = SettingsSchema([
    Setting(
      "self_service", .boolean, default: .boolean(false),
      "Whoever reaches the door gets a token of its own for a handle that nobody has.")
  ])

  private static let sessions = SettingsSchema([
    Setting(
      "identity", .choice(["shared", "per_session"]), default: .string("shared"),
      "Of callers whose token names no handle: all as the configured one, or each as agent-N.")
  ])

  private static let oidc = SettingsSchema([
    Setting("issuer", .string(minimumBytes: 1), required: true, "Its URL."),
    Setting("audience", .string(minimumBytes: 1), "What tokens must be for; this resource's URL unless set."),
    Setting("jwks_uri", .string(minimumBytes: 1), "Where its keys are; as it announces unless set."),
    Setting("required_scope", .string(minimumBytes: 0), "A scope that tokens must carry."),
    Setting("allowed_subjects", .strings(minimumCount: 1), "Subjects that may enter."),
    Setting("allowed_usernames", .strings(minimumCount: 1), "User names that may enter."),
    Setting("required_role", .string(minimumBytes: 0), "A role that lets in."),
    Setting("clock_skew_s", .integer(0...300), default: .integer(30), "How far clocks may differ."),
  ])

  private static let httpTLS = SettingsSchema([
    Setting("certificate", .path, required: true, "The certificate and those between it and its authority, PEM."),
    Setting("key", .path, "Its key, PEM without a passphrase; in the certificate's file unless set."),
  ])

  private static let hook = SettingsSchema([
    Setting("topic", .string(minimumBytes: 1), required: true, "Where its messages go."),
    Setting("secret", .secret, required: true, "What its sender signs with."),
    Setting("kind", .choice(["github", "standard"]), default: .string("standard"), "How its sender signs."),
    Setting("template", .string(minimumBytes: 1), "The text, with places in braces."),
    Setting("handle", .string(minimumBytes: 1), "Whom its messages come from; its name unless set."),
    Setting("source", .string(minimumBytes: 1), "What pushes name as the source; its name unless set."),
    Setting(
      "severity", .choice(["debug", "info", "warning", "error", "critical"]), "What pushes name as the severity."),
    Setting("max_bytes", .integer(1_024...(16 << 20)), default: .integer(256 << 10), "The longest body."),
  ])

  private static let console = SettingsSchema([
    Setting("handle", .string(minimumBytes: 1), required: true, "Whom the owner posts as.")
  ])

  private static let http = SettingsSchema([
    Setting(
      "listen", .oneOrMoreStrings, default: .strings(["127.0.0.1:8808"]),
      "Numeric addresses with ports, or unix: and a path."),
    Setting("token", .secret, "The bearer token that whoever enters must have."),
    Setting("insecure", .boolean, default: .boolean(false), "Waive what protects the door; see http.md."),
    Setting("tls", .block(httpTLS), optional: true, "Speak TLS; the files are read again on SIGHUP."),
    Setting("hosts", .strings(minimumCount: 0), default: .strings([]), "Host names that the door is reached by."),
    Setting("console", .block(console), optional: true, "Pages for the owner's browser at /console."),
    Setting("hooks", .blocks(hook), "Incoming webhooks by name, each at /hooks/ and its name."),
    Setting("origins", .strings(minimumCount: 0), default: .strings([]), "Origins of web pages that may call."),
    Setting("trusted_proxies", .strings(minimumCount: 0), default: .strings([]), "Addresses of proxies in front."),
    Setting(
      "allow_from", .strings(minimumCount: 0), default: .strings([]), "Addresses that may enter; empty for all."),
    Setting("connections", .integer(1...100_000), default: .integer(10_000), "Connections at once."),
    Setting(
      "connections_per_client", .integer(1...100_000), default: .integer(256), "Connections of one address at once."),
    Setting("sessions", .integer(1...100_000), default: .integer(1_000), "Sessions at once."),
    Setting(
      "session_idle_ms", .integer(1_000...milliseconds), default: .integer(1_800_000),
      "A session that nobody uses ends after so long."),
    Setting("head_timeout_ms", .integer(100...600_000), default: .integer(10_000), "A request's head must be there."),
    Setting("body_timeout_ms", .integer(100...600_000), default: .integer(30_000), "A request's body must be there."),
    Setting(
      "idle_timeout_ms", .integer(100...milliseconds), default: .integer(75_000), "Between two requests."),
  ])

  private static let limits: SettingsSchema = {
    let standard = Limits()
    func limit(_ name: String, _ range: ClosedRange<Int>, _ value: Int, _ documentation: String) -> Setting {
      Setting(name, .integer(range), default: .integer(value), documentation)
    }
    return SettingsSchema([
      limit("content_bytes", 1...(16 << 20), standard.contentBytes, "A message's text."),
      limit("attributes_bytes", 0...(64 << 10), standard.attributesBytes, "All attributes of a message together."),
      limit("topic_bytes", 1...4_096, standard.topicBytes, "A topic's name."),
      limit("handle_bytes", 1...4_096, standard.handleBytes, "A handle."),
      limit("page_messages", 1...1_000, standard.pageMessages, "Messages in one page."),
      limit("page_bytes", 4_096...(1 << 20), standard.pageBytes, "Content in one page."),
      limit("result_bytes", 4_096...(64 << 20), standard.resultBytes, "Structured content of one tool result."),
      limit("line_bytes", 4_096...(64 << 20), standard.lineBytes, "One line of input."),
      limit("json_depth", 8...256, standard.jsonDepth, "Nesting of JSON input."),
      limit("topics_subscribed", 1...100_000, standard.topicsSubscribed, "Topics subscribed by one process."),
      limit("pending_calls", 1...65_536, standard.pendingCalls, "Unanswered calls of one session."),
      limit("hops", 0...1_000, standard.hops, "Messages in a row that answer each other without a person; 0: any."),
      limit("wait_ms", 0...milliseconds, Int(standard.wait / .milliseconds(1)), "The longest a waiting call may wait."),
    ])
  }()
}
