import Glibc
import ParleyRuntime

/// A real redis-server on 127.0.0.1.
///
/// It always has a plain port and a user `testkit` with all rights, for probes and for what `command` does.
public final class RedisServer: Sendable {
  /// What a server is started with; without changes: no password, append-only file synced every second.
  public struct Options: Sendable {
    /// What the server is.
    public enum Role: Sendable {
      /// A server of its own.
      case standalone
      /// A replica.
      case replica(of: RedisServer)
      /// A node of a cluster; see `cluster(of:)`.
      case clusterNode
      /// A sentinel that watches a master by this name; `quorum` sentinels must agree.
      case sentinel(name: String, master: RedisServer, quorum: Int)
    }

    /// What the server is.
    public var role = Role.standalone
    /// The certificates of its TLS port; nil for none.
    public var tls: TestCertificates?
    /// What the TLS port shows instead of `tls.server`.
    public var tlsPair: TestCertificates.Pair?
    /// Whether the TLS port asks for a client's certificate.
    public var wantsClientCertificate = false
    /// The password of the user `default`.
    public var password: String?
    /// Further users, each a line of an ACL file without `user`, for example `reader on >secret ~* -@all +@read`.
    public var users: [String] = []
    /// Whether it listens on a Unix socket too.
    public var hasUnixSocket = false
    /// `always`, `everysec` or `no`; nil for a server without an append-only file.
    public var appendfsync: String? = "everysec"
    /// Further lines of the configuration file, for example `maxmemory 2mb`.
    public var lines: [String] = []

    /// The defaults.
    public init() {}
  }

  /// The plain port.
  public let port: Int
  /// The port that speaks TLS; nil without certificates.
  public let tlsPort: Int?
  /// The Unix socket's path; nil without one.
  public let socketPath: String?
  /// The process, for everything that is done to it from outside.
  public let process: ServerProcess
  /// Reserved while the server lives, also while it is down; the last is the cluster bus's.
  private let ports: [FreePort]

  /// Starts a server and returns when it answers.
  public static func start(_ options: Options = Options()) async throws(ServerFailure) -> RedisServer {
    let server = try RedisServer(options)
    try await server.process.start()
    return server
  }

  private init(_ options: Options) throws(ServerFailure) {
    do throws(SystemError) {
      let directory = try TemporaryDirectory()
      ports = [try FreePort(), try FreePort(), try FreePort()]
      let port = ports[0].number
      self.port = port
      tlsPort = options.tls == nil ? nil : ports[1].number
      socketPath = options.hasUnixSocket ? directory.path("socket") : nil
      try TextFile.write(
        Self.configuration(options, ports: ports.map(\.number), directory: directory),
        to: directory.path("redis.conf"))
      var arguments = [directory.path("redis.conf")]
      if case .sentinel = options.role { arguments.append("--sentinel") }
      let path: String
      do throws(ServerFailure) { path = try TestPrograms.path("redis-server") } catch {
        throw SystemError(operation: error.description, code: ENOENT)
      }
      process = ServerProcess("redis-server", path: path, arguments: arguments, directory: directory) {
        (try? Self.ask(["PING"], port: port)) == .text("PONG")
      }
    } catch { throw ServerFailure("redis-server: \(error)") }
  }

  // MARK: As an administrator

  /// Sends one command on a connection of its own, as the user `testkit`; an error reply is thrown.
  @discardableResult
  public func command(_ parts: String...) async throws(ServerFailure) -> RedisReply {
    let port = port
    return try await ServerProcess.onThread { _ throws(ServerFailure) in
      let reply: RedisReply
      do throws(SystemError) { reply = try Self.ask(parts, port: port) } catch {
        throw ServerFailure("\(parts): \(error)")
      }
      if case .error(let text) = reply { throw ServerFailure("\(parts): \(text)") }
      return reply
    }
  }

  private static func ask(_ parts: [String], port: Int) throws(SystemError) -> RedisReply {
    let client = try BlockingClient(port: port)
    try client.send(RedisReply.command(["AUTH", "testkit", "testkit"]) + RedisReply.command(parts))
    _ = try RedisReply(from: client)
    return try RedisReply(from: client)
  }

  // MARK: Clusters

  /// Starts masters that share the slots in equal parts, and returns when each of them calls the cluster good.
  public static func cluster(
    of count: Int = 3, _ options: Options = Options()
  ) async throws(ServerFailure) -> [RedisServer] {
    var options = options
    options.role = .clusterNode
    var nodes: [RedisServer] = []
    for index in 0..<count {
      let node = try await start(options)
      let slots = (16_384 * index / count, 16_384 * (index + 1) / count - 1)
      try await node.command("CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)")
      try await node.command("CLUSTER", "ADDSLOTSRANGE", "\(slots.0)", "\(slots.1)")
      if let first = nodes.first {
        try await node.command("CLUSTER", "MEET", "127.0.0.1", "\(first.port)", "\(first.ports[2].number)")
      }
      nodes.append(node)
    }
    for node in nodes {
      try await node.wait(for: "cluster_state:ok", in: "CLUSTER", "INFO")
      try await node.wait(for: "cluster_known_nodes:\(count)", in: "CLUSTER", "INFO")
    }
    return nodes
  }

  /// Asks until the reply contains a text; throws after half a minute.
  public func wait(for text: String, in parts: String...) async throws(ServerFailure) {
    let port = port
    try await ServerProcess.onThread { loop throws(ServerFailure) in
      let deadline = loop.now.advanced(by: .seconds(30))
      while true {
        let reply = try? Self.ask(parts, port: port)
        if reply?.text?.contains(text) == true { return }
        guard loop.now < deadline else { throw ServerFailure("\(parts): no '\(text)' in \(String(describing: reply))") }
        await loop.sleep(for: .milliseconds(20))
      }
    }
  }
}

extension RedisServer {
  /// The text of redis.conf; `ports` are the plain one, the one of TLS and the one of the cluster bus.
  private static func configuration(_ options: Options, ports: [Int], directory: TemporaryDirectory) -> String {
    var lines = ["bind 127.0.0.1", "port \(ports[0])", "dir \(directory.path)", "daemonize no"]
    if let tls = options.tls {
      let pair = options.tlsPair ?? tls.server
      lines += [
        "tls-port \(ports[1])", "tls-cert-file \(pair.certificate)", "tls-key-file \(pair.key)",
        "tls-ca-cert-file \(tls.authority)", "tls-auth-clients \(options.wantsClientCertificate ? "yes" : "no")",
      ]
    }
    lines.append("user default on ~* &* +@all " + (options.password.map { ">\($0)" } ?? "nopass"))
    lines.append("user testkit on >testkit ~* &* +@all")
    lines += options.users.map { "user \($0)" }
    if case .sentinel(let name, let master, let quorum) = options.role {
      lines += [
        "sentinel monitor \(name) 127.0.0.1 \(master.port) \(quorum)", "sentinel auth-user \(name) testkit",
        "sentinel auth-pass \(name) testkit", "sentinel down-after-milliseconds \(name) 500",
        "sentinel failover-timeout \(name) 3000",
      ]
      return (lines + options.lines).joined(separator: "\n") + "\n"
    }
    if options.hasUnixSocket { lines.append("unixsocket \(directory.path("socket"))") }
    lines.append("save \"\"")
    if let fsync = options.appendfsync { lines += ["appendonly yes", "appendfsync \(fsync)"] }
    switch options.role {
    case .standalone, .sentinel: break
    case .replica(let master):
      lines += ["replicaof 127.0.0.1 \(master.port)", "masteruser testkit", "masterauth testkit"]
    case .clusterNode:
      lines += [
        "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 2000",
        "cluster-port \(ports[2])", "masteruser testkit", "masterauth testkit",
      ]
    }
    return (lines + options.lines).joined(separator: "\n") + "\n"
  }
}
