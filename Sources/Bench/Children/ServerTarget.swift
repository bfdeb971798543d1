import CLinux
import Glibc
import ParleyRuntime
import ParleyTestKit

/// A messaging server that is measured: where it is, how configuration names it, and its floor.
struct ServerTarget {
  /// Which backend.
  enum Kind: String {
    case redis, nats, matrix, xmpp

    /// Topics are rooms that people share, and who writes needs an account.
    var hasPeople: Bool { self == .matrix || self == .xmpp }

    /// How many times fewer messages are measured than with the quickest servers.
    var slowness: Int {
      switch self {
      case .redis, .nats: 1
      case .matrix: 50
      case .xmpp: 10
      }
    }

    /// Pages that are fetched where so many messages are measured: Prosody takes a tenth of a second for one.
    func pages(for count: Int) -> Int { self == .xmpp ? max(10, count / 10) : count }

    /// Connections that the start with many topics may leave open: over HTTP/1.1 a few are kept for the next requests.
    var idleConnections: Double { self == .matrix ? 4 : 0 }

    /// What the floor speaks, for the report.
    var protocolName: String { hasPeople ? "C, bare protocol" : "C" }
  }

  let kind: Kind
  let url: String
  /// The floor's program.
  let floor: String
  /// The account's name and, on XMPP, its domain.
  private let account: String
  /// A PEM file of authorities to trust; nil for the system's.
  private let authorities: String?
  /// Where the rooms are (XMPP).
  private var rooms = ""
  /// Keeps a server of our own alive.
  private var own: (any AnyObject & Sendable)?

  /// Where floors and Parley read who they are: an argument could be seen by everyone on the machine.
  static let accountVariable = "PARLEY_BENCH_ACCOUNT"
  static let passwordVariable = "PARLEY_BENCH_PASSWORD"

  init(_ kind: Kind, url: String, _ folder: String, authorities: String? = nil) throws(BenchError) {
    self.kind = kind
    self.url = url
    self.authorities = authorities
    floor = "\(folder)/parley-floor-\(kind.rawValue)"
    account = unsafe getenv(Self.accountVariable).map { unsafe String(cString: $0) } ?? ""
    guard kind.hasPeople else { return }
    guard !account.isEmpty, unsafe getenv(Self.passwordVariable) != nil else {
      throw BenchError("\(kind.rawValue) needs \(Self.accountVariable) and \(Self.passwordVariable) in the environment")
    }
    rooms = "muc." + domain
  }

  /// A server of our own.
  static func starting(_ kind: Kind, floors folder: String) throws -> ServerTarget {
    var target: ServerTarget
    switch kind {
    case .redis:
      let server = try onLoop { () async throws(ServerFailure) in try await RedisServer.start() }
      target = try ServerTarget(.redis, url: "redis://127.0.0.1:\(server.port)", folder)
      target.own = server
    case .nats:
      let server = try onLoop { () async throws(ServerFailure) in try await NATSServer.start() }
      target = try ServerTarget(.nats, url: "nats://127.0.0.1:\(server.port)", folder)
      target.own = server
    case .matrix:
      let server = try onLoop { () async throws(ServerFailure) in
        let server = try await SynapseServer.start()
        try await server.register("bench", password: "bench")
        return server
      }
      setAccount("bench", password: "bench")
      target = try ServerTarget(.matrix, url: "http://127.0.0.1:\(server.port)", folder)
      target.own = server
    case .xmpp:
      let server = try onLoop { () async throws(ServerFailure) in try await ProsodyServer.start() }
      setAccount("parley@\(ProsodyServer.domain)", password: "pw-parley")
      target = try ServerTarget(
        .xmpp, url: "xmpps://127.0.0.1:\(server.tlsPort)", folder, authorities: server.authority)
      target.rooms = ProsodyServer.rooms
      target.own = server
    }
    return target
  }

  private static func setAccount(_ name: String, password: String) {
    unsafe setenv(accountVariable, name, 1)
    unsafe setenv(passwordVariable, password, 1)
  }

  private var domain: String { account.split(separator: "@").last.map(String.init) ?? account }

  /// The lines of a configuration that name it.
  var configuration: String {
    let password = "password: \"${\(Self.passwordVariable)}\""
    var settings: String
    switch kind {
    case .redis: settings = "url: \"\(url)\""
    case .nats: settings = "servers: [\"\(url)\"]"
    case .matrix:
      settings = "homeserver_url: \"\(url)\", user: \"\(account)\", \(password)"
      if let authorities { settings += ", ca_file: \"\(authorities)\"" }
    case .xmpp:
      let name = account.split(separator: "@").first ?? ""
      settings =
        "service: \"\(url)\", domain: \"\(domain)\", muc_service: \"\(rooms)\", username: \"\(name)\", \(password)"
      if let authorities { settings += ", tls_ca_file: \"\(authorities)\"" }
    }
    return "backend: \(kind.rawValue)\nbackend_config: { \(settings) }"
  }

  /// What a floor's command line begins with; `managed` with stream management (XMPP).
  func floorArguments(managed: Bool) -> [String] {
    kind == .xmpp ? [url, authorities ?? "", managed ? "managed" : "plain"] : [url]
  }

  /// The room of a topic, as a floor names it.
  func room(of topic: String) -> String {
    switch kind {
    case .redis, .nats: topic
    case .matrix: "parley_" + topic
    case .xmpp: "\(topic)@\(rooms)"
    }
  }

  private static func onLoop<Value: Sendable>(
    _ body: @escaping @Sendable () async throws(ServerFailure) -> Value
  ) throws -> Value {
    try EventLoop(name: "bench").run { () async -> Result<Value, ServerFailure> in
      do throws(ServerFailure) { return .success(try await body()) } catch { return .failure(error) }
    }.get()
  }
}
