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
/// Inlinable, because what is generic is slow where its types are not known: a wait would cost what a post does.
//
// @unchecked: confined to the loop of the actor that owns it; cancellation, which comes from any thread, is handed
// over to the loop.
@usableFromInline package final class Waiters<Value: Sendable>: @unchecked Sendable {
  @safe @usableFromInline enum State {
    /// The owner does not wait yet: reaching `wait` can take a suspension.
    case announced
    /// This came before the owner waited.
    case early(WaitOutcome<Value>)
    // Not the checked kind: its place is left as it is resumed, so that it is resumed once, and to copy it costs nothing.
    case waiting(UnsafeContinuation<WaitOutcome<Value>, Never>, LoopTimer?)
  }

  @usableFromInline struct Place {
    @usableFromInline let ticket: UInt64
    @usableFromInline var state: State

    @inlinable init(ticket: UInt64, state: State) {
      self.ticket = ticket
      self.state = state
    }
  }

  @usableFromInline let loop: EventLoop
  /// In the order of their tickets. There are few at a time, and the oldest end first.
  @usableFromInline var places: [Place] = []
  @usableFromInline var lastTicket: UInt64 = 0

  @inlinable package init(loop: EventLoop) { self.loop = loop }

  /// Reserves a ticket, under which a value may be delivered before or while its owner waits; whoever does not wait
  /// after all gives it back by `forget`.
  @inlinable package func ticket() -> UInt64 {
    lastTicket += 1
    places.append(Place(ticket: lastTicket, state: .announced))
    return lastTicket
  }

  /// Gives back a ticket that nobody will wait with; no effect for one that is waited with.
  @inlinable package func forget(_ ticket: UInt64) {
    guard let index = index(of: ticket) else { return }
    if case .waiting = places[index].state { return }
    places.remove(at: index)
  }

  /// Waits for the ticket's value, once; must be called on the loop. A ticket that was waited with or given back counts as
  /// cancelled.
  @inlinable package func wait(
    _ ticket: UInt64, until deadline: LoopInstant?, isolation: isolated (any Actor)? = #isolation
  ) async -> WaitOutcome<Value> {
    await withTaskCancellationHandler {
      // Captured, because a closure is isolated only to what it captures (SE-0420): a task that prefers another loop
      // would else register its wait over there.
      _ = isolation
      return await unsafe withUnsafeContinuation { continuation in
        guard let index = index(of: ticket) else { return unsafe continuation.resume(returning: .cancelled) }
        if case .early(let outcome) = places[index].state {
          places.remove(at: index)
          return unsafe continuation.resume(returning: outcome)
        }
        if Task.isCancelled {
          places.remove(at: index)
          return unsafe continuation.resume(returning: .cancelled)
        }
        let timer = deadline.map { deadline in
          loop.schedule(after: loop.now.duration(to: deadline)) { [self] in finish(ticket, .timedOut) }
        }
        places[index].state = unsafe .waiting(continuation, timer)
      }
    } onCancel: {
      loop.execute { [self] in finish(ticket, .cancelled) }
    }
  }

  /// Ends one wait; no effect when it has ended already.
  @inlinable package func resume(_ ticket: UInt64, _ value: Value) { finish(ticket, .value(value)) }

  /// Ends all waits with the same value.
  @inlinable package func resumeAll(_ value: Value) {
    guard !places.isEmpty else { return }
    var kept = 0
    for index in places.indices {
      guard let place = places[index].ended(by: .value(value), on: loop) else { continue }
      places[kept] = place
      kept += 1
    }
    if kept == 0 { places.removeAll(keepingCapacity: true) } else { places.removeLast(places.count - kept) }
  }

  @inlinable func finish(_ ticket: UInt64, _ outcome: WaitOutcome<Value>) {
    guard let index = index(of: ticket) else { return }
    if let kept = places[index].ended(by: outcome, on: loop) {
      places[index] = kept
    } else {
      places.remove(at: index)
    }
  }

  @inlinable func index(of ticket: UInt64) -> Int? {
    var (low, high) = (0, places.count)
    while low < high {
      let middle = (low + high) / 2
      if places[middle].ticket < ticket { low = middle + 1 } else { high = middle }
    }
    return low < places.count && places[low].ticket == ticket ? low : nil
  }
}

extension Waiters.Place {
  /// Tells a waiting owner; what is to be kept for one that does not wait yet. The first of several outcomes counts.
  @inlinable func ended(by outcome: WaitOutcome<Value>, on loop: EventLoop) -> Self? {
    switch state {
    case .announced: return Self(ticket: ticket, state: .early(outcome))
    case .early: return self
    case .waiting(let continuation, let timer):
      if let timer { loop.cancel(timer) }
      unsafe continuation.resume(returning: outcome)
      return nil
    }
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
