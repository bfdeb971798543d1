import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// Ways in, and what is told where there is none.
@Suite struct ServerTests {
  private func connect(
    _ settings: Settings, _ loop: EventLoop, isolation: isolated (any Actor)? = #isolation
  ) async throws -> XMPPBackend {
    let backend = XMPPBackend(loop: loop, options: try XMPPOptions(settings))
    try await backend.connect { _ in }
    return backend
  }

  private func expect(
    _ code: SeamError.Code, _ settings: Settings, _ loop: EventLoop, saying text: String,
    isolation: isolated (any Actor)? = #isolation
  ) async throws {
    do {
      let backend = try await connect(settings, loop)
      Issue.record("it connected: \(settings)")
      await backend.disconnect()
    } catch let error as SeamError {
      #expect(error.code == code && error.description.contains(text), "\(error)")
      #expect(!error.description.contains("pw-"), "\(error)")
    }
  }

  @Test func mechanismsAndBothKindsOfTLS() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      for direct in [false, true] {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"] {
          var settings = store.settings(direct: direct)
          settings["mechanisms"] = .strings([mechanism])
          let backend = try await connect(settings, loop)
          #expect(await backend.live?.session.mechanism.rawValue == mechanism)
          await backend.disconnect()
        }
      }
      let found = try await XMPPInspection.look(store.options())
      #expect(
        found.mechanism.hasPrefix("SCRAM-SHA-256") && found.canResume && found.hasRooms && !found.hasDefaultPassword)
      #expect(
        found.software?.hasPrefix("Prosody") == true && found.clockSkew.map { abs($0.milliseconds) <= 1000 } == true)
      await store.end()
    }
  }

  @Test func wrongCredentialsAndCertificates() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let certificates = try await TestCertificates.make()
      for direct in [false, true] {
        var settings = store.settings(direct: direct)
        settings["password"] = .string("pw-wrong")
        try await expect(.unauthorized, settings, loop, saying: "not-authorized")
        settings = store.settings(direct: direct)
        settings["username"] = .string("nobody")
        try await expect(.unauthorized, settings, loop, saying: "not-authorized")
        settings = store.settings(direct: direct)
        settings["tls_ca_file"] = .string(certificates.wrongAuthority)
        try await expect(.unauthorized, settings, loop, saying: "authority that is not trusted")
        settings = store.settings(direct: direct)
        settings["tls_server_name"] = .string("elsewhere.test")
        try await expect(.unauthorized, settings, loop, saying: "for 'elsewhere.test'")
      }
      var settings = store.settings()
      settings["domain"] = .string("unknown.test")
      settings["tls_server_name"] = .string("chat.test")
      try await expect(.invalidRequest, settings, loop, saying: "host-unknown")
      settings = store.settings()
      settings["muc_service"] = .string("nowhere.chat.test")
      let backend = try await connect(settings, loop)
      let deadline = loop.now.advanced(by: .seconds(10))
      do {
        _ = try await backend.post(draft("x"), deadline: deadline)
        Issue.record("it posted")
      } catch let error as SeamError { #expect(!error.code.isTransient || error.code == .unavailable, "\(error)") }
      await backend.disconnect()
      await store.end()
    }
  }

  @Test func aServerWithoutTLSGetsNoPassword() async throws {
    try await onLoop { loop in
      var options = ProsodyServer.Options()
      options.hasTLS = false
      let store = try await TestStore(options)
      try await expect(.unsupported, store.settings(), loop, saying: "offers no TLS")
      await store.end()
    }
  }

  @Test func aServerOfAnotherProtocol() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      // STARTTLS spoken to a port that begins with TLS, and the other way round.
      var settings = store.settings()
      settings["service"] = .string("xmpp://127.0.0.1:\(store.server.tlsPort)")
      settings["timeout_ms"] = .integer(1000)
      try await expect(.unavailable, settings, loop, saying: "127.0.0.1")
      settings["service"] = .string("xmpps://127.0.0.1:\(store.server.port)")
      try await expect(.unavailable, settings, loop, saying: "does not speak TLS")
      await store.end()
    }
  }

  @Test func aRoomWithoutAnArchive() async throws {
    try await onLoop { loop in
      var options = ProsodyServer.Options()
      options.hasArchive = false
      let store = try await TestStore(options)
      let backend = try await connect(store.settings(), loop)
      do {
        _ = try await backend.post(draft("x"), deadline: loop.now.advanced(by: .seconds(10)))
        Issue.record("it posted")
      } catch let error as SeamError {
        #expect(error.code == .unsupported && error.cause.contains("muc_mam"), "\(error)")
      }
      await backend.disconnect()
      await store.end()
    }
  }
}

/// A draft of `ada` with a key of its own.
func draft(_ content: String, on topic: String = "general", by handle: String = "ada") -> Draft {
  Draft(
    topic: Topic(topic), author: Author(handle: Handle(handle), instance: "\(handle)-1"), content: content,
    key: .generated("k-\(UInt64.random(in: .min ... .max))"))
}
