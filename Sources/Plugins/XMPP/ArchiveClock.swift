/// Tells which whole second an archive will give as the time of a message that has just come live.
///
/// What comes live carries no time, and messages have whole seconds of the server's clock (Prosody's archive has nothing
/// finer). Each archived message that was seen live bounds how far that clock is from ours; while the bounds leave more
/// than one second possible, the archive must be asked.
struct ArchiveClock: Hashable, Sendable {
  /// Milliseconds by which the way from the stamp to here may take longer for one message than for another.
  private static let lateness: Int64 = 100
  private var least = Int64.min / 4
  private var most = Int64.max / 4

  init() {}

  /// Takes a message that arrived at `arrival` (our clock) and that the archive stamped `stamp`, in whole seconds or finer.
  mutating func learn(arrival: Int64, stamp: Int64) {
    let rest: Int64 = stamp % 1000 == 0 ? 999 : 0
    // The stamp was taken between `lateness` before the arrival and the arrival.
    let (low, high) = (stamp - arrival, stamp + rest - arrival + Self.lateness)
    least = max(least, low)
    most = min(most, high)
    // One of the clocks was set, or something was very late: begin anew.
    if least > most { (least, most) = (low, high) }
  }

  /// The stamp of a message that arrives now; nil where two seconds are possible.
  func stamp(arrival: Int64) -> Int64? {
    guard most - least < 1000 else { return nil }
    let first = (arrival + least - Self.lateness) / 1000
    let last = (arrival + most) / 1000
    return first == last ? first * 1000 : nil
  }
}
