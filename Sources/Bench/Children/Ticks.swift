import Glibc

/// Nanoseconds of the monotonic clock.
typealias Nanoseconds = UInt64

/// The monotonic clock's time now.
func now() -> Nanoseconds {
  var time = timespec()
  unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
