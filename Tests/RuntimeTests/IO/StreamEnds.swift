import CLinux
import Glibc
import ParleyRuntime
import ParleyTestKit

/// A listening socket on the loop; hands out accepted streams in order.
final class Listener: @unchecked Sendable {  // confined to its loop
  let endpoint: Endpoint
  let port: Int
  let loop: EventLoop
  private let descriptor: CInt
  private var watch: Watch?
  private var accepted: [CInt] = []
  private let changed: Waiters<Void>

  init(loop: EventLoop, path: String? = nil, backlog: CInt = 16, accepts: Bool = true) throws {
    self.loop = loop
    changed = Waiters(loop: loop)
    let kind = CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = try SystemError.check("socket", socket(path == nil ? AF_INET : AF_UNIX, kind, 0))
    if let path {
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      let bound = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      try SystemError.check("bind", bound)
      endpoint = .unix(path: path)
      port = 0
    } else {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      let bound = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
          bind(descriptor, pointer, size) == 0 ? getsockname(descriptor, pointer, &size) : -1
        }
      }
      try SystemError.check("bind", bound)
      port = Int(UInt16(bigEndian: address.sin_port))
      endpoint = .tcp(host: "127.0.0.1", port: port)
    }
    self.descriptor = descriptor
    try SystemError.check("listen", listen(descriptor, backlog))
    if accepts { watch = try loop.watch(descriptor, for: .read) { [weak self] _ in self?.take() } }
  }

  deinit {
    let (loop, watch, descriptor) = (loop, watch, descriptor)
    loop.execute {
      if let watch { loop.unwatch(watch) }
      Glibc.close(descriptor)
    }
  }

  /// Stops listening; the port that nobody listens on now.
  func close() -> Int {
    if let watch { loop.unwatch(watch) }
    watch = nil
    shutdown(descriptor, CInt(SHUT_RDWR))
    return port
  }

  private func take() {
    let one = accept(descriptor, nil, nil)
    guard one >= 0 else { return }
    _ = fcntl(one, F_SETFL, O_NONBLOCK)
    accepted.append(one)
    changed.resumeAll(())
  }

  func next(isolation: isolated (any Actor)? = #isolation) async throws -> ByteStream {
    while accepted.isEmpty {
      guard case .value = await changed.wait(changed.ticket(), until: soon(loop)) else {
        throw SeamError(.timedOut, operation: "accept", cause: "nobody came")
      }
    }
    return ByteStream(loop: loop, descriptor: accepted.removeFirst(), endpoint: endpoint)
  }
}

func connectedPair(
  _ listener: Listener, queueLimit: Int = 4 << 20, isolation: isolated (any Actor)? = #isolation
) async throws -> (client: StreamEnd, server: StreamEnd) {
  let loop = listener.loop
  let client = try await ByteStream.connect(
    to: listener.endpoint, loop: loop, until: soon(loop), queueLimit: queueLimit)
  return (StreamEnd(client), StreamEnd(try await listener.next()))
}
