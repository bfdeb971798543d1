import ParleyRuntime
import ParleyTestKit

/// A messaging server that is measured: where it is, how configuration names it, and its floor.
struct ServerTarget {
  /// Which backend.
  enum Kind: String { case redis, nats }

  let kind: Kind
  let url: String
  /// The floor's program.
  let floor: String
  /// Keeps a server of our own alive.
  private var own: (any AnyObject & Sendable)?

  init(_ kind: Kind, url: String, _ folder: String) {
    self.kind = kind
    self.url = url
    floor = "\(folder)/parley-floor-\(kind.rawValue)"
  }

  static func startingRedis(floors folder: String) throws -> ServerTarget {
    let server = try onLoop { () async throws(ServerFailure) in try await RedisServer.start() }
    var target = ServerTarget(.redis, url: "redis://127.0.0.1:\(server.port)", folder)
    target.own = server
    return target
  }

  static func startingNATS(floors folder: String) throws -> ServerTarget {
    let server = try onLoop { () async throws(ServerFailure) in try await NATSServer.start() }
    var target = ServerTarget(.nats, url: "nats://127.0.0.1:\(server.port)", folder)
    target.own = server
    return target
  }

  /// The lines of a configuration that name it.
  var configuration: String {
    switch kind {
    case .redis: "backend: redis\nbackend_config: { url: \"\(url)\" }"
    case .nats: "backend: nats\nbackend_config: { servers: [\"\(url)\"] }"
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
