import ParleyRuntime

/// How long a claimant that waited lets others go first.
///
/// All who wait learn of a new task at the same moment; if each claimed it at once, each but one would post in vain, for
/// people to read. So whoever lost pauses for a random part of a time that doubles with each loss, and halves with each
/// win; whoever never met a rival claims at once.
struct Rivalry {
  private static let longest: Duration = .seconds(2)
  /// The pause is at most this.
  private(set) var spread: Duration = .zero

  /// A claim was refused that had taken so long.
  mutating func lost(after time: Duration) { spread = min(max(spread, time, .milliseconds(1)) * 2, Self.longest) }

  /// A claim counted that had taken so long: what is shorter than one separates nobody.
  mutating func won(after time: Duration) {
    spread = spread / 2
    if spread < time { spread = .zero }
  }

  /// A part of the spread, drawn by `random`.
  func pause(_ random: () -> UInt64) -> Duration {
    spread == .zero ? .zero : spread * (Double(random() >> 11) / Double(1 << 53))
  }
}
