import CLinux
import Glibc

/// What a descriptor is ready for, or what a watch waits for.
public struct Readiness: OptionSet, Sendable {
  public let rawValue: UInt8

  /// Makes a set from its bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Bytes, a connection, or end of stream can be read.
  public static let read = Readiness(rawValue: 1)
  /// Bytes can be written.
  public static let write = Readiness(rawValue: 2)
  /// The other side hung up, or the descriptor is in error; always reported.
  public static let hangUp = Readiness(rawValue: 4)
}

/// A registered descriptor, from `EventLoop.watch`.
public struct Watch: Hashable, Sendable {
  let token: UInt64
}

/// Epoll and the event descriptor that wakes it; confined to the loop's thread, but for `wakeUp`.
final class Poller {
  private struct Slot {
    var descriptor: CInt
    /// Part of the epoll token, so that an event fetched for an earlier owner of the slot is not delivered to this one.
    var generation: UInt32
    var handler: ((Readiness) -> Void)?
  }

  private let epoll: CInt
  private let wake: CInt
  private var slots: [Slot] = []
  private var free: [Int] = []
  private var events = [parley_ready](repeating: parley_ready(), count: 128)
  private static let wakeToken = UInt64.max

  init() throws(SystemError) {
    epoll = try SystemError.check("epoll_create1", parley_epoll_create())
    wake = try SystemError.check("eventfd", parley_eventfd())
    try SystemError.check("epoll_ctl", parley_epoll_add(epoll, wake, parley_epoll_edge(), Self.wakeToken))
  }

  deinit {
    close(wake)
    close(epoll)
  }

  var isWatching: Bool { slots.count > free.count }

  /// May be called from any thread.
  func wakeUp() {
    var one: UInt64 = 1
    _ = unsafe write(wake, &one, 8)
  }

  func add(_ descriptor: CInt, _ interest: Readiness, _ handler: @escaping (Readiness) -> Void) throws(SystemError)
    -> Watch
  {
    let index = free.popLast() ?? slots.count
    if index == slots.count { slots.append(Slot(descriptor: -1, generation: 0, handler: nil)) }
    let token = UInt64(slots[index].generation) << 32 | UInt64(index)
    guard parley_epoll_add(epoll, descriptor, interest.epollBits, token) == 0 else {
      let error = SystemError.last("epoll_ctl")
      free.append(index)
      throw error
    }
    slots[index].descriptor = descriptor
    slots[index].handler = handler
    return Watch(token: token)
  }

  func modify(_ watch: Watch, _ interest: Readiness) {
    guard let index = index(of: watch.token) else { return }
    _ = parley_epoll_modify(epoll, slots[index].descriptor, interest.epollBits, watch.token)
  }

  func remove(_ watch: Watch) {
    guard let index = index(of: watch.token) else { return }
    _ = parley_epoll_remove(epoll, slots[index].descriptor)
    slots[index].handler = nil
    slots[index].descriptor = -1
    slots[index].generation &+= 1
    free.append(index)
  }

  /// Waits at most `timeout` (nil: for ever), and calls the handlers of what is ready.
  func poll(timeout: Duration?) {
    let count = wait(timeout)
    for event in events.prefix(max(count, 0)) {
      let token = event.token
      // The wake-up is edge-triggered: every write is one event, and nobody has to read the counter back.
      if token == Self.wakeToken { continue }
      if let index = index(of: token), let handler = slots[index].handler {
        handler(Readiness(epollBits: event.events))
      }
    }
  }

  /// Negative results (EINTR) count as nothing ready.
  private func wait(_ timeout: Duration?) -> Int {
    Int(unsafe parley_epoll_wait(epoll, &events, CInt(events.count), timeout.map { max($0.nanoseconds, 0) } ?? -1))
  }

  private func index(of token: UInt64) -> Int? {
    let index = Int(token & 0xffff_ffff)
    guard index < slots.count, slots[index].generation == UInt32(token >> 32), slots[index].handler != nil else {
      return nil
    }
    return index
  }
}

extension Readiness {
  fileprivate var epollBits: UInt32 { parley_epoll_bits(contains(.read) ? 1 : 0, contains(.write) ? 1 : 0) }

  fileprivate init(epollBits bits: UInt32) {
    self = []
    if parley_epoll_is_read(bits) != 0 { insert(.read) }
    if parley_epoll_is_write(bits) != 0 { insert(.write) }
    if parley_epoll_is_hang_up(bits) != 0 { insert(.hangUp) }
  }
}
