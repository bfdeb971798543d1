import ParleyRuntime

/// A bound on how many of one kind are under way at once; those above it wait, first come, first served. Confined to
/// its loop.
//
// @unchecked: confined to the loop's thread.
final class Gate: @unchecked Sendable {
  private var free: Int
  private var queue: [UInt64] = []
  private let turns: Waiters<Void>

  init(width: Int, loop: EventLoop) {
    free = width
    turns = Waiters(loop: loop)
  }

  /// Returns when it is the caller's turn, who calls `leave` afterwards; false, without a turn, on cancellation.
  func enter(isolation: isolated (any Actor)? = #isolation) async -> Bool {
    if free > 0 {
      free -= 1
      return true
    }
    let ticket = turns.ticket()
    queue.append(ticket)
    if case .value = await turns.wait(ticket, until: nil) { return true }
    // A turn that was given at the moment of the cancellation goes to the next.
    if let place = queue.firstIndex(of: ticket) { queue.remove(at: place) } else { leave() }
    return false
  }

  func leave() {
    guard !queue.isEmpty else {
      free += 1
      return
    }
    turns.resume(queue.removeFirst(), ())
  }
}
