import ParleyRuntime

/// When messages count as stored, alike for who reads them live and who reads the archive.
///
/// What comes live carries no time, and an archive may stamp whole seconds alone (Prosody's). So a message of ours says
/// when it was sent, and is believed as far as the archive's stamp bears it out. Live there is no stamp yet: what agrees
/// closely with the server's clock, as far as that is known, is believed at once, and everything else is read from the
/// archive.
struct ArchiveClock: Hashable, Sendable {
  /// Milliseconds by which a message's own time may differ from the archive's stamp.
  private static let tolerance: Int64 = 5000
  /// And from the server's clock at its arrival: so much less that a way of seconds changes no verdict.
  private static let liveTolerance: Int64 = 2000
  /// So far the times of two messages may be apart from what the server's clock would say: each sender's clock may be
  /// wrong by the tolerance, and the stamp it is held against is a whole second.
  static let uncertainty = Duration.milliseconds(2 * tolerance + 1000)
  /// Milliseconds by which the server's clock is ahead of ours; nil while nothing is known of it.
  private var ahead: Int64?

  init() {}

  /// The time of an archived message: its own, or the archive's in whole seconds.
  static func time(of content: WireFormat.Content, stamp: Int64) -> Int64 {
    guard let sent = content.sentAt, near(sent, stamp, tolerance) else { return stamp / 1000 * 1000 }
    return sent
  }

  /// The time of a message that has just come live; nil where only the archive can tell.
  func time(ofLive content: WireFormat.Content, arrival: Int64) -> Int64? {
    guard let ahead, let sent = content.sentAt, Self.near(sent, arrival + ahead, Self.liveTolerance) else { return nil }
    return sent
  }

  /// Takes a message that arrived at `arrival` (our clock) and that the archive stamped `stamp`.
  mutating func learn(arrival: Int64, stamp: Int64) { ahead = stamp - arrival }

  private static func near(_ a: Int64, _ b: Int64, _ tolerance: Int64) -> Bool {
    let (difference, overflow) = a.subtractingReportingOverflow(b)
    return !overflow && (-tolerance...tolerance).contains(difference)
  }
}
