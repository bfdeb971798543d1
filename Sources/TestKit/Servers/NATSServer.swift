import Glibc
import ParleyRuntime

/// A real nats-server with JetStream on 127.0.0.1.
public final class NATSServer: Sendable {
  /// What a server is started with; without changes: no authorization, JetStream in its directory.
  public struct Options: Sendable {
    /// Whether it has JetStream.
    public var hasJetStream = true
    /// What the block `authorization` holds, for example `token: "s3cret"`.
    public var authorization: String?
    /// The certificates that clients are met with; nil for plain TCP.
    public var tls: TestCertificates?
    /// What the server shows instead of `tls.server`.
    public var tlsPair: TestCertificates.Pair?
    /// Whether it asks for a client's certificate.
    public var wantsClientCertificate = false
    /// The largest payload in bytes; nil for the server's own 1 MiB.
    public var maxPayload: Int?
    /// The most that all streams may hold on disk, in bytes.
    public var maxStore = 2 << 30
    /// When the store is synced: `always`, or a duration; nil for the server's own two minutes.
    public var syncInterval: String?
    /// Further lines of the configuration file, for example an `accounts` block.
    public var lines: [String] = []

    /// The defaults.
    public init() {}
  }

  /// The port of clients.
  public let port: Int
  /// The port of the monitoring pages.
  public let monitorPort: Int
  /// The process, for everything that is done to it from outside.
  public let process: ServerProcess
  /// Reserved while the server lives, also while it is down.
  private let ports: [FreePort]

  /// Starts a server and returns when it is healthy, with JetStream.
  public static func start(_ options: Options = Options()) async throws(ServerFailure) -> NATSServer {
    let server = try NATSServer(options)
    try await server.process.start()
    return server
  }

  private init(_ options: Options) throws(ServerFailure) {
    let path = try TestPrograms.path("nats-server")
    do throws(SystemError) {
      let directory = try TemporaryDirectory()
      ports = [try FreePort(), try FreePort()]
      let monitorPort = ports[1].number
      port = ports[0].number
      self.monitorPort = monitorPort
      try TextFile.write(
        Self.configuration(options, port: port, monitorPort: monitorPort, directory: directory),
        to: directory.path("nats.conf"))
      let probe = options.hasJetStream ? "/healthz?js-enabled-only=true" : "/healthz"
      process = ServerProcess(
        "nats-server", path: path, arguments: ["-c", directory.path("nats.conf")], directory: directory
      ) {
        (try? Self.get(probe, port: monitorPort))?.contains(" 200 OK") ?? false
      }
    } catch { throw ServerFailure("nats-server: \(error)") }
  }

  /// A monitoring page, for example `/connz`, `/jsz?streams=true` or `/varz`.
  public func monitor(_ page: String) async throws(ServerFailure) -> JSONValue {
    let port = monitorPort
    return try await ServerProcess.onThread { _ throws(ServerFailure) in
      do {
        let answer = try Self.get(page, port: port)
        let body = answer.firstIndex(of: "{").map { String(answer[$0...]) } ?? ""
        return try JSONValue(parsing: body)
      } catch { throw ServerFailure("\(page): \(error)") }
    }
  }

  private static func get(_ page: String, port: Int) throws(SystemError) -> String {
    let client = try BlockingClient(port: port)
    try client.send("GET \(page) HTTP/1.0\r\n\r\n")
    return try client.rest()
  }

  private static func configuration(
    _ options: Options, port: Int, monitorPort: Int, directory: TemporaryDirectory
  ) -> String {
    var lines = [
      "host: 127.0.0.1", "port: \(port)", "http: \"127.0.0.1:\(monitorPort)\"", "server_name: \"test-\(port)\"",
    ]
    if let limit = options.maxPayload { lines.append("max_payload: \(limit)") }
    if options.hasJetStream {
      let sync = options.syncInterval.map { ", sync_interval: \"\($0)\"" } ?? ""
      let store = directory.path("jetstream")
      lines.append("jetstream { store_dir: \"\(store)\", max_mem: 64MB, max_file: \(options.maxStore)\(sync) }")
    }
    if let tls = options.tls {
      let pair = options.tlsPair ?? tls.server
      let verify = options.wantsClientCertificate ? ", verify: true" : ""
      lines.append(
        "tls { cert_file: \"\(pair.certificate)\", key_file: \"\(pair.key)\", ca_file: \"\(tls.authority)\"\(verify) }")
    }
    if let authorization = options.authorization { lines.append("authorization { \(authorization) }") }
    return (lines + options.lines).joined(separator: "\n") + "\n"
  }
}
