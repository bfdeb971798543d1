import CLinux
import Glibc

/// A listening TCP or Unix socket on an event loop; confined to it.
///
/// When descriptors or memory run out, connections wait in the kernel's queue for a moment and are then tried again.
//
// @unchecked: confined to the loop's thread.
package final class Listener: @unchecked Sendable {
  /// Where it listens; the kernel's port where 0 was asked for.
  package let endpoint: Endpoint
  private let loop: EventLoop
  private let descriptor: CInt
  private let accepted: (CInt, IPAddress?) -> Void
  private var watch: Watch?
  private var retry: LoopTimer?
  private var isOpen = true
  private var lastComplaint: LoopInstant?

  private static let acceptsPerTurn = 64
  private static let backlog: CInt = 1024

  /// Binds and listens, and gives each connection (non-blocking, closed on exec) to `accepted`, which owns it.
  ///
  /// IPv6 sockets take IPv6 alone. A Unix socket is the owner's alone (mode 0600); one that a dead process left is
  /// replaced. Throws what the kernel refuses, EADDRINUSE where somebody listens there.
  package init(
    loop: EventLoop, endpoint: Endpoint, accepted: @escaping (CInt, IPAddress?) -> Void
  ) throws(SystemError) {
    self.loop = loop
    self.accepted = accepted
    descriptor = try Self.bind(endpoint)
    if case .tcp(let host, 0) = endpoint {
      self.endpoint = .tcp(host: host, port: Int(parley_bound_port(descriptor)))
    } else {
      self.endpoint = endpoint
    }
    do throws(SystemError) {
      try SystemError.check("listen on \(endpoint)", listen(descriptor, Self.backlog))
      try watchAgain()
    } catch {
      Glibc.close(descriptor)
      throw error
    }
  }

  private static func bind(_ endpoint: Endpoint) throws(SystemError) -> CInt {
    let operation = "listen on \(endpoint)"
    let address: SocketAddress?
    switch endpoint {
    case .tcp(let host, let port): address = Resolver.numericAddress(host, port: port)
    case .unix(let path):
      address = SocketAddress(unixPath: path)
      if let address { try removeStale(path, address) }
    }
    guard let address else { throw SystemError(operation: operation, code: EINVAL) }
    let kind = CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = try SystemError.check("socket", socket(address.family, kind, 0))
    var yes: CInt = 1
    let size = socklen_t(MemoryLayout<CInt>.size)
    if address.family != AF_UNIX { unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, size) }
    if address.family == AF_INET6 { unsafe setsockopt(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, &yes, size) }
    // Before bind(2), which gives the file the socket's mode: there is no moment in which others may connect.
    if address.family == AF_UNIX { fchmod(descriptor, 0o600) }
    let result = unsafe address.bytes.withUnsafeBytes { raw in
      guard let base = raw.baseAddress else { return CInt(-1) }
      return unsafe Glibc.bind(descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
    }
    guard result == 0 else {
      let error = SystemError.last(operation)
      Glibc.close(descriptor)
      throw error
    }
    return descriptor
  }

  /// Removes a socket that nobody listens on any more.
  private static func removeStale(_ path: String, _ address: SocketAddress) throws(SystemError) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return }
    do throws(SystemError) {
      Glibc.close(try address.beginConnect())
    } catch {
      if error.code == ECONNREFUSED { unsafe unlink(path) }
      return
    }
    throw SystemError(operation: "listen on \(path)", code: EADDRINUSE)
  }

  private func watchAgain() throws(SystemError) {
    guard isOpen, watch == nil else { return }
    watch = try loop.watch(descriptor, for: .read) { [weak self] _ in self?.accept() }
  }

  private func accept() {
    for _ in 0..<Self.acceptsPerTurn where isOpen {
      var address = [UInt8](repeating: 0, count: 16)
      var family: CInt = 0
      let connection = unsafe parley_accept_from(descriptor, &address, &family)
      if connection >= 0 {
        accepted(connection, family == AF_UNIX ? nil : IPAddress(bytes: address))
        continue
      }
      switch errno {
      case EAGAIN: return
      // Of the connection, not of the listener: the next may be good (accept(2), "Error handling").
      case EINTR, ECONNABORTED, ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP,
        ENETUNREACH, EPERM:
        continue
      default: return pause(SystemError.last("accept"))
      }
    }
  }

  private func pause(_ error: SystemError) {
    if lastComplaint.map({ $0.advanced(by: .seconds(10)) < loop.now }) ?? true {
      lastComplaint = loop.now
      Log.write(.warning, "no connection can be taken now", [("cause", error.description)])
    }
    if let watch { loop.unwatch(watch) }
    watch = nil
    retry = loop.schedule(after: .milliseconds(100)) { [weak self] in
      guard let self else { return }
      retry = nil
      do throws(SystemError) { try watchAgain() } catch { pause(error) }
    }
  }

  /// Takes no further connections; removes the file of a Unix socket.
  package func close() {
    guard isOpen else { return }
    isOpen = false
    if let watch { loop.unwatch(watch) }
    if let retry { loop.cancel(retry) }
    Glibc.close(descriptor)
    if case .unix(let path) = endpoint { unsafe unlink(path) }
  }
}
