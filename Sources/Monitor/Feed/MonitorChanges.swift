import ParleyRuntime

/// Whether something changed since it was last asked. Confined to its loop.
//
// @unchecked: confined to the loop's thread; `next` waits there.
package final class MonitorChanges: @unchecked Sendable {
  private let changes: Waiters<Void>
  private let loop: EventLoop
  private var isPending = false

  package init(loop: EventLoop) {
    self.loop = loop
    changes = Waiters(loop: loop)
  }

  /// Something changed; on the loop.
  package func note() {
    isPending = true
    changes.resumeAll(())
  }

  /// Waits for the next change, or returns at once where there was one; false when the task is cancelled.
  package func next(isolation: isolated (any Actor)? = #isolation) async -> Bool {
    while !isPending {
      guard case .value = await changes.wait(changes.ticket(), until: nil) else { return false }
    }
    isPending = false
    return true
  }
}
