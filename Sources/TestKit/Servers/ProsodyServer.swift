import Glibc
import ParleyRuntime

/// A real Prosody on 127.0.0.1: the domain `chat.test`, rooms at `rooms.chat.test`, archives in SQLite.
///
/// Accounts `alice`, `bob`, `carol` and `parley` have the password `pw-<name>`. TLS is demanded; `port` speaks STARTTLS,
/// `tlsPort` TLS from the first byte.
public final class ProsodyServer: Sendable {
  /// What a server is started with.
  public struct Options: Sendable {
    /// The certificate that it shows; without it the one for its domains.
    public var pair: TestCertificates.Pair?
    /// Whether it offers TLS at all.
    public var hasTLS = true
    /// The only version of TLS that it speaks, as Prosody names it, for example `tlsv1_2`.
    public var tlsProtocol: String?
    /// Whether rooms are archived.
    public var hasArchive = true
    /// Seconds for which the server keeps a stream that was cut.
    public var hibernation = 5
    /// The largest page of an archive.
    public var pageLimit = 200
    /// Further lines of the global section.
    public var lines: [String] = []
    /// Further modules of the domain.
    public var modules: [String] = []
    /// Modules of the test's own, in Lua, by name; those in `modules` are loaded.
    public var plugins: [String: String] = [:]
    /// Further lines of the rooms' section.
    public var roomLines: [String] = []

    /// The defaults.
    public init() {}
  }

  /// The domain of its accounts.
  public static let domain = "chat.test"
  /// Where its rooms are.
  public static let rooms = "rooms.chat.test"

  /// The port that speaks STARTTLS.
  public let port: Int
  /// The port that speaks TLS from the first byte.
  public let tlsPort: Int
  /// The process, for everything that is done to it from outside.
  public let process: ServerProcess
  /// The SQLite file with the archives.
  public let archivePath: String
  /// The authority of its certificate, PEM.
  public let authority: String
  private let ports: [FreePort]
  private let accountsPath: String

  /// Gives an account another password; sessions that there are stay.
  public func setPassword(_ password: String, of name: String) throws(SystemError) {
    try TextFile.write("return { [\"password\"] = \"\(password)\" };\n", to: "\(accountsPath)/\(name).dat")
  }

  /// Starts a server and returns when it can be connected to.
  public static func start(_ options: Options = Options()) async throws(ServerFailure) -> ProsodyServer {
    let server = try ProsodyServer(options, certificates: try await TestCertificates.make())
    try await server.process.start()
    return server
  }

  private init(_ options: Options, certificates: TestCertificates) throws(ServerFailure) {
    do throws(SystemError) {
      let directory = try TemporaryDirectory()
      ports = [try FreePort(), try FreePort()]
      (port, tlsPort) = (ports[0].number, ports[1].number)
      authority = certificates.authority
      archivePath = directory.path("data/prosody.sqlite")
      // Prosody writes every other byte of a directory's name as a percent escape.
      for folder in ["data", "data/chat%2etest", "data/chat%2etest/accounts"] {
        _ = try SystemError.check("mkdir", unsafe mkdir(directory.path(folder), 0o700))
      }
      for name in ["alice", "bob", "carol", "parley"] {
        try TextFile.write(
          "return { [\"password\"] = \"pw-\(name)\" };\n", to: directory.path("data/chat%2etest/accounts/\(name).dat"))
      }
      if !options.plugins.isEmpty { _ = try SystemError.check("mkdir", unsafe mkdir(directory.path("plugins"), 0o700)) }
      for (name, source) in options.plugins {
        try TextFile.write(source, to: directory.path("plugins/mod_\(name).lua"))
      }
      accountsPath = directory.path("data/chat%2etest/accounts")
      try TextFile.write(
        Self.configuration(options, certificates, ports: (port, tlsPort), directory: directory),
        to: directory.path("prosody.cfg.lua"))
      let path: String
      do throws(ServerFailure) { path = try TestPrograms.path("prosody") } catch {
        throw SystemError(operation: error.description, code: ENOENT)
      }
      let port = port
      process = ServerProcess(
        "prosody", path: path, arguments: ["-F", "--config", directory.path("prosody.cfg.lua")], directory: directory
      ) {
        guard let descriptor = try? LocalSocket.connect(port: port, patience: .seconds(1)) else { return false }
        close(descriptor)
        return true
      }
    } catch { throw ServerFailure("prosody: \(error)") }
  }

  private static func configuration(
    _ options: Options, _ certificates: TestCertificates, ports: (Int, Int), directory: TemporaryDirectory
  ) -> String {
    let pair = options.pair ?? certificates.server
    let only = options.tlsProtocol.map { ", protocol = \"\($0)\"" } ?? ""
    let ssl = "{ certificate = \"\(pair.certificate)\", key = \"\(pair.key)\"\(only) }"
    var lines = [
      "run_as_root = true", "data_path = \"\(directory.path("data"))\"",
      "pidfile = \"\(directory.path("prosody.pid"))\"", "log = { { levels = { min = \"warn\" }, to = \"console\" } }",
      "plugin_paths = { \"\(directory.path("plugins"))\" }", "admins = { \"carol@\(domain)\" }",
      "network_backend = \"epoll\"", "network_settings = { nagle = false }",
      "use_ipv6 = false", "interfaces = { \"127.0.0.1\" }", "c2s_ports = { \(ports.0) }",
      "s2s_ports = {}", "http_ports = {}", "https_ports = {}",
      "modules_enabled = { \"disco\", \"roster\", \"saslauth\", \(options.hasTLS ? "\"tls\", " : "")\"ping\", \"smacks\", "
        + "\"posix\", \"carbons\", \"time\", \"version\" \(options.modules.map { ", \"\($0)\"" }.joined()) }",
      "modules_disabled = { \"s2s\"\(options.hasTLS ? "" : ", \"tls\"") }",
      "authentication = \"internal_plain\"", "c2s_require_encryption = \(options.hasTLS)",
      "allow_unencrypted_plain_auth = \(!options.hasTLS)", "default_storage = \"internal\"",
      "storage = { muc_log = \"sql\", archive = \"sql\" }",
      "sql = { driver = \"SQLite3\", database = \"\(directory.path("data/prosody.sqlite"))\" }", "limits = {}",
      "smacks_hibernation_time = \(options.hibernation)", "c2s_stanza_size_limit = 512 * 1024",
      "max_archive_query_results = \(options.pageLimit)",
    ]
    if options.hasTLS {
      lines += ["ssl = \(ssl)", "c2s_direct_tls_ports = { \(ports.1) }", "c2s_direct_tls_ssl = \(ssl)"]
    }
    lines += options.lines
    lines += [
      "VirtualHost \"\(domain)\"", "Component \"\(rooms)\" \"muc\"",
      "modules_enabled = { \(options.hasArchive ? "\"muc_mam\"" : "") }", "muc_room_locking = false",
      "muc_room_default_persistent = true", "restrict_room_creation = false", "muc_log_by_default = true",
      "muc_log_expires_after = \"never\"", "muc_tombstones = false",
    ]
    lines += options.roomLines
    return lines.joined(separator: "\n") + "\n"
  }
}
