import ParleyRuntime

/// What `parley.config.yaml` says, validated, with every default filled in.
package struct Configuration: Sendable {
  /// Who this participant is.
  package struct Identity: Hashable, Sendable {
    package var handle: Handle
    /// The handle is a claim of this process alone: nobody configured it, and it may be none of the token's.
    package var isSelfNamed = false
    /// The other handles that a command may post as (`--as`).
    package var mayPostAs: [Handle]
    /// No other process may use the handle at the same time.
    package var isExclusive = false
  }

  /// How a session learns what came before it started, and how long a fetch may wait.
  package struct CatchUp: Hashable, Sendable {
    package var onStart: Bool
    package var limit: Int
    package var blockMax: Duration
    package var blockPollInterval: Duration
  }

  /// Whether and which messages are pushed into a session.
  package struct LivePush: Hashable, Sendable {
    package var isEnabled: Bool
    /// Only what mentions the handle.
    package var mentionFilter: Bool
    /// Only what these sent; empty for everyone.
    package var from: [Handle]
  }

  /// How participants tell each other that they are there.
  package struct Presence: Hashable, Sendable {
    package var isEnabled: Bool
    package var topic: Topic
    package var heartbeat: Duration
    package var lifetime: Duration
    /// What others see behind the handle: `agent`, `person` or `bot`.
    package var kind = "agent"
    package var status: String?
  }

  /// Whom a session asks for leave, and where.
  package struct Approvals: Hashable, Sendable {
    package var topic: Topic
    /// Handles, or accounts of the backend.
    package var approvers: [Handle]
    /// Proves verdicts where the backend cannot verify senders.
    package var secret: String?
    package var lifetime: Duration
  }

  /// Who may enter by HTTP.
  package enum Authentication: Hashable, Sendable {
    case builtin
    case oidc(OIDC)
  }

  /// What the HTTP door keeps of those who may enter, and how they reach it.
  package struct Access: Hashable, Sendable {
    /// The origin that clients and browsers know, without a slash at its end; nil where no authority gives out tokens.
    package var publicURL: String?
    /// Where tokens, clients and the owner's passphrase are: a file's path, or the URL of a Redis.
    package var store: String
    /// The password of the store's user, where it is a Redis.
    package var storePassword: String?
    /// The file of the key that codes its records, where it is a Redis.
    package var storeKey: String?
    /// The authorities that may have signed its certificate, PEM.
    package var storeAuthorities: String?
    /// Further addresses that clients may be redirected to.
    package var redirects: [String]
    /// Whoever reaches the door gets a token for a handle that nobody has.
    package var isSelfService: Bool
    /// Sessions of callers without a handle post under names of their own.
    package var namesSessions: Bool
  }

  /// An outside authority that vouches for whoever enters.
  package struct OIDC: Hashable, Sendable {
    package var issuer: String
    package var audience: String?
    package var jwksURI: String?
    package var requiredScope: String?
    package var allowedSubjects: [String]?
    package var allowedUsernames: [String]?
    package var requiredRole: String?
    package var clockSkew: Duration
  }

  /// The files with which the HTTP door proves who it is.
  package struct TLS: Hashable, Sendable {
    package var certificate: String
    package var key: String?
  }

  /// An incoming webhook.
  package struct Hook: Hashable, Sendable {
    package var name: String
    package var topic: Topic
    /// `github` or `standard`.
    package var kind: String
    package var secret: String
    package var template: String?
    package var handle: Handle
    package var source: String
    package var severity: String?
    package var bodyLimit: Int
  }

  /// Where and how the HTTP door listens, and to whom.
  package struct HTTP: Hashable, Sendable {
    package var listen: [Endpoint]
    package var token: String?
    package var isInsecure: Bool
    /// Nil where connections are clear.
    package var tls: TLS?
    package var hosts: [String]
    /// Whom the owner posts as in the console; nil where there is none.
    package var consoleHandle: Handle?
    /// By name.
    package var hooks: [Hook]
    package var origins: [String]
    package var trustedProxies: [AddressRange]
    package var allowFrom: [AddressRange]
    package var connections: Int
    package var connectionsPerClient: Int
    package var sessions: Int
    package var sessionIdle: Duration
    package var headTimeout: Duration
    package var bodyTimeout: Duration
    package var idleTimeout: Duration
  }

  /// The tool sets of other systems, and how each works whether it is offered or not.
  package struct Compat: Hashable, Sendable {
    /// Some of `ConfigurationSchema.compatSets`.
    package var sets: [String]
    /// By `ConfigurationSchema.compatOptions`.
    package var options: Settings
  }

  package var identity: Identity
  /// What keys and the read-state directory are scoped by; the handle unless set.
  package var instanceID: String
  /// The read-state file of the TypeScript program, which is imported once.
  package var statePath: String
  package var topics: [Topic]
  /// Regular expressions, each of which compiles.
  package var postTopics: [String]
  package var catchUp: CatchUp
  package var livePush: LivePush
  package var presence: Presence
  /// The user wants no questions asked; only ever true in a sandbox, and never grants an approval.
  package var skipsPermissions: Bool
  /// Nil where nobody is asked.
  package var approvals: Approvals?
  package var authentication: Authentication
  package var access: Access
  package var http: HTTP
  /// The backend's own name, also where the file uses an alias.
  package var backend: String
  /// By the backend's own schema.
  package var backendSettings: Settings
  /// The names under `tools`; empty for the default set.
  package var tools: [String]
  package var compat: Compat
  package var limits: Limits
  /// Unknown keys are errors.
  package var isStrict: Bool
  /// One of `ConfigurationSchema.logLevels`.
  package var logLevel: String?
}

extension Configuration {
  /// From values that fit `ConfigurationSchema` and its rules; `ttl_ms`, `instance_id` and `state_path` are derived.
  init(_ settings: Settings, backend: BackendDescription) {
    let catchup = settings.block("catchup")
    let push = settings.block("live_push")
    let presence = settings.block("presence")
    let identity = settings.block("identity")
    self.identity = Identity(
      handle: Handle(identity.string("handle")), mayPostAs: identity.strings("may_post_as").map(Handle.init),
      isExclusive: identity.boolean("exclusive"))
    instanceID = settings.string("instance_id")
    statePath = settings.string("state_path")
    topics = settings.strings("topics").map(Topic.init)
    postTopics = settings.strings("post_topics")
    catchUp = CatchUp(
      onStart: catchup.boolean("on_start"), limit: catchup.integer("limit"),
      blockMax: .milliseconds(catchup.integer("block_max_ms")),
      blockPollInterval: .milliseconds(catchup.integer("block_poll_interval_ms")))
    livePush = LivePush(
      isEnabled: push.boolean("enabled"), mentionFilter: push.boolean("mention_filter"),
      from: push.strings("from").map(Handle.init))
    self.presence = Presence(
      isEnabled: presence.boolean("enabled"), topic: Topic(presence.string("topic")),
      heartbeat: .milliseconds(presence.integer("heartbeat_ms")), lifetime: .milliseconds(presence.integer("ttl_ms")),
      kind: presence.string("kind"), status: presence.stringIfSet("status"))
    skipsPermissions = settings.block("permissions").boolean("skip_permissions")
    approvals = settings.blockIfSet("approvals").map { block in
      Approvals(
        topic: Topic(block.string("topic")), approvers: block.strings("approvers").map(Handle.init),
        secret: block.stringIfSet("secret"), lifetime: .seconds(block.integer("timeout_s")))
    }
    let auth = settings.block("auth")
    authentication =
      if auth.string("mode") == "oidc", let oidc = auth.blockIfSet("oidc") { .oidc(OIDC(oidc)) } else { .builtin }
    access = Access(
      publicURL: auth.stringIfSet("public_url").map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 },
      store: auth.string("store"), storePassword: auth.stringIfSet("store_password"),
      storeKey: auth.stringIfSet("store_key"), storeAuthorities: auth.stringIfSet("store_ca_file"),
      redirects: auth.strings("redirects"), isSelfService: settings.block("keys").boolean("self_service"),
      namesSessions: settings.block("sessions").string("identity") == "per_session")
    http = HTTP(settings.block("http"))
    self.backend = backend.name
    backendSettings = settings.block("backend_config")
    tools = settings.strings("tools")
    compat = Compat(sets: settings.strings("compat"), options: settings.block("compat_options"))
    limits = Limits(settings.block("limits"))
    isStrict = settings.boolean("strict")
    logLevel = settings.stringIfSet("log_level")
  }
}

extension Configuration.OIDC {
  fileprivate init(_ settings: Settings) {
    issuer = settings.string("issuer")
    audience = settings.stringIfSet("audience")
    jwksURI = settings.stringIfSet("jwks_uri")
    requiredScope = settings.stringIfSet("required_scope")
    allowedSubjects = settings.stringsIfSet("allowed_subjects")
    allowedUsernames = settings.stringsIfSet("allowed_usernames")
    requiredRole = settings.stringIfSet("required_role")
    clockSkew = .seconds(settings.integer("clock_skew_s"))
  }
}

extension Configuration.Hook {
  fileprivate init(_ name: String, _ settings: Settings) {
    self.name = name
    topic = Topic(settings.string("topic"))
    kind = settings.string("kind")
    secret = settings.string("secret")
    template = settings.stringIfSet("template")
    handle = Handle(settings.stringIfSet("handle") ?? name)
    source = settings.stringIfSet("source") ?? name
    severity = settings.stringIfSet("severity")
    bodyLimit = settings.integer("max_bytes")
  }
}

extension Configuration.HTTP {
  /// From values whose places and ranges the rules have checked.
  fileprivate init(_ settings: Settings) {
    hooks = settings.blocks("hooks").map { Configuration.Hook($0.key, $0.value) }.sorted { $0.name < $1.name }
    listen = settings.strings("listen").compactMap(Endpoint.init(listening:))
    token = settings.stringIfSet("token")
    isInsecure = settings.boolean("insecure")
    tls = settings.blockIfSet("tls").map {
      Configuration.TLS(certificate: $0.string("certificate"), key: $0.stringIfSet("key"))
    }
    hosts = settings.strings("hosts").map { $0.lowercased() }
    consoleHandle = settings.blockIfSet("console").map { Handle($0.string("handle")) }
    origins = settings.strings("origins").map { $0.lowercased() }
    trustedProxies = settings.strings("trusted_proxies").compactMap(AddressRange.init)
    allowFrom = settings.strings("allow_from").compactMap(AddressRange.init)
    connections = settings.integer("connections")
    connectionsPerClient = settings.integer("connections_per_client")
    sessions = settings.integer("sessions")
    sessionIdle = .milliseconds(settings.integer("session_idle_ms"))
    headTimeout = .milliseconds(settings.integer("head_timeout_ms"))
    bodyTimeout = .milliseconds(settings.integer("body_timeout_ms"))
    idleTimeout = .milliseconds(settings.integer("idle_timeout_ms"))
  }
}

extension Limits {
  fileprivate init(_ settings: Settings) {
    self.init()
    contentBytes = settings.integer("content_bytes")
    attributesBytes = settings.integer("attributes_bytes")
    topicBytes = settings.integer("topic_bytes")
    handleBytes = settings.integer("handle_bytes")
    pageMessages = settings.integer("page_messages")
    pageBytes = settings.integer("page_bytes")
    resultBytes = settings.integer("result_bytes")
    lineBytes = settings.integer("line_bytes")
    jsonDepth = settings.integer("json_depth")
    topicsSubscribed = settings.integer("topics_subscribed")
    pendingCalls = settings.integer("pending_calls")
    hops = settings.integer("hops")
    wait = .milliseconds(settings.integer("wait_ms"))
  }
}
