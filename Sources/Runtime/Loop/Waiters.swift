/// How waiting for a value ended.
@usableFromInline package enum WaitOutcome<Value: Sendable>: Sendable {
  /// The value came first.
  case value(Value)
  /// The deadline came first.
  case timedOut
  /// The waiting task was cancelled first.
  case cancelled
}

/// Callers that wait for a value of one actor: the first of value, deadline and cancellation wins, for each once.
///
/// Inlinable, because a generic dictionary is slow where its types are not known: a wait would cost what a post does.
//
// @unchecked: confined to the loop of the actor that owns it; cancellation, which comes from any thread, is handed
// over to the loop.
@usableFromInline package final class Waiters<Value: Sendable>: @unchecked Sendable {
  @usableFromInline struct Entry {
    @usableFromInline let continuation: CheckedContinuation<WaitOutcome<Value>, Never>
    @usableFromInline let timer: LoopTimer?

    @inlinable init(continuation: CheckedContinuation<WaitOutcome<Value>, Never>, timer: LoopTimer?) {
      self.continuation = continuation
      self.timer = timer
    }
  }

  @usableFromInline let loop: EventLoop
  @usableFromInline var entries: [UInt64: Entry] = [:]
  /// Tickets whose owner does not wait yet, with what has come for them: reaching `wait` can take a suspension.
  @usableFromInline var early: [UInt64: WaitOutcome<Value>?] = [:]
  @usableFromInline var lastTicket: UInt64 = 0

  @inlinable package init(loop: EventLoop) { self.loop = loop }

  @inlinable package var isEmpty: Bool { entries.isEmpty }

  /// Reserves a ticket, under which a value may be delivered before or while its owner waits; whoever does not wait
  /// after all gives it back by `forget`.
  @inlinable package func ticket() -> UInt64 {
    lastTicket += 1
    early.updateValue(nil, forKey: lastTicket)
    return lastTicket
  }

  /// Gives back a ticket that nobody will wait with.
  @inlinable package func forget(_ ticket: UInt64) { early.removeValue(forKey: ticket) }

  /// Waits for the ticket's value, once; must be called on the loop.
  @inlinable package func wait(
    _ ticket: UInt64, until deadline: LoopInstant?, isolation: isolated (any Actor)? = #isolation
  ) async -> WaitOutcome<Value> {
    await withTaskCancellationHandler {
      // Captured, because a closure is isolated only to what it captures (SE-0420): a task that prefers another loop
      // would else register its wait over there.
      _ = isolation
      return await withCheckedContinuation { continuation in
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
  @inlinable package func resume(_ ticket: UInt64, _ value: Value) { finish(ticket, .value(value)) }

  /// Ends all waits with the same value.
  @inlinable package func resumeAll(_ value: Value) {
    guard !(entries.isEmpty && early.isEmpty) else { return }
    for ticket in (Array(entries.keys) + early.keys).sorted() { finish(ticket, .value(value)) }
  }

  @inlinable func finish(_ ticket: UInt64, _ outcome: WaitOutcome<Value>) {
    guard let entry = entries.removeValue(forKey: ticket) else {
      // The first of several counts here too.
      if let known = early[ticket], known == nil { early.updateValue(outcome, forKey: ticket) }
      return
    }
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
