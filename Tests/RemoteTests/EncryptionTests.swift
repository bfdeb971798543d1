import ParleyRuntime
import ParleyTLS
import ParleyTestKit
import Testing

@testable import ParleyRemote

/// The door behind TLS of its own.
@Suite struct EncryptionTests {
  private static func maker(_ pair: TestCertificates.Pair) -> Result<CipherMaker, SeamError> {
    do throws(SeamError) {
      let context = try TLSContext(
        TLSOptions(certificateFile: pair.certificate, keyFile: pair.key), accepting: true)
      return .success({ try? context.server() })
    } catch { return .failure(error) }
  }

  private static func health(_ world: RemoteWorld, trusting authority: String) async throws -> WebResponse {
    let context = try TLSContext(TLSOptions(authorityFile: authority))
    let client = WebClient(
      try await ByteStream.connect(
        to: world.endpoint, loop: world.loop, until: world.soon, cipher: context.client(serverName: "127.0.0.1")))
    defer { client.stream.close() }
    client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return try await client.response()
  }

  @Test func isServedEncryptedAndTheCertificateIsReadAnew() throws {
    let loop = try EventLoop(name: "certificates")
    let made = try loop.run { () async -> Result<TestCertificates, any Error> in
      do { return .success(try await TestCertificates.make()) } catch { return .failure(error) }
    }
    let certificates = try made.get()
    let first = try Self.maker(certificates.server).get()
    try RemoteWorld.use({ options in
      options.makeCipher = first
      options.loadCipher = { Self.maker(certificates.wrongHost) }
    }) { world async throws in
      #expect(try await Self.health(world, trusting: certificates.authority).status == 200)
      await #expect(throws: SeamError.self) {
        try await Self.health(world, trusting: certificates.wrongAuthority)
      }
      // Clear text is no handshake: closed, and nobody else is disturbed.
      let clear = try await world.begin("GET", "/healthz")
      try await clear.wait { clear.hasEnded }
      #expect(try await Self.health(world, trusting: certificates.authority).status == 200)
      // From now on with the certificate of another host.
      await world.server.reload()
      await #expect(throws: SeamError.self) {
        try await Self.health(world, trusting: certificates.authority)
      }
    }
  }
}
