extension ByteStream {
  /// Connects, and with a cipher completes its handshake; nothing is read before `start`.
  ///
  /// Throws `unavailable` with the cause, `unauthorized` when a certificate is refused, `cancelled`.
  package static func connect(
    to endpoint: Endpoint, loop: EventLoop, until deadline: LoopInstant, cipher: (any StreamCipher)? = nil,
    queueLimit: Int = 4 << 20, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> ByteStream {
    let addresses: [SocketAddress]
    switch endpoint {
    case .tcp(let host, let port):
      addresses = try await Resolver.addresses(of: host, port: port, loop: loop, until: deadline)
    case .unix(let path):
      guard let address = SocketAddress(unixPath: path) else {
        throw SeamError(
          .invalidRequest, operation: "connect to \(path)", cause: "the path of a Unix socket has 1 to 107 bytes")
      }
      addresses = [address]
    }
    let connector = Connector(loop: loop, endpoint: endpoint, addresses: addresses)
    let descriptor = try await connector.run(until: deadline)
    let stream = ByteStream(loop: loop, descriptor: descriptor, endpoint: endpoint, queueLimit: queueLimit)
    if let cipher {
      do throws(SeamError) {
        try stream.upgrade(with: cipher)
        try await stream.secured(until: deadline)
      } catch {
        stream.close()
        throw error
      }
    }
    return stream
  }
}
