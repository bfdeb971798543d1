/// A timer on a loop, from `EventLoop.schedule`.
public struct LoopTimer: Hashable, Sendable {
  let sequence: UInt64
}

/// Pending timers in a binary heap; equal deadlines fire in the order in which they were made.
struct TimerQueue {
  private struct Entry {
    let deadline: LoopInstant
    let sequence: UInt64

    static func < (a: Entry, b: Entry) -> Bool { (a.deadline, a.sequence) < (b.deadline, b.sequence) }
  }

  private var heap: [Entry] = []
  /// Actions of live timers; a heap entry without one was cancelled.
  private var actions: [UInt64: () -> Void] = [:]
  private var lastSequence: UInt64 = 0

  var isEmpty: Bool { actions.isEmpty }

  /// The earliest live deadline.
  var next: LoopInstant? { heap.first?.deadline }

  mutating func insert(at deadline: LoopInstant, _ action: @escaping () -> Void) -> LoopTimer {
    lastSequence += 1
    actions[lastSequence] = action
    push(Entry(deadline: deadline, sequence: lastSequence))
    return LoopTimer(sequence: lastSequence)
  }

  mutating func remove(_ timer: LoopTimer) {
    guard actions.removeValue(forKey: timer.sequence) != nil else { return }
    if heap.count > 64, actions.count * 4 < heap.count {
      // Many cancelled deadlines (one per call is usual): rebuild instead of carrying them to their time.
      let live = heap.filter { actions[$0.sequence] != nil }
      heap = []
      for entry in live { push(entry) }
    }
    dropCancelled()
  }

  /// Takes the action of the earliest timer that is due.
  mutating func popDue(at now: LoopInstant) -> (() -> Void)? {
    guard let first = heap.first, first.deadline <= now else { return nil }
    pop()
    let action = actions.removeValue(forKey: first.sequence)
    dropCancelled()
    return action
  }

  private mutating func dropCancelled() {
    while let first = heap.first, actions[first.sequence] == nil { pop() }
  }

  private mutating func push(_ entry: Entry) {
    heap.append(entry)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child] < heap[parent] else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func pop() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
        least = child
      }
      if least == parent { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
