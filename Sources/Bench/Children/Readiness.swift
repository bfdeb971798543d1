import CLinux
import Glibc

/// Waits until any of several children has output.
struct Readiness {
  private var descriptors: [pollfd]

  init(_ peers: [Peer]) {
    descriptors = peers.map { pollfd(fd: $0.process.output, events: Int16(POLLIN), revents: 0) }
  }

  /// The places of the peers that have output or have ended; none when `milliseconds` have passed.
  mutating func wait(milliseconds: Int) -> [Int] {
    let count = unsafe poll(&descriptors, nfds_t(descriptors.count), CInt(milliseconds))
    return count > 0 ? descriptors.indices.filter { descriptors[$0].revents != 0 } : []
  }
}
