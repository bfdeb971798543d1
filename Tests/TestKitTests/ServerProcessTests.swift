import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// What is done to servers from outside.
struct ServerProcessTests {
  @Test func startsStopsAndStartsAnew() async throws {
    let (server, port) = try await EchoServer.start()
    let first = try #require(server.id)
    try expectEcho(port)
    try await server.restart()
    #expect(server.id != first && kill(first, 0) != 0)
    try expectEcho(port)
    #expect(server.log == "echo up\necho up\n")
    await server.stop()
    #expect(server.id == nil && (try? BlockingClient(port: port.number)) == nil)
  }

  @Test func isKilledAndStartsAnew() async throws {
    let (server, port) = try await EchoServer.start()
    let client = try BlockingClient(port: port.number)
    server.kill()
    #expect(server.id == nil && (try? client.line()) == nil)
    try await server.start()
    try expectEcho(port)
  }

  @Test func hangsAndGoesOn() async throws {
    let (server, port) = try await EchoServer.start()
    let client = try BlockingClient(port: port.number, patience: .milliseconds(100))
    server.pause()
    try client.send("hello\n")
    #expect(throws: SystemError.self) { try client.line() }
    server.resume()
    #expect(try client.line() == "hello")
    // A paused one ends too when it is asked to.
    server.pause()
    await server.stop()
    #expect(server.id == nil)
  }

  @Test func goesWithItsLastReference() async throws {
    var server: ServerProcess? = try await EchoServer.start().process
    let id = try #require(server?.id)
    server = nil
    #expect(kill(id, 0) != 0 && errno == ESRCH)
  }

  @Test func whatEndsWhileItStartsIsToldWithItsLog() async throws {
    let server = ServerProcess(
      "broken", path: "/bin/sh", arguments: ["-c", "echo no such option; exit 1"], directory: try TemporaryDirectory()
    ) { false }
    let failure = await #expect(throws: ServerFailure.self) { try await server.start() }
    #expect(failure?.description.contains("no such option") == true, "\(String(describing: failure))")
  }

  @Test func whatIsNeverReadyIsKilledAndTold() async throws {
    let server = ServerProcess(
      "silent", path: "/bin/sleep", arguments: ["60"], directory: try TemporaryDirectory(),
      patience: .milliseconds(100)
    ) { false }
    let failure = await #expect(throws: ServerFailure.self) { try await server.start() }
    #expect(failure?.description.contains("not ready") == true && server.id == nil)
  }

  @Test func portsAreNeverGivenTwice() throws {
    let ports = try (0..<200).map { _ in try FreePort() }
    #expect(Set(ports.map(\.number)).count == 200)
  }

  private func expectEcho(_ port: FreePort) throws {
    let client = try BlockingClient(port: port.number)
    try client.send("ping\n")
    #expect(try client.line() == "ping")
  }
}
