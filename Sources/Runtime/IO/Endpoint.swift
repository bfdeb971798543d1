import Glibc

/// Where a stream leads.
package enum Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A host name or a numeric address (IPv6 without brackets), and a port.
  case tcp(host: String, port: Int)
  /// The path of a Unix domain socket.
  case unix(path: String)

  package var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): path
    }
  }
}

/// One address as the kernel takes it.
struct SocketAddress: Hashable, Sendable {
  let family: CInt
  let bytes: [UInt8]

  init(family: CInt, bytes: [UInt8]) {
    self.family = family
    self.bytes = bytes
  }

  /// The address of a Unix socket; nil when the path does not fit into `sockaddr_un` (107 bytes) or holds NUL.
  init?(unixPath path: String) {
    let path = Array(path.utf8)
    guard (1...107).contains(path.count), !path.contains(0) else { return nil }
    family = AF_UNIX
    // struct sockaddr_un of unix(7): the family in native order, then the path with its NUL.
    bytes = [UInt8(truncatingIfNeeded: AF_UNIX), UInt8(truncatingIfNeeded: AF_UNIX >> 8)].nativeOrder + path + [0]
  }

  /// Opens a non-blocking socket and begins to connect it: the descriptor, which may still be connecting.
  func beginConnect() throws(SystemError) -> CInt {
    let kind = CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = try SystemError.check("socket", socket(family, kind, 0))
    let result = unsafe bytes.withUnsafeBytes { raw in
      guard let base = raw.baseAddress else { return CInt(-1) }
      return unsafe connect(descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
    }
    if result == 0 || errno == EINPROGRESS { return descriptor }
    let error = SystemError.last("connect")
    close(descriptor)
    throw error
  }
}

extension [UInt8] {
  fileprivate var nativeOrder: [UInt8] { 1.littleEndian == 1 ? self : reversed() }
}
