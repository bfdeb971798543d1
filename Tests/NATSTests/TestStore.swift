import ParleyConformance
import ParleyRuntime
import ParleyTestKit

@testable import ParleyNATS

/// A server of one test, with a proxy before it, and what an administrator does to it.
final class TestStore: Sendable {
  let server: NATSServer
  let proxy: FaultProxy
  let admin: OtherProgram

  init(_ options: NATSServer.Options = NATSServer.Options()) async throws {
    server = try await NATSServer.start(options)
    proxy = try await FaultProxy.start(to: server.port)
    admin = OtherProgram(port: server.port)
  }

  /// Options that reach the server through the proxy.
  var options: NATSOptions {
    var options = NATSOptions()
    options.servers = ["127.0.0.1:\(proxy.port)"]
    return options
  }

  /// The same with a watchdog that suits a test.
  var watchful: NATSOptions {
    var options = options
    options.watchdog = .seconds(1)
    options.connectTimeout = .milliseconds(500)
    return options
  }

  func names(_ topic: Topic) -> TopicNames { TopicNames(topic, options) }

  func trim(_ topic: Topic, keep count: Int) async throws {
    // `keep: 0` in a purge request means no limit: all goes.
    let request = count == 0 ? "" : "{\"keep\":\(count)}"
    try await admin.ask("$JS.API.STREAM.PURGE.\(names(topic).stream)", request)
  }

  func delete(_ topic: Topic) async throws { try await admin.ask("$JS.API.STREAM.DELETE.\(names(topic).stream)") }

  /// The names of a topic's consumers.
  func consumers(_ topic: Topic) async throws -> [String] {
    let reply = try await admin.ask("$JS.API.CONSUMER.NAMES.\(names(topic).stream)")
    return (reply.object?["consumers"]?.array ?? []).compactMap(\.string)
  }

  /// Kills the server without a word and starts it anew.
  func crash() async throws {
    server.process.kill()
    try await server.process.start()
  }

  /// Waits, on the proxy's own loop, until the cut that was asked for has happened.
  func waitForCut() async -> Bool {
    let proxy = proxy
    return await proxy.loop.spawn { await proxy.waitForCut() }.value
  }

  func end() async {
    await proxy.close()
    server.process.kill()
  }
}

/// Remembers losses. Confined to the test's loop.
final class Lost: @unchecked Sendable {  // touched on one loop only
  private(set) var errors: [SeamError] = []
  func add(_ error: SeamError) { errors.append(error) }
}
