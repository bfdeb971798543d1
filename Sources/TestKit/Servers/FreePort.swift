import CLinux
import Glibc
import ParleyRuntime
import Synchronization

/// A TCP port of 127.0.0.1 that nobody listens on, and that no other test takes while this value lives.
///
/// It lies below the range that the kernel gives to outgoing connections (32768 and up), so that none of those sits on
/// it while a server is down for a moment.
public final class FreePort: Sendable {
  /// The port.
  public let number: Int
  private let reservation: CInt

  private static let range = 20_000..<30_000
  private static let next = Mutex(Int.random(in: range))

  /// Looks for a port and reserves it. Throws EADDRINUSE when all are taken.
  public init() throws(SystemError) {
    for _ in Self.range {
      let candidate = Self.next.withLock { next in
        defer { next = next + 1 < Self.range.upperBound ? next + 1 : Self.range.lowerBound }
        return next
      }
      guard let reservation = Self.reserve(candidate) else { continue }
      if Self.isFree(candidate) {
        number = candidate
        self.reservation = reservation
        return
      }
      close(reservation)
    }
    throw SystemError(operation: "look for a free port", code: EADDRINUSE)
  }

  deinit { close(reservation) }

  /// Binds an abstract Unix socket that stands for the port among processes; the kernel frees it with its holder.
  private static func reserve(_ port: Int) -> CInt? {
    let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
    guard descriptor >= 0 else { return nil }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let name = Array("\0parley-test-port-\(port)".utf8)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
    let length = MemoryLayout<sa_family_t>.size + name.count
    let isBound = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, UInt32(length)) }
    }
    guard isBound == 0 else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  private static func isFree(_ port: Int) -> Bool {
    guard let listener = try? LocalSocket.listen(port: port) else { return false }
    LocalSocket.close(listener: listener)
    return true
  }
}
