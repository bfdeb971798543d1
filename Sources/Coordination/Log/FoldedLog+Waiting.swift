import ParleyRuntime

extension FoldedLog {
  /// How far the log has come here; must be asked for on the loop. What is stored later arrives behind it.
  package nonisolated var mark: Int { assumeIsolated { $0.outcomes.count } }

  /// What a message that was stored after `mark` brought at its place in the log; nil when it has not arrived here by
  /// the deadline, or was no event.
  package func outcome(of id: MessageID, since mark: Int = 0, until deadline: LoopInstant) async -> Fold.Outcome? {
    await arrival(of: id, since: mark, until: deadline) ?? nil
  }

  /// Waits until everything that is in the log now is in the state, as far as that can be learnt by the deadline.
  package func catchUp(until deadline: LoopInstant) async throws(HubError) {
    let page = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: 1))
    guard let last = page.messages.last else { return }
    _ = await arrival(of: last.id, since: 0, until: deadline)
  }

  /// What a message brought; nil where it does not come.
  private func arrival(of id: MessageID, since mark: Int, until deadline: LoopInstant) async -> Fold.Outcome?? {
    if let outcome = outcomes.outcome(of: id, since: mark) { return outcome }
    let ticket = arrivals.ticket()
    whenArrived(id, since: mark, until: deadline) { [arrivals] in arrivals.resume(ticket, $0) }
    guard case .value(let outcome) = await arrivals.wait(ticket, until: nil) else { return nil }
    return outcome
  }

  /// `outcome(of:since:until:)` without a task: `reply` is called once, on the loop, perhaps before this returns; with
  /// nil at the deadline.
  package func whenArrived(
    _ id: MessageID, since mark: Int, until deadline: LoopInstant, reply: @escaping @Sendable (Fold.Outcome??) -> Void
  ) {
    if let outcome = outcomes.outcome(of: id, since: mark) { return reply(outcome) }
    if isStopped { return reply(nil) }
    hub.supervisor.assumeIsolated { $0.expect() }
    lastExpected += 1
    let number = lastExpected
    let timer = loop.schedule(after: loop.now.duration(to: deadline)) { [weak self] in
      self?.assumeIsolated { log in
        guard let place = log.expected.firstIndex(where: { $0.number == number }) else { return }
        log.end(log.expected.remove(at: place), nil)
      }
    }
    expected.append(Expected(id: id, number: number, since: outcomes.count, timer: timer, reply: reply))
  }

  struct Expected {
    let id: MessageID
    let number: UInt64
    /// It is none of those that came before.
    var since: Int
    let timer: LoopTimer
    let reply: @Sendable (Fold.Outcome??) -> Void
  }

  /// Tells those whose message has come.
  func tellExpecting() {
    let waiting = expected
    expected = []
    for var one in waiting {
      if let outcome = outcomes.outcome(of: one.id, since: one.since) {
        end(one, .some(outcome))
      } else {
        one.since = outcomes.count
        expected.append(one)
      }
    }
  }

  /// Ends a wait; what is ended is no longer in `expected`.
  func end(_ one: Expected, _ outcome: Fold.Outcome??) {
    loop.cancel(one.timer)
    hub.supervisor.assumeIsolated { $0.expectNoMore() }
    one.reply(outcome)
  }
}
