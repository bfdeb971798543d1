import Testing
import ParleyRuntime
import ParleyTestKit

/// A real store of each kind, for one test body over all of them.
struct TaskStore: Sendable {
  enum Kind: String, CaseIterable, CustomTestStringConvertible {
    case sqlite, redis, nats, matrix, xmpp

    var testDescription: String { rawValue }

    /// Processes, claimants in each, and tasks: servers of rooms take milliseconds for a message.
    var crowd: (processes: Int, claimants: Int, tasks: Int) {
      switch self {
      case .sqlite, .redis, .nats: (8, 4, 200)
      case .matrix, .xmpp: (4, 2, 40)
      }
    }

    /// A lease that a test waits for, and that outlasts a few messages of this store.
    var lease: Duration { self == .matrix || self == .xmpp ? .seconds(6) : .seconds(1.5) }
  }

  /// The lines of a configuration that name the store.
  let lines: String
  /// Keeps the server alive; its end is the server's.
  private let server: (any AnyObject & Sendable)?

  static func start(_ kind: Kind) async throws -> TaskStore {
    func lines(_ settings: String) -> String { "backend: \(kind.rawValue)\nbackend_config: { \(settings) }" }
    switch kind {
    case .sqlite: return TaskStore(lines: lines("db_path: parley.db, durability: normal"), server: nil)
    case .redis:
      let server = try await RedisServer.start()
      return TaskStore(lines: lines("url: \"redis://127.0.0.1:\(server.port)\""), server: server)
    case .nats:
      let server = try await NATSServer.start()
      return TaskStore(lines: lines("servers: [\"127.0.0.1:\(server.port)\"]"), server: server)
    case .matrix:
      let server = try await SynapseServer.start()
      try await server.register("parley", password: "of the agents")
      let settings = "homeserver_url: \"http://127.0.0.1:\(server.port)\", password: of the agents"
      return TaskStore(lines: lines(settings), server: server)
    case .xmpp:
      let server = try await ProsodyServer.start()
      let settings =
        "service: \"xmpp://127.0.0.1:\(server.port)\", domain: \(ProsodyServer.domain), "
        + "muc_service: \(ProsodyServer.rooms), username: parley, password: pw-parley, "
        + "tls_ca_file: \"\(server.authority)\""
      return TaskStore(lines: lines(settings), server: server)
    }
  }

  /// Writes the configuration of a participant.
  func write(_ handle: String, in place: Workplace) throws {
    try place.write(
      "\(handle).yaml",
      """
      identity: { handle: \(handle) }
      topics: [general]
      presence: { enabled: false }
      \(lines)

      """)
  }

  /// A process of a participant, which speaks MCP.
  func client(_ place: Workplace, _ handle: String) async throws -> Client {
    try write(handle, in: place)
    let client = try Client(place, config: "\(handle).yaml")
    try await client.initialize()
    return client
  }
}
