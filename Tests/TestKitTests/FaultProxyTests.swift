import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// Every fault does what its name says, and what was before it is unharmed.
struct FaultProxyTests {
  private let server: ServerProcess
  private let proxy: FaultProxy

  init() async throws {
    let (server, port) = try await EchoServer.start()
    self.server = server
    proxy = try await FaultProxy.start(to: port.number)
  }

  private func client(patience: Duration = .seconds(10)) throws -> BlockingClient {
    try BlockingClient(port: proxy.port, patience: patience)
  }

  private func code(_ body: () throws(SystemError) -> Void) -> CInt {
    do throws(SystemError) { try body() } catch { return error.code }
    return 0
  }

  @Test func passesEverythingBothWays() async throws {
    let client = try client()
    let large = String(repeating: "0123456789abcdef", count: 50_000) + "\n"
    // More than one read of the proxy, in pieces that the echo's buffers can hold.
    for piece in stride(from: 0, to: large.utf8.count, by: 100_000) {
      let part = String(large.dropFirst(piece).prefix(100_000))
      try client.send(part)
      #expect(try client.bytes(part.utf8.count) == part)
    }
    #expect(await proxy.connections == 1)
    await proxy.close()
  }

  @Test func cutsAllWithAReset() async throws {
    let client = try client()
    try client.send("a\n")
    #expect(try client.line() == "a")
    await proxy.cutAll()
    #expect(code { () throws(SystemError) in _ = try client.line() } == ECONNRESET)
    let next = try self.client()
    try next.send("b\n")
    #expect(try next.line() == "b")
    await proxy.close()
  }

  @Test(arguments: [FaultProxy.Direction.toServer, .toClient]) func cutsAfterSoManyBytes(
    _ direction: FaultProxy.Direction
  ) async throws {
    let client = try client()
    await proxy.cut(after: 5, direction)
    try client.send("12345")
    #expect(try client.bytes(5) == "12345")
    try client.send("6")
    #expect(await proxy.waitForCut())
    #expect(code { () throws(SystemError) in _ = try client.bytes(1) } == ECONNRESET)
    await proxy.close()
  }

  @Test func aHalfOpenConnectionIsSilent() async throws {
    let client = try client(patience: .milliseconds(200))
    try client.send("a\n")
    #expect(try client.line() == "a")
    await proxy.setFlow(.swallow)
    try client.send("lost\n")
    #expect(code { () throws(SystemError) in _ = try client.line() } == EAGAIN)
    // The server's end is not told either.
    server.kill()
    #expect(code { () throws(SystemError) in _ = try client.line() } == EAGAIN)
    await proxy.close()
  }

  @Test func aStalledConnectionGoesOnWhereItStood() async throws {
    let client = try client(patience: .milliseconds(200))
    try client.send("a\n")
    #expect(try client.line() == "a")
    await proxy.setFlow(.stall)
    try client.send("kept\n")
    #expect(code { () throws(SystemError) in _ = try client.line() } == EAGAIN)
    await proxy.setFlow(.pass)
    #expect(try client.line() == "kept")
    await proxy.close()
  }

  @Test func delaysEachWay() async throws {
    await proxy.setDelay(.milliseconds(100))
    let client = try client()
    let start = ContinuousClock.now
    try client.send("a\n")
    #expect(try client.line() == "a")
    #expect(ContinuousClock.now - start >= .milliseconds(200))
    await proxy.setDelay(.zero)
    try client.send("b\n")
    #expect(try client.line() == "b")
    await proxy.close()
  }

  @Test func whatIsSentBeforeTheEndArrivesBeforeIt() async throws {
    await proxy.setDelay(.milliseconds(50))
    let client = try client()
    try client.send("last words\n")
    client.endSending()
    #expect(try client.rest() == "last words\n")
    #expect(await proxy.connections == 0)
    await proxy.close()
  }

  @Test func refusesAndIsSilentToThoseWhoConnect() async throws {
    try await proxy.setWelcome(.refuse)
    #expect(code { () throws(SystemError) in _ = try BlockingClient(port: proxy.port) } == ECONNREFUSED)
    try await proxy.setWelcome(.silence)
    let client = try client(patience: .milliseconds(200))
    try client.send("hello?\n")
    #expect(code { () throws(SystemError) in _ = try client.line() } == EAGAIN)
    try await proxy.setWelcome(.pass)
    let next = try self.client()
    try next.send("b\n")
    #expect(try next.line() == "b")
    await proxy.close()
  }

  @Test func aBlackHoleLetsNobodyConnect() async throws {
    try await proxy.setWelcome(.blackHole)
    let error = code { () throws(SystemError) in _ = try BlockingClient(port: proxy.port, patience: .milliseconds(200))
    }
    #expect(error == EINPROGRESS || error == EAGAIN, "\(error)")
    try await proxy.setWelcome(.pass)
    let next = try client()
    try next.send("b\n")
    #expect(try next.line() == "b")
    await proxy.close()
  }

  @Test func goesToAnotherTarget() async throws {
    let (other, port) = try await EchoServer.start()
    server.kill()
    await proxy.setTarget(port.number)
    let client = try client()
    try client.send("a\n")
    #expect(try client.line() == "a")
    other.kill()
    await proxy.close()
  }
}
