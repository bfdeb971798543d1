import ParleyRuntime
import Synchronization

/// What tells the reader that there is something to read.
extension SQLiteReader {
  func startWatching() {
    do throws(SystemError) {
      let sidecarWatch = try SidecarWatch(database: options.path)
      watch = try loop.watch(sidecarWatch.descriptor, for: .read) { [weak self] _ in
        self?.assumeIsolated { $0.sidecarTouched() }
      }
      self.sidecarWatch = sidecarWatch
      announcedWatch.withLock { $0 = sidecarWatch }
      report(.polling(nil))
    } catch {
      report(.polling("push by polling every \(pollInterval.milliseconds) ms: \(error.description)"))
    }
    schedulePoll()
  }

  func stopWatching() {
    if let watch { loop.unwatch(watch) }
    watch = nil
    sidecarWatch = nil
    announcedWatch.withLock { $0 = nil }
    if let pollTimer { loop.cancel(pollTimer) }
    pollTimer = nil
  }

  private func sidecarTouched() {
    if sidecarWatch?.drain() == true { return rewatch() }
    // After the words that the loop has left here without waking this thread.
    loop.atEndOfTurn { [weak self] in self?.assumeIsolated { $0.readOn() } }
  }

  /// No look at data_version first: it costs as much as the read that it would save.
  func readOn() {
    stepOverGivenRows()
    guard let committed = sidecarWatch?.committed, liveCount == 0 || isBehind(committed) else { return }
    isStale = true
    self.committed = committed
    pump()
  }

  /// The sidecar was removed or moved: watches the one that bears its name now, from the next poll on if there is none.
  func rewatch() {
    guard watch != nil else { return }
    stopWatching()
    startWatching()
    isStale = true
    committed = nil
    pump()
  }

  private var pollInterval: Duration {
    let interval = max(options.pollInterval, .milliseconds(10))
    return watch == nil ? min(interval, .milliseconds(25)) : interval
  }

  private func schedulePoll() {
    pollTimer = loop.schedule(after: pollInterval) { [weak self] in self?.assumeIsolated { $0.poll() } }
  }

  /// Looks for commits of programs that do not touch the sidecar, and whether the file is still the one that is open.
  private func poll() {
    guard let moved = session?.hasMoved else { return }
    guard !moved else {
      lose(
        SeamError(
          .unavailable, operation: "read \(options.path)",
          cause: "the file was deleted or replaced while it was open"))
      return
    }
    schedulePoll()
    // What cannot be read now is read at the next poll.
    if let version = try? session?.dataVersion(), version != dataVersion {
      dataVersion = version
      isStale = true
      committed = nil
    }
    pump()
  }
}
