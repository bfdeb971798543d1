import CFloors
import Glibc

/// Ends a blocking read that waits for ever: an alarm whose only effect is that the call returns.
///
/// A `poll` before each read would cost a system call per measured round trip.
enum Watchdog {
  /// Makes alarms interrupt system calls, and broken pipes an error instead of the end of the program.
  static func install() { bench_signals() }

  /// Runs `body` with at most `seconds` for it.
  static func limit<T>(seconds: UInt32, _ body: () throws(BenchError) -> T) throws(BenchError) -> T {
    alarm(seconds)
    defer { alarm(0) }
    return try body()
  }
}
