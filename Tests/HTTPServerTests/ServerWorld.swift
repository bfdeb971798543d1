import Glibc
import ParleyRuntime
import Testing

@testable import ParleyHTTPServer

/// A server with a little application on a loop, and clients of it on the same loop.
final class ServerWorld: @unchecked Sendable {  // confined to its loop
  let loop: EventLoop
  let server: HTTPServer
  let application: TestApplication
  let endpoint: Endpoint

  private init(loop: EventLoop, limits: ServerLimits, listening: Endpoint) throws {
    self.loop = loop
    application = TestApplication()
    server = HTTPServer(loop: loop, limits: limits, application: application)
    endpoint = try server.listen(on: listening)
  }

  static func use(
    limits: ServerLimits = ServerLimits(), listening: Endpoint = .tcp(host: "127.0.0.1", port: 0),
    _ body: @escaping @Sendable (ServerWorld) async throws -> Void
  ) throws {
    let loop = try EventLoop(name: "test")
    let result: Result<Void, any Error> = try loop.run {
      do {
        let world = try ServerWorld(loop: loop, limits: limits, listening: listening)
        try await body(world)
        await world.server.drain(until: loop.now)
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
  }

  func connect() async throws -> WebClient {
    WebClient(try await ByteStream.connect(to: endpoint, loop: loop, until: loop.now.advanced(by: .seconds(5))))
  }

  /// Sends bytes on a connection of its own and returns everything until the server closes it.
  func answer(to request: String) async throws -> String {
    let client = try await connect()
    client.send(request)
    return await client.rest()
  }

  var soon: LoopInstant { loop.now.advanced(by: .seconds(5)) }
}

/// What the tests serve: `/echo`, `/hang`, `/stream` (ended by the test), `/refuse` (before the body), `/judge` (admitted or
/// not by the test), `/found` (answers what was found out about it).
final class TestApplication: HTTPApplication, @unchecked Sendable {  // confined to its loop
  var open: [HTTPExchange] = []
  var judging: [@Sendable (HTTPAdmission) -> Void] = []
  var gone = 0
  var congestion: [Bool] = []
  var handled = 0
  var onChange: () -> Void = {}

  func admit(_ head: RequestHead, from peer: IPAddress?) -> HTTPAdmission {
    switch head.path {
    case "/refuse": .answer(Self.refusal)
    case "/found": .body(limit: 1 << 20, finding: "found")
    case "/judge":
      .later { [self] reply in
        judging.append(reply)
        onChange()
      }
    default: .body(limit: 1 << 20)
    }
  }

  static let refusal = HTTPResponse.refusal(HTTPRefusal(401, "unauthorized", "no"))

  func handle(_ exchange: HTTPExchange) {
    handled += 1
    switch exchange.head.path {
    case "/echo": exchange.answer(HTTPResponse(200, fields: [("X-A", "b\r\nInjected: c")], body: exchange.body))
    case "/hang", "/stream":
      open.append(exchange)
      exchange.onGone = { [unowned self] in
        gone += 1
        onChange()
      }
      exchange.onCongestion = { [unowned self] in
        congestion.append($0)
        onChange()
      }
      if exchange.head.path == "/stream" { exchange.beginStream(200, fields: [("Content-Type", "text/plain")]) }
    case "/found", "/judge":
      let finding = exchange.finding as? String ?? "nothing"
      exchange.answer(HTTPResponse(200, fields: [("X-Finding", finding)], body: exchange.body))
    default: exchange.answer(.refusal(HTTPRefusal(404, "notFound", "nothing")))
    }
    onChange()
  }
}

/// One connection of a client; confined to its loop.
final class WebClient: @unchecked Sendable {
  let stream: ByteStream
  private(set) var received: [UInt8] = []
  private(set) var hasEnded = false
  private let changed: Waiters<Void>

  init(_ stream: ByteStream) {
    self.stream = stream
    changed = Waiters(loop: stream.loop)
    stream.start(
      onBytes: { [unowned self] in
        received += [UInt8](copying: $0)
        changed.resumeAll(())
      },
      onClose: { [unowned self] _ in
        hasEnded = true
        changed.resumeAll(())
      })
  }

  var text: String { String(decoding: received, as: UTF8.self) }

  func send(_ text: String) { stream.write(Array(text.utf8)) }

  @discardableResult
  func wait(_ limit: Duration = .seconds(10), for condition: () -> Bool) async -> Bool {
    let deadline = stream.loop.now.advanced(by: limit)
    while !condition() {
      guard case .value = await changed.wait(changed.ticket(), until: deadline) else { return condition() }
    }
    return true
  }

  func wait(for part: String) async throws {
    guard await wait(for: { self.text.contains(part) }) else {
      Issue.record("\(part.debugDescription) did not come: \(text.suffix(2000))")
      throw Missing()
    }
  }

  struct Missing: Error {}

  /// Everything until the other side closes.
  func rest() async -> String {
    #expect(await wait(for: { self.hasEnded }), "the server did not close: \(text.suffix(500))")
    return text
  }
}
