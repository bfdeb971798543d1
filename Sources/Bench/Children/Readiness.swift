import CLinux
import Glibc

/// Waits until any of several children or connections has output.
struct Readiness {
  private var descriptors: [pollfd]

  init(_ peers: [Peer]) { self.init(descriptors: peers.map(\.process.output)) }

  init(descriptors: [CInt]) {
    self.descriptors = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
  }

  /// The places of those that have output or have ended; none when `milliseconds` have passed.
  mutating func wait(milliseconds: Int) -> [Int] {
    let count = unsafe poll(&descriptors, nfds_t(descriptors.count), CInt(milliseconds))
    return count > 0 ? descriptors.indices.filter { descriptors[$0].revents != 0 } : []
  }
}
