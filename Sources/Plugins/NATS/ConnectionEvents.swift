import CLinux
import ParleyRuntime
import Synchronization

/// What cnats tells of a connection, handed to its loop from whichever thread it came.
enum ConnectionEvent: Sendable {
  /// It is over: the last status of the library, and its text.
  case closed(NATSFailure)
  /// The server refused something without ending the connection, for example a publish that is not permitted.
  case refused(NATSFailure)
  /// The server is about to shut down.
  case lameDuck
}

/// Where cnats' callbacks of one connection arrive, on any thread.
///
/// cnats calls some of them after the connection was destroyed, so they find this by number (`ConnectionRegistry`)
/// instead of by address.
//
// @unchecked: the loop's own state is only touched on the loop; the rest does not change or is under the mutex.
final class ConnectionEvents: @unchecked Sendable {
  let loop: EventLoop
  private let descriptor = Mutex<CInt>(-1)
  /// On the loop: the library wants to write, or has nothing left to write.
  var onWriteWanted: ((Bool) -> Void)?
  /// On the loop: the descriptor must not be looked at any more.
  var onDetach: (() -> Void)?
  /// On the loop.
  var onEvent: ((ConnectionEvent) -> Void)?

  init(loop: EventLoop) { self.loop = loop }

  /// The socket; -1 before the connection stands.
  var socket: CInt { descriptor.withLock { $0 } }

  func attach(_ socket: CInt) { descriptor.withLock { $0 = socket } }

  /// At once where the library called on the loop, else there as soon as may be; so is `detach`.
  func wantWrite(_ isWanted: Bool) {
    if loop.isCurrent { onWriteWanted?(isWanted) } else { loop.execute { [self] in onWriteWanted?(isWanted) } }
  }

  func detach() {
    if loop.isCurrent { onDetach?() } else { loop.execute { [self] in onDetach?() } }
  }

  func tell(_ event: ConnectionEvent) { loop.execute { [self] in onEvent?(event) } }
}

/// The connections that callbacks may still be about, by number.
enum ConnectionRegistry {
  private struct Table {
    var last: UInt = 0
    var entries: [UInt: ConnectionEvents] = [:]
  }

  private static let table = Mutex(Table())

  static func add(_ events: ConnectionEvents) -> UInt {
    table.withLock { table in
      table.last += 1
      table.entries[table.last] = events
      return table.last
    }
  }

  static func remove(_ number: UInt) { table.withLock { $0.entries[number] = nil } }

  static func events(_ number: UInt) -> ConnectionEvents? { table.withLock { $0.entries[number] } }
}
