/// How waiting for a value ended.
package enum WaitOutcome<Value: Sendable>: Sendable {
  /// The value came first.
  case value(Value)
  /// The deadline came first.
  case timedOut
  /// The waiting task was cancelled first.
  case cancelled
}

/// Callers that wait for a value of one actor: the first of value, deadline and cancellation wins, for each once.
//
// @unchecked: confined to the loop of the actor that owns it; cancellation, which comes from any thread, is handed
// over to the loop.
package final class Waiters<Value: Sendable>: @unchecked Sendable {
  private struct Entry {
    let continuation: CheckedContinuation<WaitOutcome<Value>, Never>
    let timer: LoopTimer?
  }

  private let loop: EventLoop
  private var entries: [UInt64: Entry] = [:]
  /// Tickets whose owner does not wait yet, with what has come for them: reaching `wait` can take a suspension.
  private var early: [UInt64: WaitOutcome<Value>?] = [:]
  private var lastTicket: UInt64 = 0
  /// How many of both there are. Most often nobody waits, and to ask a dictionary of a generic class for its count costs
  /// more than everything else that is done then.
  private var open = 0

  package init(loop: EventLoop) { self.loop = loop }

  package var isEmpty: Bool { entries.isEmpty }

  /// Reserves a ticket, under which a value may be delivered before or while its owner waits; whoever does not wait
  /// after all gives it back by `forget`.
  package func ticket() -> UInt64 {
    lastTicket += 1
    early.updateValue(nil, forKey: lastTicket)
    recount()
    return lastTicket
  }

  /// Gives back a ticket that nobody will wait with.
  package func forget(_ ticket: UInt64) {
    early.removeValue(forKey: ticket)
    recount()
  }

  private func recount() { open = entries.count + early.count }

  /// Waits for the ticket's value, once; must be called on the loop.
  package func wait(
    _ ticket: UInt64, until deadline: LoopInstant?, isolation: isolated (any Actor)? = #isolation
  ) async -> WaitOutcome<Value> {
    await withTaskCancellationHandler {
      // Captured, because a closure is isolated only to what it captures (SE-0420): a task that prefers another loop
      // would else register its wait over there.
      _ = isolation
      return await withCheckedContinuation { continuation in
        defer { recount() }
        if let outcome = early.removeValue(forKey: ticket) ?? nil {
          continuation.resume(returning: outcome)
          return
        }
        if Task.isCancelled {
          continuation.resume(returning: .cancelled)
          return
        }
        let timer = deadline.map { deadline in
          loop.schedule(after: loop.now.duration(to: deadline)) { [self] in finish(ticket, .timedOut) }
        }
        entries[ticket] = Entry(continuation: continuation, timer: timer)
      }
    } onCancel: {
      loop.execute { [self] in finish(ticket, .cancelled) }
    }
  }

  /// Ends one wait; no effect when it has ended already.
  package func resume(_ ticket: UInt64, _ value: Value) { finish(ticket, .value(value)) }

  /// Ends all waits with the same value.
  package func resumeAll(_ value: Value) {
    guard open > 0 else { return }
    for ticket in (Array(entries.keys) + early.keys).sorted() { finish(ticket, .value(value)) }
  }

  private func finish(_ ticket: UInt64, _ outcome: WaitOutcome<Value>) {
    guard let entry = entries.removeValue(forKey: ticket) else {
      // The first of several counts here too.
      if let known = early[ticket], known == nil { early.updateValue(outcome, forKey: ticket) }
      return
    }
    recount()
    if let timer = entry.timer { loop.cancel(timer) }
    entry.continuation.resume(returning: outcome)
  }
}

extension EventLoop {
  /// Sleeps on the loop's clock; returns false, at once, when the task is cancelled.
  @discardableResult
  public func sleep(for duration: Duration, isolation: isolated (any Actor)? = #isolation) async -> Bool {
    let waiters = Waiters<Void>(loop: self)
    let deadline = now.advanced(by: duration)
    switch await waiters.wait(waiters.ticket(), until: deadline) {
    case .timedOut, .value: return true
    case .cancelled: return false
    }
  }
}
