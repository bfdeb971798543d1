import CLinux
import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyHTTPServer

/// The server over real sockets.
@Suite struct ServerTests {
  static let echo = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"

  @Test func keepsConnectionsAndAnswersPipelinedRequestsInOrder() throws {
    try ServerWorld.use { world async throws in
      let client = try await world.connect()
      client.send(Self.echo + Self.echo + "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
      try await client.wait(for: "{\"error\":{\"code\":\"notFound\"")
      #expect(client.text.components(of: "HTTP/1.1 200 OK") == 2 && client.text.contains("HTTP/1.1 404 Not Found"))
      #expect(!client.text.contains("Connection: close") && client.text.contains("\r\nDate: "))
      // A line break in a header's value begins no line.
      #expect(client.text.contains("X-A: b  Injected: c\r\n"))
      client.send("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
      #expect(await client.rest().hasSuffix("Connection: close\r\n\r\nx"))
    }
  }

  @Test func aRequestThatComesByteByByte() throws {
    try ServerWorld.use { world async throws in
      let client = try await world.connect()
      for byte in Self.echo.utf8 {
        client.stream.write([byte])
        await world.loop.sleep(for: .microseconds(200))
      }
      try await client.wait(for: "\r\n\r\nhi")
    }
  }

  @Test func oldClientsAreServedAndClosed() throws {
    try ServerWorld.use { world async throws in
      let text = try await world.answer(to: "POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
      #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.hasSuffix("\r\n\r\nhi"))
      let client = try await world.connect()
      client.send("GET /stream HTTP/1.0\r\n\r\n")
      try await client.wait(for: "\r\n\r\n")
      let exchange = try #require(world.application.open.first)
      exchange.send(Array("piece".utf8))
      exchange.endStream()
      // No chunks: the end of the connection is the end of the body.
      #expect(await client.rest().hasSuffix("Connection: close\r\n\r\npiece"))
    }
  }

  @Test func headHasNoBody() throws {
    try ServerWorld.use { world async throws in
      let text = try await world.answer(
        to: "HEAD /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
      #expect(text.contains("Content-Length: 3\r\n") && text.hasSuffix("\r\n\r\n"))
    }
  }

  /// Each is answered with a JSON body, and the connection closed, since nothing behind it can be trusted.
  @Test(
    arguments: [
      ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
      ("FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
      ("GET /\(String(repeating: "x", count: 9000)) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
      ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 60_000))\r\n\r\n", 431),
      ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\nx", 413),
      ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ] as [(String, Int)]) func refusals(_ request: String, _ status: Int) throws
  {
    try ServerWorld.use { world async throws in
      let text = try await world.answer(to: request + "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(text.hasPrefix("HTTP/1.1 \(status) ") && text.contains("Connection: close\r\n"))
      #expect(text.contains("Content-Type: application/json\r\n") && text.contains("{\"error\":{\"code\":"))
      #expect(text.components(of: "\r\nDate: ") == 1)
    }
  }

  @Test func continueIsSaidOnlyToWhomItIsWelcome() throws {
    try ServerWorld.use { world async throws in
      let client = try await world.connect()
      client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
      try await client.wait(for: "HTTP/1.1 100 Continue\r\n\r\n")
      client.send("hi")
      try await client.wait(for: "\r\n\r\nhi")
      // The final answer comes instead where the request is refused.
      let text = try await world.answer(
        to: "POST /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
      #expect(text.hasPrefix("HTTP/1.1 401 ") && !text.contains("100 Continue"))
    }
  }

  @Test func aRefusedBodyIsPassedOver() throws {
    try ServerWorld.use { world async throws in
      let client = try await world.connect()
      client.send("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nGET / " + Self.echo)
      try await client.wait(for: "\r\n\r\nhi")
      #expect(client.text.hasPrefix("HTTP/1.1 401 ") && client.text.components(of: "HTTP/1.1 ") == 2)
    }
  }

  /// Waits until the application judges so many requests.
  private static func judging(_ world: ServerWorld, _ count: Int) async -> Bool {
    let deadline = world.soon
    while world.application.judging.count < count, world.loop.now < deadline {
      await world.loop.sleep(for: .milliseconds(1))
    }
    return world.application.judging.count == count
  }

  /// Whoever is still asked about is asked for no body, and one who is refused has none read.
  @Test func whoIsJudgedLaterSendsNoBody() throws {
    try ServerWorld.use { world async throws in
      let head = "POST /judge HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n"
      let client = try await world.connect()
      client.send(head + "Expect: 100-continue\r\n\r\n")
      #expect(await Self.judging(world, 1) && client.text.isEmpty)
      world.application.judging[0](.answer(TestApplication.refusal))
      #expect(await client.rest().hasPrefix("HTTP/1.1 401 ") && world.application.handled == 0)
      let eager = try await world.connect()
      eager.send(head + "\r\n" + String(repeating: "x", count: 50_000))
      #expect(await Self.judging(world, 2))
      world.application.judging[1](.answer(TestApplication.refusal))
      #expect(await eager.rest().hasPrefix("HTTP/1.1 401 ") && world.application.handled == 0)
      // One who is let in goes on, with what came meanwhile and what follows it.
      let known = try await world.connect()
      known.send("POST /judge HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" + Self.echo)
      #expect(await Self.judging(world, 3))
      world.application.judging[2](.body(limit: 10, finding: "known"))
      try await known.wait(for: "X-Finding: known")
      #expect(await known.wait { known.text.components(of: "HTTP/1.1 200 ") == 2 })
      // One who has gone is no trouble, nor is a body over the limit.
      let gone = try await world.connect()
      gone.send("GET /judge HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(await Self.judging(world, 4))
      gone.stream.close()
      let large = try await world.connect()
      large.send(head + "\r\n")
      #expect(await Self.judging(world, 5))
      world.application.judging[3](.body(limit: 10))
      world.application.judging[4](.body(limit: 10))
      #expect(await large.rest().hasPrefix("HTTP/1.1 413 "))
    }
  }

  /// What was found out about a request is handed on with a body that is there, not with one that comes later.
  @Test func findingsAreForWhatIsThereAtOnce() throws {
    try ServerWorld.use { world async throws in
      let head = "POST /found HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
      let client = try await world.connect()
      client.send(head + "hi")
      try await client.wait(for: "X-Finding: found")
      client.send(head + "h")
      await world.loop.sleep(for: .milliseconds(20))
      client.send("i")
      try await client.wait(for: "X-Finding: nothing")
    }
  }

  @Test func slowClientsAreGivenUp() throws {
    var limits = ServerLimits()
    limits.headTime = .milliseconds(80)
    limits.bodyTime = .milliseconds(80)
    limits.idleTime = .milliseconds(80)
    limits.lingerTime = .milliseconds(50)
    try ServerWorld.use(limits: limits) { world async throws in
      #expect(try await world.answer(to: "GET / HTT").hasPrefix("HTTP/1.1 408 Request Timeout"))
      #expect(
        try await world.answer(to: "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh")
          .hasPrefix("HTTP/1.1 408 "))
      #expect(try await world.answer(to: "").isEmpty)
      // Kept alive, but not for ever; a second head that begins and stalls is told.
      #expect(try await world.answer(to: Self.echo).hasSuffix("hi"))
      #expect(try await world.answer(to: Self.echo + "GET").contains("HTTP/1.1 408 "))
      for _ in 0..<200 where world.server.connectionCount > 0 { await world.loop.sleep(for: .milliseconds(5)) }
      #expect(world.server.connectionCount == 0)
    }
  }

  @Test func aStreamIsSentPieceByPieceAndEnds() throws {
    try ServerWorld.use { world async throws in
      let client = try await world.connect()
      client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" + Self.echo)
      try await client.wait(for: "Transfer-Encoding: chunked\r\n\r\n")
      let exchange = try #require(world.application.open.first)
      exchange.send(Array("one".utf8))
      try await client.wait(for: "3\r\none\r\n")
      #expect(world.application.handled == 1)
      exchange.endStream()
      // The pipelined request comes when the stream is over.
      try await client.wait(for: "0\r\n\r\nHTTP/1.1 200 OK")
      exchange.send(Array("late".utf8))
      try await client.wait(for: "\r\n\r\nhi")
      #expect(!client.text.contains("late"))
    }
  }

  @Test func aClientThatGoesIsNoticedAtOnce() throws {
    try ServerWorld.use { world async throws in
      let noticed = Waiters<Void>(loop: world.loop)
      world.application.onChange = { noticed.resumeAll(()) }
      for path in ["/hang", "/stream"] {
        let client = try await world.connect()
        client.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
        let before = world.application.gone
        while world.application.open.count == before { _ = await noticed.wait(noticed.ticket(), until: world.soon) }
        client.stream.close()
        while world.application.gone == before {
          guard case .value = await noticed.wait(noticed.ticket(), until: world.soon) else { break }
        }
        #expect(world.application.gone == before + 1)
      }
      #expect(world.server.connectionCount == 0)
    }
  }

  @Test func aSlowReaderHoldsBackTheWriterAndIsGivenUp() throws {
    var limits = ServerLimits()
    limits.congestionBytes = 64 << 10
    limits.stallTime = .milliseconds(100)
    try ServerWorld.use(limits: limits) { world async throws in
      let noticed = Waiters<Void>(loop: world.loop)
      world.application.onChange = { noticed.resumeAll(()) }
      let client = try await world.connect()
      client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
      try await client.wait(for: "\r\n\r\n")
      client.stream.pauseReading()
      let exchange = try #require(world.application.open.first)
      while world.application.congestion.isEmpty {
        exchange.send([UInt8](repeating: 120, count: 32 << 10))
        await world.loop.sleep(for: .microseconds(50))
      }
      #expect(world.application.congestion == [true])
      client.stream.resumeReading()
      while world.application.congestion.count < 2 { _ = await noticed.wait(noticed.ticket(), until: world.soon) }
      #expect(world.application.congestion == [true, false])
      // Now it reads nothing any more.
      client.stream.pauseReading()
      while !exchange.isOver {
        exchange.send([UInt8](repeating: 120, count: 64 << 10))
        await world.loop.sleep(for: .milliseconds(2))
      }
      #expect(world.application.gone == 1 && world.server.connectionCount == 0)
    }
  }

  @Test func theLongestWaitingConnectionMakesRoom() throws {
    var limits = ServerLimits()
    limits.connections = 3
    try ServerWorld.use(limits: limits) { world async throws in
      let first = try await world.connect()
      first.send(Self.echo)
      try await first.wait(for: "hi")
      let busy = try await world.connect()
      busy.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
      let second = try await world.connect()
      second.send("GET /ha")
      let third = try await world.connect()
      third.send(Self.echo)
      try await third.wait(for: "hi")
      #expect(await first.wait { first.hasEnded })
      #expect(!second.hasEnded && !busy.hasEnded)
      // One after the other, so that each is busy before the next connection looks for room.
      var others: [WebClient] = []
      for count in 2...3 {
        let other = try await world.connect()
        others.append(other)
        other.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        while world.application.open.count < count, !other.hasEnded {
          _ = await other.wait(.milliseconds(10)) { other.hasEnded }
        }
        #expect(world.application.open.count == count)
      }
      // All are busy: the next one is told.
      #expect(await world.answerWhenFull().hasPrefix("HTTP/1.1 503 "))
      #expect(!busy.hasEnded && others.allSatisfy { !$0.hasEnded })
    }
  }

  @Test func drainingEndsWhatWaitsAndLetsTheRestFinish() throws {
    try ServerWorld.use { world async throws in
      let noticed = Waiters<Void>(loop: world.loop)
      world.application.onChange = { noticed.resumeAll(()) }
      let idle = try await world.connect()
      idle.send(Self.echo)
      try await idle.wait(for: "hi")
      let busy = try await world.connect()
      busy.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
      while world.application.open.isEmpty { _ = await noticed.wait(noticed.ticket(), until: world.soon) }
      let draining = world.loop.spawn { await world.server.drain(until: world.soon) }
      #expect(await idle.wait { idle.hasEnded })
      #expect(await failsToConnect(world))
      world.application.open[0].answer(HTTPResponse(200, body: Array("late".utf8)))
      #expect(await busy.rest().hasSuffix("Connection: close\r\n\r\nlate"))
      await draining.value
      #expect(world.server.connectionCount == 0)
    }
  }

  private func failsToConnect(_ world: ServerWorld) async -> Bool {
    do {
      _ = try await ByteStream.connect(to: world.endpoint, loop: world.loop, until: world.soon)
      return false
    } catch { return true }
  }

  @Test func listensOnIPv6AndOnUnixSockets() throws {
    try ServerWorld.use(listening: .tcp(host: "::1", port: 0)) { world async throws in
      let client = try await world.connect()
      client.send(Self.echo)
      try await client.wait(for: "hi")
    }
    let folder = try TemporaryDirectory()
    let path = folder.path("http.sock")
    try ServerWorld.use(listening: .unix(path: path)) { world async throws in
      var status = stat()
      #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
      let client = try await world.connect()
      client.send(Self.echo)
      try await client.wait(for: "hi")
      // Somebody listens there; a socket that a dead process left would be replaced.
      #expect(throws: SystemError.self) { try world.server.listen(on: .unix(path: path)) }
    }
    #expect(access(path, F_OK) != 0)
    let stale = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(stale, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    #expect(bound == 0)
    close(stale)
    try ServerWorld.use(listening: .unix(path: path)) { world async throws in
      let client = try await world.connect()
      client.send(Self.echo)
      try await client.wait(for: "hi")
    }
  }
}

extension ServerWorld {
  /// The whole answer to a connection that is refused before it says anything.
  func answerWhenFull() async -> String {
    guard let client = try? await connect() else { return "no connection" }
    return await client.rest()
  }
}

extension String {
  /// How often a part occurs.
  func components(of part: String) -> Int {
    var count = 0
    var rest = self[...]
    while let range = rest.firstRange(of: part) {
      count += 1
      rest = rest[range.upperBound...]
    }
    return count
  }
}
