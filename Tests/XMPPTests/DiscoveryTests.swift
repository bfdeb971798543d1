import ParleyRuntime
import ParleyTLS
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// Where the server is, by a real name server.
@Suite struct DiscoveryTests {
  private static let clear = "_xmpp-client._tcp.chat.test"
  private static let direct = "_xmpps-client._tcp.chat.test"

  private func candidates(
    _ records: [NameServer.Service], _ loop: EventLoop, isolation: isolated (any Actor)? = #isolation
  ) async throws -> [String] {
    let server = try await NameServer.start(records)
    defer { server.process.kill() }
    let negotiation = try Self.negotiation(server, loop)
    return await negotiation.candidates().map { "\($0.isDirect ? "tls " : "")\($0.host):\($0.port)" }
  }

  private static func negotiation(_ server: NameServer, _ loop: EventLoop) throws -> Negotiation {
    var settings = Settings(defaultsOf: XMPPOptions.description.schema)
    settings["domain"] = .string(ProsodyServer.domain)
    var options = try XMPPOptions(settings)
    options.nameServer = ServiceRecords.NameServer(port: UInt16(server.port))
    return Negotiation(
      options: options, loop: loop, context: try TLSContext(TLSOptions()),
      deadline: loop.now.advanced(by: .seconds(20)), resource: "x", resumable: nil)
  }

  @Test func recordsSayWhere() async throws {
    try await onLoop { loop in
      let ordered = try await candidates(
        [
          .init(Self.clear, host: "late.test", port: 5222, priority: 20),
          .init(Self.clear, host: "first.test", port: 5222, priority: 5),
          .init(Self.direct, host: "second.test", port: 443, priority: 10),
        ], loop)
      #expect(ordered == ["first.test:5222", "tls second.test:443", "late.test:5222"])
      let absent = try await candidates([], loop)
      #expect(absent == ["chat.test:5222"], "without records the domain itself")
      let none = try await candidates([.init(Self.clear, host: "")], loop)
      #expect(none.isEmpty, "decidedly not offered")
      let direct = try await candidates(
        [.init(Self.clear, host: ""), .init(Self.direct, host: "x.test", port: 1)], loop)
      #expect(direct == ["tls x.test:1"])
    }
  }

  @Test func weightsShareTheLoad() async throws {
    try await onLoop { loop in
      let server = try await NameServer.start([
        .init(Self.clear, host: "heavy.test", port: 1, priority: 1, weight: 90),
        .init(Self.clear, host: "light.test", port: 1, priority: 1, weight: 10),
      ])
      let negotiation = try Self.negotiation(server, loop)
      var heavy = 0
      for _ in 0..<150 where await negotiation.candidates().first?.host == "heavy.test" { heavy += 1 }
      // Nine in ten are expected; a number outside this range comes once in ten million runs.
      #expect((110..<150).contains(heavy), "\(heavy) of 150")
      server.process.kill()
    }
  }

  @Test func connectsWhereTheyPoint() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let silent = try await FaultProxy.start(to: store.server.port)
      try await silent.setWelcome(.refuse)
      let name = try await NameServer.start([
        .init(Self.clear, host: "localhost", port: silent.port, priority: 1),
        .init(Self.direct, host: "localhost", port: store.server.tlsPort, priority: 2),
        .init(Self.clear, host: "localhost", port: store.server.port, priority: 3),
      ])
      var settings = store.settings()
      settings["service"] = nil
      var options = try XMPPOptions(settings)
      options.nameServer = ServiceRecords.NameServer(port: UInt16(name.port))
      let backend = XMPPBackend(loop: loop, options: options)
      try await backend.connect { _ in }
      _ = try await backend.post(draft("found"), deadline: loop.now.advanced(by: .seconds(20)))
      await backend.disconnect()
      name.process.kill()

      let none = try await NameServer.start([.init(Self.clear, host: ""), .init(Self.direct, host: "")])
      options.nameServer = ServiceRecords.NameServer(port: UInt16(none.port))
      do {
        try await XMPPBackend(loop: loop, options: options).connect { _ in }
        Issue.record("it connected")
      } catch let error as SeamError {
        #expect(error.code == .unavailable && error.cause.contains("offers no XMPP"), "\(error)")
      }
      none.process.kill()
      await silent.close()
      await store.end()
    }
  }
}
