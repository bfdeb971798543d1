import CLinux
import Glibc
import Synchronization

/// A point on a loop's monotonic clock.
public struct LoopInstant: Comparable, Hashable, Sendable {
  /// Nanoseconds since an arbitrary start.
  public let nanoseconds: Int64

  /// Wraps a reading.
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// The instant `duration` later; saturates instead of overflowing.
  public func advanced(by duration: Duration) -> LoopInstant {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(duration.nanoseconds)
    return LoopInstant(nanoseconds: overflow ? .max : sum)
  }

  /// The time from this instant to `other`, negative when `other` is earlier.
  public func duration(to other: LoopInstant) -> Duration { .nanoseconds(other.nanoseconds - nanoseconds) }

  public static func < (a: LoopInstant, b: LoopInstant) -> Bool { a.nanoseconds < b.nanoseconds }
}

extension Duration {
  /// Whole nanoseconds, saturating at about 292 years.
  public var nanoseconds: Int64 {
    Int64(clamping: attoseconds / 1_000_000_000)
  }

  /// Whole milliseconds, rounded down.
  public var milliseconds: Int64 { nanoseconds / 1_000_000 }
}

/// The clock of one loop: the system's, or a virtual one that only `advance(to:)` moves.
final class LoopClock: Sendable {
  let isVirtual: Bool
  private let virtualNow = Atomic<Int64>(0)
  /// Virtual time starts at 2026-01-01T00:00:00Z, so that simulated time stamps are readable and never vary.
  private static let virtualEpoch: Int64 = 1_767_225_600_000

  init(virtual: Bool) { isVirtual = virtual }

  var now: LoopInstant {
    LoopInstant(nanoseconds: isVirtual ? virtualNow.load(ordering: .relaxed) : read(CLOCK_MONOTONIC))
  }

  var wallClockMilliseconds: Int64 {
    isVirtual
      ? Self.virtualEpoch + virtualNow.load(ordering: .relaxed) / 1_000_000
      : read(CLOCK_REALTIME) / 1_000_000
  }

  func advance(to instant: LoopInstant) {
    if instant > now { virtualNow.store(instant.nanoseconds, ordering: .relaxed) }
  }

  private func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
