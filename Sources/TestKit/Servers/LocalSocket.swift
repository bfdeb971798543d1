import CLinux
import Glibc
import ParleyRuntime

/// Sockets of 127.0.0.1 as the test kit opens them.
enum LocalSocket {
  /// A listening socket, non-blocking; port 0 lets the kernel choose.
  static func listen(port: Int, backlog: CInt = 128) throws(SystemError) -> CInt {
    let descriptor = try open(blocks: false)
    var yes: CInt = 1
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, UInt32(MemoryLayout<CInt>.size))
    guard unsafe withAddress(port, { unsafe bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, backlog) == 0
    else {
      let error = SystemError.last("listen on 127.0.0.1:\(port)")
      Glibc.close(descriptor)
      throw error
    }
    return descriptor
  }

  /// Frees a listening socket's port at once, also while a process that is being spawned still has a copy of it.
  static func close(listener: CInt) {
    shutdown(listener, CInt(SHUT_RDWR))
    Glibc.close(listener)
  }

  /// A connection: blocking, each call for at most `patience`, or (nil) non-blocking and maybe still on its way.
  static func connect(port: Int, patience: Duration?) throws(SystemError) -> CInt {
    let descriptor = try open(blocks: patience != nil)
    if let nanoseconds = patience?.nanoseconds {
      var time = timeval(tv_sec: Int(nanoseconds / 1_000_000_000), tv_usec: Int(nanoseconds % 1_000_000_000 / 1000))
      for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
        unsafe setsockopt(descriptor, SOL_SOCKET, option, &time, UInt32(MemoryLayout<timeval>.size))
      }
    }
    guard
      unsafe withAddress(port, { unsafe Glibc.connect(descriptor, $0, $1) }) == 0
        || (patience == nil && errno == EINPROGRESS)
    else {
      let error = SystemError.last("connect to 127.0.0.1:\(port)")
      Glibc.close(descriptor)
      throw error
    }
    return descriptor
  }

  /// The port that a listening socket has.
  static func port(of descriptor: CInt) throws(SystemError) -> Int {
    var address = sockaddr_in()
    var length = UInt32(MemoryLayout<sockaddr_in>.size)
    let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(descriptor, $0, &length)
      }
    }
    try SystemError.check("getsockname", code)
    return Int(UInt16(bigEndian: address.sin_port))
  }

  private static func open(blocks: Bool) throws(SystemError) -> CInt {
    // On Linux the flags of socket(2) are those of open(2).
    let kind = CInt(SOCK_STREAM.rawValue) | O_CLOEXEC
    return try SystemError.check(
      "socket", socket(AF_INET, blocks ? kind : kind | O_NONBLOCK, 0))
  }

  private static func withAddress(_ port: Int, _ body: (UnsafePointer<sockaddr>, UInt32) -> CInt) -> CInt {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, UInt32(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}
