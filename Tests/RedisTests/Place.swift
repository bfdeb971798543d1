import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// One server and backends on it; confined to its loop.
final class Place: @unchecked Sendable {
  let loop: EventLoop
  let server: RedisServer
  private var backends: [RedisBackend] = []

  init(
    loop: EventLoop, _ configuration: RedisServer.Options = RedisServer.Options(),
    isolation: isolated (any Actor)? = #isolation
  ) async throws {
    self.loop = loop
    server = try await RedisServer.start(configuration)
  }

  var url: String { "redis://127.0.0.1:\(server.port)" }
  var soon: LoopInstant { loop.now.advanced(by: .seconds(10)) }

  func connect(
    _ url: String? = nil, isolation: isolated (any Actor)? = #isolation,
    change: (inout RedisOptions) -> Void = { _ in }, lost: @escaping @Sendable (SeamError) -> Void = { _ in }
  ) async throws -> RedisBackend {
    var options = try RedisOptions(url: url ?? self.url)
    change(&options)
    return try await connect(options, lost: lost)
  }

  func connect(
    _ options: RedisOptions, lost: @escaping @Sendable (SeamError) -> Void = { _ in },
    isolation: isolated (any Actor)? = #isolation
  ) async throws -> RedisBackend {
    let backend = RedisBackend(loop: loop, options: options)
    backends.append(backend)
    try await backend.connect(lost: lost)
    return backend
  }

  func end(isolation: isolated (any Actor)? = #isolation) async {
    for backend in backends { await backend.disconnect() }
    server.process.kill()
  }
}

/// Runs a body with a server of its own.
func withServer(
  _ configuration: RedisServer.Options = RedisServer.Options(), _ body: @escaping @Sendable (Place) async throws -> Void
) async throws {
  try await onLoop { loop in
    let place = try await Place(loop: loop, configuration)
    do { try await body(place) } catch {
      await place.end()
      throw error
    }
    await place.end()
  }
}

let general = Topic("general")
let ada = Author(handle: Handle("ada"), instance: "instance-ada")

func draft(_ content: String, on topic: Topic = general, key: DraftKey? = nil) -> Draft {
  Draft(
    topic: topic, author: ada, content: content, key: key ?? .generated("k-\(UInt64.random(in: 0 ... .max))"))
}

extension RedisBackend {
  var soon: LoopInstant { loop.now.advanced(by: .seconds(10)) }

  @discardableResult
  func post(_ draft: Draft) async throws(SeamError) -> Receipt { try await post(draft, deadline: soon) }

  func fetch(_ position: Position = .latest, of topic: Topic = general, limit: Int = 1000) async throws(SeamError)
    -> Page
  {
    try await fetch(FetchRequest(topic, position, limit: limit), deadline: soon)
  }
}
