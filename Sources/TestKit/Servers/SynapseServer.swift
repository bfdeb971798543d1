import CLinux
import Glibc
import ParleyRuntime

/// A real Synapse on 127.0.0.1, its database a SQLite file; users and rooms are made by `register` and plain requests.
public final class SynapseServer: Sendable {
  /// What a server is started with; without changes: no rate limits, plain HTTP.
  public struct Options: Sendable {
    /// Whether Synapse's own rate limits are on.
    public var hasRateLimits = false
    /// The certificates of a second, TLS port; nil for none.
    public var tls: TestCertificates?
    /// How long an access token lives before it must be refreshed, for example `5s`; nil for ever.
    public var tokenLifetime: String?
    /// Further lines of the configuration file.
    public var lines: [String] = []

    /// The defaults.
    public init() {}
  }

  /// The domain of its users and rooms.
  public static let name = "chat.test"
  /// The port of clients, plain HTTP.
  public let port: Int
  /// The port of clients, HTTPS; nil without certificates.
  public let tlsPort: Int?
  /// The process, for everything that is done to it from outside.
  public let process: ServerProcess
  /// Reserved while the server lives, also while it is down.
  private let ports: [FreePort]

  /// Starts a server and returns when it answers: some 2 s, and once for each process as long again for the template.
  public static func start(_ options: Options = Options()) async throws(ServerFailure) -> SynapseServer {
    let server = try SynapseServer(options, template: try await template())
    try await server.process.start()
    return server
  }

  private init(_ options: Options, template: String?) throws(ServerFailure) {
    let path = try TestPrograms.path("synapse_homeserver")
    do throws(SystemError) {
      let directory = try TemporaryDirectory()
      ports = [try FreePort(), try FreePort()]
      let port = ports[0].number
      self.port = port
      tlsPort = options.tls == nil ? nil : ports[1].number
      if let template { try Self.copy(template, to: directory.path("homeserver.db")) }
      try TextFile.write(Self.key(), to: directory.path("signing.key"))
      try TextFile.write(
        Self.configuration(options, port: port, tlsPort: ports[1].number, directory: directory),
        to: directory.path("homeserver.yaml"))
      try TextFile.write(Self.logging, to: directory.path("log.yaml"))
      process = ServerProcess(
        "synapse", path: path, arguments: ["-c", directory.path("homeserver.yaml")], directory: directory,
        patience: .seconds(120)
      ) {
        (try? Self.exchange("GET /health HTTP/1.0\r\n\r\n", port: port))?.contains(" 200 OK") ?? false
      }
    } catch { throw ServerFailure("synapse: \(error)") }
  }

  // MARK: What an administrator does

  /// Makes a user with a password, and returns the access token of a session of its own.
  @discardableResult
  public func register(
    _ user: String, password: String, isAdmin: Bool = false
  ) async throws(ServerFailure) -> String {
    let nonce = try await request("GET", "/_synapse/admin/v1/register")["nonce"]?.string ?? ""
    let role = isAdmin ? "admin" : "notadmin"
    let mac = HMACSHA1.hexadecimal([nonce, user, password, role].joined(separator: "\0"), key: Self.secret)
    let answer = try await request(
      "POST", "/_synapse/admin/v1/register",
      body: [
        "nonce": .string(nonce), "username": .string(user), "password": .string(password), "admin": .bool(isAdmin),
        "mac": .string(mac),
      ])
    guard let token = answer["access_token"]?.string else { throw ServerFailure("register \(user): \(answer.text)") }
    return token
  }

  /// One request of the Client-Server or the admin API; the answer as JSON, whatever its status.
  public func request(
    _ method: String, _ path: String, token: String? = nil, body: JSONValue? = nil
  ) async throws(ServerFailure) -> JSONValue {
    let port = port
    return try await ServerProcess.onThread { _ throws(ServerFailure) in
      do {
        let text = body?.text ?? ""
        var head = "\(method) \(path) HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        head += "Content-Length: \(text.utf8.count)\r\n"
        if let token { head += "Authorization: Bearer \(token)\r\n" }
        let answer = try Self.exchange(head + "\r\n" + text, port: port)
        return try JSONValue(parsing: answer.firstIndex(of: "{").map { String(answer[$0...]) } ?? "null")
      } catch { throw ServerFailure("\(method) \(path): \(error)") }
    }
  }

  private static func exchange(_ text: String, port: Int) throws(SystemError) -> String {
    let client = try BlockingClient(port: port, patience: .seconds(60))
    try client.send(text)
    return try client.rest()
  }

  // MARK: Its files

  private static let secret = "registration"

  /// A database with the schema and nothing else, made once for each process by a first start: it saves each later
  /// start the schema's making, 1 to 50 s. Nil where `sqlite3` could not be driven.
  private static func template() async throws(ServerFailure) -> String {
    try await making.value()
  }

  private static let making = TemplateDatabase()

  fileprivate static func makeTemplate() async throws(ServerFailure) -> TemporaryDirectory {
    let server = try SynapseServer(Options(), template: nil)
    try await server.process.start()
    await server.process.stop()
    do throws(SystemError) {
      let directory = try TemporaryDirectory()
      // A clean stop leaves one file: Synapse's SQLite journal is a rollback journal or a WAL that was checkpointed.
      try copy(server.process.directory.path("homeserver.db"), to: directory.path("template.db"))
      return directory
    } catch { throw ServerFailure("synapse template: \(error)") }
  }

  private static func copy(_ path: String, to target: String) throws(SystemError) {
    let source = try SystemError.check("open \(path)", unsafe parley_open(path, O_RDONLY | O_CLOEXEC, 0))
    defer { close(source) }
    let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC
    let sink = try SystemError.check("open \(target)", unsafe parley_open(target, flags, 0o600))
    defer { close(sink) }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = unsafe read(source, &buffer, buffer.count)
      guard count >= 0 else { throw SystemError.last("read \(path)") }
      if count == 0 { return }
      guard unsafe write(sink, buffer, count) == count else { throw SystemError.last("write \(target)") }
    }
  }

  /// Any 32 bytes are an ed25519 seed.
  private static func key() -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    // The last of 43 digits has only four bits that count.
    return "ed25519 a_test " + String((0..<42).map { _ in alphabet.randomElement() ?? "A" }) + "A\n"
  }

  private static let logging = """
    version: 1
    disable_existing_loggers: false
    formatters: {f: {format: '%(asctime)s %(levelname)s %(name)s %(message)s'}}
    handlers: {console: {class: logging.StreamHandler, formatter: f}}
    root: {level: WARNING, handlers: [console]}

    """

  private static func configuration(
    _ options: Options, port: Int, tlsPort: Int, directory: TemporaryDirectory
  ) -> String {
    let resources = "resources: [{names: [client], compress: false}]"
    var lines = [
      "server_name: \(name)", "public_baseurl: http://127.0.0.1:\(port)/", "report_stats: false",
      "pid_file: \(directory.path("pid"))", "log_config: \(directory.path("log.yaml"))", "listeners:",
      "  - {port: \(port), type: http, bind_addresses: [127.0.0.1], \(resources)}",
    ]
    if let tls = options.tls {
      lines += [
        "  - {port: \(tlsPort), type: http, tls: true, bind_addresses: [127.0.0.1], \(resources)}",
        "tls_certificate_path: \(tls.server.certificate)", "tls_private_key_path: \(tls.server.key)",
      ]
    }
    lines += [
      "database: {name: sqlite3, args: {database: \(directory.path("homeserver.db"))}}",
      "signing_key_path: \(directory.path("signing.key"))", "media_store_path: \(directory.path("media"))",
      "enable_media_repo: false", "trusted_key_servers: []", "suppress_key_server_warning: true",
      "federation_domain_whitelist: []", "registration_shared_secret: \(secret)", "macaroon_secret_key: macaroon",
      "form_secret: form", "enable_registration: false", "bcrypt_rounds: 4", "presence: {enabled: false}",
      "user_directory: {enabled: false}", "url_preview_enabled: false", "push: {enabled: false}",
      // Without it an identical /sync is answered from a cache for two minutes.
      "caches: {sync_response_cache_duration: 0s}", "room_list_publication_rules: [{action: allow}]",
      "alias_creation_rules: [{action: allow}]",
    ]
    if let lifetime = options.tokenLifetime { lines.append("refreshable_access_token_lifetime: \(lifetime)") }
    if !options.hasRateLimits {
      lines += [
        "rc_message: &off {per_second: 100000, burst_count: 100000}", "rc_registration: *off",
        "rc_login: {address: *off, account: *off, failed_attempts: *off}", "rc_joins: {local: *off, remote: *off}",
        "rc_joins_per_room: *off", "rc_invites: {per_room: *off, per_user: *off, per_issuer: *off}",
        "rc_room_creation: *off", "rc_admin_redaction: *off", "rc_presence: {per_user: *off}",
        "rc_key_requests: *off", "rc_profile: *off", "rc_user_directory: *off",
      ]
    }
    return (lines + options.lines).joined(separator: "\n") + "\n"
  }
}

/// Makes the template once, whoever asks first.
private actor TemplateDatabase {
  private var result: Result<TemporaryDirectory, ServerFailure>?
  private var isMaking = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func value() async throws(ServerFailure) -> String {
    if isMaking { await withCheckedContinuation { waiting.append($0) } }
    if result == nil {
      isMaking = true
      do throws(ServerFailure) { result = .success(try await SynapseServer.makeTemplate()) } catch {
        result = .failure(error)
      }
      isMaking = false
      for continuation in waiting { continuation.resume() }
      waiting = []
    }
    guard let result else { throw ServerFailure("synapse template: nobody made it") }
    return try result.get().path("template.db")
  }
}
