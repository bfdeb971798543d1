import CLinux
import Glibc
import ParleyRuntime

/// One connection through a `FaultProxy`: two sockets and what is under way between them. Used on the proxy's loop alone.
final class ProxyLink {
  /// One direction: bytes that were read and wait for their time or for room.
  private struct Pipe {
    var chunks: [(due: LoopInstant, bytes: ArraySlice<UInt8>)] = []
    var waiting = 0
    /// The reading side has ended; the writing side ends when all is written.
    var isEnded = false
    var isShut = false
    var timer: LoopTimer?
  }

  private let loop: EventLoop
  private let client: CInt
  private let server: CInt
  private let admit: (FaultProxy.Direction, Int) -> Int
  private let ended: () -> Void
  private var flow = FaultProxy.Flow.pass
  private var delay = Duration.zero
  private var pipes: [FaultProxy.Direction: Pipe] = [.toServer: Pipe(), .toClient: Pipe()]
  private var watches: [CInt: Watch] = [:]
  private var isCut = false

  /// A direction with more than this under way reads no more.
  private static let bound = 1 << 20

  /// Takes both sockets; `server` -1 is a server that never answers. `admit` says how many bytes may pass: fewer than
  /// there are means that the link is cut behind them.
  init(
    loop: EventLoop, client: CInt, server: CInt, admit: @escaping (FaultProxy.Direction, Int) -> Int,
    ended: @escaping () -> Void
  ) {
    self.loop = loop
    self.client = client
    self.server = server
    self.admit = admit
    self.ended = ended
    for descriptor in [client, server] where descriptor >= 0 {
      var yes: CInt = 1
      // 6 is IPPROTO_TCP: a proxy that gathers small packets would measure Nagle's algorithm.
      unsafe setsockopt(descriptor, 6, TCP_NODELAY, &yes, UInt32(MemoryLayout<CInt>.size))
      watches[descriptor] = try? loop.watch(descriptor, for: []) { [weak self] ready in
        self?.handle(descriptor, ready)
      }
    }
  }

  deinit { if !isCut { for descriptor in [client, server] where descriptor >= 0 { close(descriptor) } } }

  /// Sets the faults that hold from now on.
  func apply(_ flow: FaultProxy.Flow, _ delay: Duration) {
    self.flow = flow
    self.delay = delay
    if flow == .pass { for direction in FaultProxy.Direction.allCases { write(direction) } }
    updateInterest()
  }

  /// Ends both sides with a reset.
  func cut() {
    guard !isCut else { return }
    isCut = true
    for pipe in pipes.values { if let timer = pipe.timer { loop.cancel(timer) } }
    for watch in watches.values { loop.unwatch(watch) }
    watches = [:]
    for descriptor in [client, server] where descriptor >= 0 { Self.reset(descriptor) }
    ended()
  }

  /// Closes a socket with a reset: without lingering, the kernel says so at once (socket(7)).
  static func reset(_ descriptor: CInt) {
    var now = linger(l_onoff: 1, l_linger: 0)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, UInt32(MemoryLayout<linger>.size))
    close(descriptor)
  }

  private func source(_ direction: FaultProxy.Direction) -> CInt { direction == .toServer ? client : server }
  private func target(_ direction: FaultProxy.Direction) -> CInt { direction == .toServer ? server : client }

  private func handle(_ descriptor: CInt, _ ready: Readiness) {
    let incoming: FaultProxy.Direction = descriptor == client ? .toServer : .toClient
    let outgoing: FaultProxy.Direction = descriptor == client ? .toClient : .toServer
    if ready.contains(.write) { write(outgoing) }
    if !isCut, ready.contains(.read) || ready.contains(.hangUp) {
      // A hang-up is reported whatever is waited for: on a stalled link it is heard no more.
      if flow != .stall { read(incoming) } else if ready.contains(.hangUp) { forget(incoming) }
    }
    if !isCut { updateInterest() }
  }

  private func read(_ direction: FaultProxy.Direction) {
    guard pipes[direction]?.isEnded == false else { return forget(direction) }
    var chunk = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe recv(source(direction), &chunk, chunk.count, 0)
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    guard count >= 0 else { return flow == .swallow ? forget(direction) : cut() }
    if count == 0 {
      guard flow == .pass, server >= 0 else { return forget(direction) }
      pipes[direction]?.isEnded = true
      return write(direction)
    }
    guard flow == .pass, server >= 0 else { return }
    let admitted = admit(direction, count)
    pipes[direction]?.chunks.append((loop.now.advanced(by: delay), chunk[..<admitted]))
    pipes[direction]?.waiting += admitted
    write(direction)
    if admitted < count { cut() }
  }

  /// A side that has gone is heard no more; the other is not told.
  private func forget(_ direction: FaultProxy.Direction) {
    pipes[direction]?.isEnded = true
    if let watch = watches.removeValue(forKey: source(direction)) { loop.unwatch(watch) }
    if watches.isEmpty { cut() }
  }

  private func write(_ direction: FaultProxy.Direction) {
    guard flow == .pass, var pipe = pipes[direction], target(direction) >= 0 else { return }
    while let first = pipe.chunks.first {
      guard first.due <= loop.now else {
        if pipe.timer == nil {
          pipe.timer = loop.schedule(after: loop.now.duration(to: first.due)) { [weak self] in
            self?.pipes[direction]?.timer = nil
            self?.write(direction)
            if self?.isCut == false { self?.updateInterest() }
          }
        }
        break
      }
      let count = unsafe first.bytes.withUnsafeBytes {
        unsafe send(target(direction), $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
      }
      if count < 0, errno == EAGAIN || errno == ENOTCONN { break }
      guard count >= 0 else { return cut() }
      pipe.waiting -= count
      if count == first.bytes.count {
        pipe.chunks.removeFirst()
      } else {
        pipe.chunks[0].bytes = first.bytes.dropFirst(count)
      }
    }
    if pipe.isEnded, pipe.chunks.isEmpty, !pipe.isShut {
      pipe.isShut = true
      shutdown(target(direction), CInt(SHUT_WR))
    }
    pipes[direction] = pipe
    if pipes.values.allSatisfy(\.isShut) { cut() }
  }

  private func updateInterest() {
    for (descriptor, watch) in watches {
      let incoming: FaultProxy.Direction = descriptor == client ? .toServer : .toClient
      let outgoing: FaultProxy.Direction = descriptor == client ? .toClient : .toServer
      var interest: Readiness = []
      if let pipe = pipes[incoming], flow != .stall, !pipe.isEnded, pipe.waiting < Self.bound { interest.insert(.read) }
      if let first = pipes[outgoing]?.chunks.first, flow == .pass, first.due <= loop.now { interest.insert(.write) }
      loop.rewatch(watch, for: interest)
    }
  }
}
