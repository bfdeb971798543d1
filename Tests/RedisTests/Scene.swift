import ParleyConformance
import ParleyRuntime
import ParleyTestKit

@testable import ParleyRedis

/// A server behind a proxy, for what happens to either of them.
final class Scene: Sendable {
  let loop: EventLoop
  let server: RedisServer
  let proxy: FaultProxy
  let options: RedisOptions
  let topic = Topic("arena")

  init(loop: EventLoop) async throws {
    self.loop = loop
    var configuration = RedisServer.Options()
    configuration.appendfsync = "always"
    server = try await RedisServer.start(configuration)
    proxy = try await FaultProxy.start(to: server.port)
    var options = try RedisOptions(url: "redis://127.0.0.1:\(proxy.port)")
    // Shortened, so that a server that is stopped for 3 s is noticed in that time.
    options.block = .milliseconds(400)
    options.timeout = .milliseconds(800)
    self.options = options
  }

  var stream: String { options.keyPrefix + topic.name }

  /// The writers and readers on it.
  func arena() -> Arena {
    let course = Arena.Course(topic: topic, origin: Cursor("0-0"), pace: .milliseconds(1)) { first, second in
      guard let first = try? LogPlace(first), let second = try? LogPlace(second) else { return false }
      return first.position < second.position
    }
    return Arena(loop: loop, course) { RedisBackend(loop: loop, options: options) }
  }

  func end() async {
    await proxy.close()
    server.process.kill()
  }
}
