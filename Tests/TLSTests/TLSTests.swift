import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyTLS

/// The engine over real streams against another TLS implementation's server.
@Suite struct TLSTests {
  @Test(arguments: ["TLSv1_3", "TLSv1_2"]) func echoes(version: String) async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("server", for: "DNS:localhost,IP:127.0.0.1")
      let peer = try await PythonPeer(loop: loop, certificates: certificates, name: "server", maximum: version)
      let context = try TLSContext(TLSOptions(authorityFile: certificates.path("ca.pem"), protocols: ["xmpp-client"]))
      let engine = try context.client(serverName: "localhost")
      let stream = try await ByteStream.connect(
        to: .tcp(host: "127.0.0.1", port: peer.port), loop: loop, until: soon(loop), cipher: engine)
      #expect(engine.version == version.replacing("_", with: "."))
      #expect(engine.chosenProtocol == "xmpp-client")
      #expect(await peer.says(loop) == "\(engine.version) localhost xmpp-client anonymous")
      #expect(stream.channelBinding?.count == 32)
      let end = StreamEnd(stream)
      stream.write(Array("over TLS".utf8))
      #expect(await end.read(8) == Array("over TLS".utf8))
      let large = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      stream.write(large)
      #expect(await end.read(large.count) == large)
      stream.close()
      #expect(await peer.says(loop) == "end", "the farewell must come before the end")
    }
  }

  @Test func pausingHoldsDecryptedTextBack() async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("server", for: "DNS:localhost")
      let peer = try await PythonPeer(loop: loop, certificates: certificates, name: "server")
      let context = try TLSContext(TLSOptions(authorityFile: certificates.path("ca.pem")))
      let stream = try await ByteStream.connect(
        to: .tcp(host: "127.0.0.1", port: peer.port), loop: loop, until: soon(loop),
        cipher: try context.client(serverName: "localhost"))
      let end = StreamEnd(stream)
      end.onReceive = { _ in stream.pauseReading() }
      let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      stream.write(large)
      #expect(await end.read(large.count, resuming: true) == large)
    }
  }

  @Test func anUntrustedAuthorityIsRefused() async throws {
    try await onLoop { loop in
      let (certificates, others) = (try await Certificates(loop: loop), try await Certificates(loop: loop))
      try await certificates.sign("server", for: "DNS:localhost")
      let error = try await handshakeFailure(loop, certificates, trusting: others.path("ca.pem"))
      #expect(error?.code == .unauthorized)
      #expect(error?.cause.contains("authority that is not trusted") == true, "\(String(describing: error))")
      let system = try await handshakeFailure(loop, certificates, trusting: nil)
      #expect(system?.code == .unauthorized)
    }
  }

  @Test func aWrongHostNameIsRefused() async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("server", for: "DNS:other.example,IP:127.0.0.9")
      for name in ["localhost", "127.0.0.1"] {
        let error = try await handshakeFailure(loop, certificates, trusting: certificates.path("ca.pem"), name: name)
        #expect(error?.code == .unauthorized)
        #expect(error?.cause.contains("is not for '\(name)'") == true, "\(String(describing: error))")
      }
    }
  }

  @Test func anExpiredCertificateIsRefused() async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("server", for: "DNS:localhost", days: -1)
      let error = try await handshakeFailure(loop, certificates, trusting: certificates.path("ca.pem"))
      #expect(error?.code == .unauthorized)
      #expect(error?.cause == "the server's certificate has expired")
    }
  }

  @Test func versionsBefore12AreNotSpoken() async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("server", for: "DNS:localhost")
      let error = try await handshakeFailure(
        loop, certificates, trusting: certificates.path("ca.pem"), maximum: "TLSv1_1")
      #expect(error?.code == .unavailable, "\(String(describing: error))")
    }
  }

  @Test(arguments: ["TLSv1_3", "TLSv1_2"]) func aClientCertificateIsShown(version: String) async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("server", for: "DNS:localhost")
      try await certificates.sign("client", for: "DNS:client")
      let peer = try await PythonPeer(
        loop: loop, certificates: certificates, name: "server", demands: true, maximum: version)
      let context = try await TLSContext.load(
        TLSOptions(
          authorityFile: certificates.path("ca.pem"), certificateFile: certificates.path("client.pem"),
          keyFile: certificates.path("client.key")), loop: loop, until: soon(loop))
      let stream = try await ByteStream.connect(
        to: .tcp(host: "127.0.0.1", port: peer.port), loop: loop, until: soon(loop),
        cipher: try context.client(serverName: "localhost"))
      #expect(await peer.says(loop)?.hasSuffix("cert") == true)
      let end = StreamEnd(stream)
      stream.write([1])
      #expect(await end.read(1) == [1])
      stream.close()
      #expect(await peer.says(loop) == "end")
      // Without one the server says so: in the handshake (1.2) or right after it (1.3).
      let bare = try TLSContext(TLSOptions(authorityFile: certificates.path("ca.pem")))
      let error = await failure {
        let stream = try await ByteStream.connect(
          to: .tcp(host: "127.0.0.1", port: peer.port), loop: loop, until: soon(loop),
          cipher: try bare.client(serverName: "localhost"))
        let end = StreamEnd(stream)
        _ = await end.closed()
        if let error = end.closeError { throw error }
      }
      // TLS 1.2 has no alert for a missing certificate.
      #expect(error?.code == (version == "TLSv1_3" ? .unauthorized : .unavailable), "\(String(describing: error))")
    }
  }

  @Test func filesThatCannotBeUsedAreNamed() async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("a", for: "DNS:a")
      try await certificates.sign("b", for: "DNS:b")
      for options in [
        TLSOptions(authorityFile: "/no/such/ca.pem"), TLSOptions(certificateFile: certificates.path("ca.key")),
        TLSOptions(certificateFile: certificates.path("a.pem"), keyFile: certificates.path("b.key")),
      ] {
        let error = await failure { try TLSContext(options) }
        #expect(error?.code == .invalidRequest)
        #expect(error?.cause.contains("cannot be used") == true)
      }
    }
  }

  @Test func upgradesInMidStream() async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("server", for: "DNS:localhost")
      let peer = try await PythonPeer(loop: loop, certificates: certificates, name: "server", mode: "starttls")
      let context = try TLSContext(TLSOptions(authorityFile: certificates.path("ca.pem")))
      let stream = try await ByteStream.connect(
        to: .tcp(host: "127.0.0.1", port: peer.port), loop: loop, until: soon(loop))
      let end = StreamEnd(stream)
      upgrade(end, after: 7, with: try context.client(serverName: "localhost"))
      stream.write(Array("starttls".utf8))
      _ = await end.read(7)
      try await stream.secured(until: soon(loop))
      #expect(await peer.says(loop)?.hasPrefix("TLSv1.3") == true)
      stream.write(Array("secret".utf8))
      #expect(await end.read(6) == Array("secret".utf8))
    }
  }

  @Test func clearTextBehindTheUpgradeIsRefused() async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("server", for: "DNS:localhost")
      let peer = try await PythonPeer(loop: loop, certificates: certificates, name: "server", mode: "injected")
      let context = try TLSContext(TLSOptions(authorityFile: certificates.path("ca.pem")))
      let stream = try await ByteStream.connect(
        to: .tcp(host: "127.0.0.1", port: peer.port), loop: loop, until: soon(loop))
      let end = StreamEnd(stream)
      upgrade(end, after: 7, with: try context.client(serverName: "localhost"))
      stream.write(Array("starttls".utf8))
      #expect(await end.closed() == .unauthorized)
      #expect(!stream.isOpen)
    }
  }

  @Test func aServerWithoutTLSIsNamed() async throws {
    try await onLoop { loop in
      let certificates = try await Certificates(loop: loop)
      try await certificates.sign("server", for: "DNS:localhost")
      let child = try ChildProcess(
        loop: loop, path: "/usr/bin/env",
        arguments: [
          "python3", "-u", "-c",
          "import socket; l=socket.socket(); l.bind(('127.0.0.1',0)); l.listen(); print(l.getsockname()[1]); "
            + "s,_=l.accept(); s.recv(9999); s.sendall(b'-ERR what is this?\\r\\n'); s.recv(9999)",
        ])
      let port = try #require(Int(await child.nextLine(until: soon(loop)) ?? ""))
      let context = try TLSContext(TLSOptions(authorityFile: certificates.path("ca.pem")))
      let error = await failure {
        try await ByteStream.connect(
          to: .tcp(host: "127.0.0.1", port: port), loop: loop, until: soon(loop),
          cipher: try context.client(serverName: "localhost"))
      }
      #expect(error?.code == .unavailable)
      #expect(error?.cause == "the server does not speak TLS on this port", "\(String(describing: error))")
    }
  }

  /// Upgrades from within the reading callback when so many bytes have come.
  private func upgrade(_ end: StreamEnd, after count: Int, with cipher: any StreamCipher) {
    end.onReceive = { [unowned end] received in
      guard received.count >= count else { return }
      end.onReceive = nil
      // The stream fails by itself where there is more.
      try? end.stream.upgrade(with: cipher, unreadBytes: received.count - count)
    }
  }

  private func handshakeFailure(
    _ loop: EventLoop, _ certificates: Certificates, trusting authority: String?, name: String = "localhost",
    maximum: String = "TLSv1_3", isolation: isolated (any Actor)? = #isolation
  ) async throws -> SeamError? {
    let peer = try await PythonPeer(loop: loop, certificates: certificates, name: "server", maximum: maximum)
    let context = try TLSContext(TLSOptions(authorityFile: authority))
    return await failure {
      try await ByteStream.connect(
        to: .tcp(host: "127.0.0.1", port: peer.port), loop: loop, until: soon(loop),
        cipher: try context.client(serverName: name))
    }
  }
}
