import ParleyRuntime

/// Checkpoints, which keep the WAL short.
extension SQLiteReader {
  /// After this long without a commit of ours the file rests.
  private static let rest = Duration.seconds(1)

  /// The writer's WAL has this many pages: checkpoints after each further thousand, and when the file rests.
  func walGrew(to pages: Int) {
    if pages < checkpointedPages { checkpointedPages = 0 }
    if pages >= checkpointedPages + 1000 {
      // Away from the commits: the bulk is copied while writers go on. They wait only for the rest of it, so that the
      // next commit starts the WAL over; else it would grow for as long as they never pause.
      _ = try? session?.checkpoint(.passive, within: .zero)
      let isOver = (try? session?.checkpoint(.restart, within: .milliseconds(50))) == true
      // Where others were in the way, it is tried again a thousand pages later.
      checkpointedPages = isOver ? 0 : pages
    }
    guard pages > 0 else { return }
    lastGrowth = loop.now
    if checkpointTimer == nil { scheduleIdleCheckpoint(after: Self.rest) }
  }

  private func scheduleIdleCheckpoint(after delay: Duration) {
    checkpointTimer = loop.schedule(after: delay) { [weak self] in self?.assumeIsolated { $0.checkpointIfIdle() } }
  }

  private func checkpointIfIdle() {
    checkpointTimer = nil
    let remaining = loop.now.duration(to: lastGrowth.advanced(by: Self.rest))
    if remaining > .zero {
      scheduleIdleCheckpoint(after: remaining)
    } else {
      // Other processes may be writing: what cannot be done now is done after the next commits.
      _ = try? session?.checkpoint(.truncate, within: .zero)
      checkpointedPages = 0
    }
  }
}
