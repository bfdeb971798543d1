import ParleyRuntime

/// How a Matrix backend is set up: the `backend_config` of `backend: matrix`.
public struct MatrixOptions: Hashable, Sendable {
  /// Who may enter the rooms that Parley makes.
  public enum Visibility: String, Hashable, Sendable, CaseIterable {
    /// Those who are invited (`invite`, or by a member).
    case `private`
    /// Everyone who knows the alias.
    case `public`
  }

  /// How people's clients show which of an account's handles wrote a message.
  public enum HandleStyle: String, Hashable, Sendable, CaseIterable {
    /// The text begins with `[handle] `.
    case prefix
    /// A per-message profile (MSC4144); clients that do not know it show the account alone.
    case profile
    /// Not at all.
    case none
  }

  /// How the account is proved.
  public enum Login: Hashable, Sendable {
    /// A user's localpart or full id, and the password.
    case password(user: String, password: String)
    /// A token that was issued elsewhere; with `refresh`, it is renewed when it expires.
    case token(access: String, refresh: String?)
  }

  /// Where the homeserver's Client-Server API is, without a slash at the end.
  public var homeserver: String
  /// How the account is proved.
  public var login: Login
  /// The device that logins belong to; nil lets the server choose once, and keeps it with the tokens.
  public var deviceID: String?
  /// The client id by which an OAuth-native server knows us; nil uses Matrix' own `/refresh`.
  public var clientID: String?
  /// The file that keeps tokens and device id, mode 0600; nil keeps them in memory.
  public var tokenFile: String?
  /// The domain of the aliases that are made for topics; nil for the account's own.
  public var serverName: String?
  /// Topics whose room is given: a room id (`!…`) or an alias (`#…`).
  public var rooms: [String: String]
  /// Who may enter rooms that we make.
  public var visibility: Visibility
  /// Matrix ids that are invited to rooms that we make.
  public var invite: [String]
  /// How people see the handle.
  public var handleStyle: HandleStyle
  /// Handles that belong to an account: only what it sends is theirs (`verified`), and they resolve to it.
  public var handles: [String: String]
  /// A PEM file of authorities to trust instead of the system's.
  public var certificateAuthorities: String?
  /// How long the server may hold a /sync that has nothing to tell.
  public var syncTimeout: Duration
  /// How often subscribed rooms are looked through for messages that /sync did not bring.
  public var auditInterval: Duration
  /// How long one request may take, beyond `syncTimeout` for /sync, before the session counts as lost.
  public var requestTimeout: Duration

  /// Makes options with the defaults of the schema.
  public init(homeserver: String, login: Login) {
    self.homeserver = homeserver.hasSuffix("/") ? String(homeserver.dropLast()) : homeserver
    self.login = login
    deviceID = nil
    clientID = nil
    tokenFile = nil
    serverName = nil
    rooms = [:]
    visibility = .private
    invite = []
    handleStyle = .prefix
    handles = [:]
    certificateAuthorities = nil
    syncTimeout = .seconds(25)
    auditInterval = .seconds(300)
    requestTimeout = .seconds(20)
  }
}
