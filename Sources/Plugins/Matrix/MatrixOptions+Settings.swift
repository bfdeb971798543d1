import ParleyRuntime

extension MatrixOptions {
  /// How configuration names the backend, and the keys of its `backend_config`.
  public static let description = BackendDescription(
    name: "matrix", aliases: ["local-matrix"],
    schema: SettingsSchema([
      Setting(
        "homeserver_url", .string(minimumBytes: 1), default: .string("http://127.0.0.1:8008"),
        "Where the homeserver's Client-Server API is."),
      Setting("user", .string(minimumBytes: 1), default: .string("parley"), "The account: its localpart or Matrix id."),
      Setting("password", .secret, "The account's password; or give access_token."),
      Setting("access_token", .secret, "A token of the account, instead of user and password."),
      Setting("refresh_token", .secret, "Renews access_token when it expires."),
      Setting(
        "client_id", .string(minimumBytes: 1), "The client id that refresh_token belongs to, where OAuth issued it."),
      Setting(
        "device_id", .string(minimumBytes: 1), "The device that a login uses; without it the server chooses once."),
      Setting(
        "token_file", .path, "Where tokens are kept (0600); without it, in the user's state directory."),
      Setting(
        "server_name", .string(minimumBytes: 1), "The domain of the rooms' aliases; without it the account's own."),
      Setting("rooms", .texts, "Topics whose room is given, by room id or alias."),
      Setting(
        "room_visibility", .choice(Visibility.allCases.map(\.rawValue)), default: .string("private"),
        "Who may enter rooms that Parley makes: the invited alone, or whoever knows the alias."),
      Setting(
        "invite", .strings(minimumCount: 0), default: .strings([]), "Matrix ids invited to rooms that Parley makes."),
      Setting(
        "handle_style", .choice(HandleStyle.allCases.map(\.rawValue)), default: .string("prefix"),
        "How people see the handle: [handle] before the text, a per-message profile, or not at all."),
      Setting("handles", .texts, "Handles that belong to an account, by Matrix id."),
      Setting("ca_file", .path, "A PEM file of authorities to trust instead of the system's."),
      Setting(
        "sync_timeout_ms", .integer(0...300_000), default: .integer(25_000),
        "How long the server may hold a /sync that has nothing to tell."),
      Setting(
        "request_timeout_ms", .integer(100...600_000), default: .integer(20_000),
        "How long the server may take for an answer before the session counts as lost."),
      Setting(
        "audit_interval_ms", .integer(1000...86_400_000), default: .integer(300_000),
        "How often subscribed rooms are looked through for messages that /sync did not bring."),
    ]))

  /// Options from settings that were validated against the schema.
  ///
  /// Throws `invalidRequest` where neither password nor token is given, or the URL is none.
  public init(_ settings: Settings) throws(SeamError) {
    let homeserver = settings.string("homeserver_url")
    guard homeserver.hasPrefix("http://") || homeserver.hasPrefix("https://") else {
      throw Self.wrong("homeserver_url '\(homeserver)' begins neither with https:// nor with http://")
    }
    let login: Login
    if let token = settings.stringIfSet("access_token") {
      login = .token(access: token, refresh: settings.stringIfSet("refresh_token"))
    } else if let password = settings.stringIfSet("password") {
      login = .password(user: settings.string("user"), password: password)
    } else {
      throw Self.wrong("give backend_config.password, or access_token")
    }
    for (topic, room) in settings.texts("rooms") where !room.hasPrefix("!") && !room.hasPrefix("#") {
      throw Self.wrong("rooms.\(topic): '\(room)' is neither a room id (!…) nor an alias (#…)")
    }
    for (handle, account) in settings.texts("handles") where !account.hasPrefix("@") || !account.contains(":") {
      throw Self.wrong("handles.\(handle): '\(account)' is no Matrix id (@user:server)")
    }
    self.init(homeserver: homeserver, login: login)
    deviceID = settings.stringIfSet("device_id")
    clientID = settings.stringIfSet("client_id")
    tokenFile = settings.stringIfSet("token_file") ?? TokenFileHandle.defaultPath(origin: Credentials.origin(of: self))
    serverName = settings.stringIfSet("server_name")
    rooms = settings.texts("rooms")
    visibility = Visibility(rawValue: settings.string("room_visibility")) ?? .private
    invite = settings.strings("invite")
    handleStyle = HandleStyle(rawValue: settings.string("handle_style")) ?? .prefix
    handles = settings.texts("handles")
    certificateAuthorities = settings.stringIfSet("ca_file")
    syncTimeout = .milliseconds(settings.integer("sync_timeout_ms"))
    requestTimeout = .milliseconds(settings.integer("request_timeout_ms"))
    auditInterval = .milliseconds(settings.integer("audit_interval_ms"))
  }

  private static func wrong(_ cause: String) -> SeamError {
    SeamError(.invalidRequest, operation: "read backend_config", cause: cause)
  }
}
