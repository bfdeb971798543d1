extension EventLoop {
  /// Runs what may block on a thread of its own, and returns its value on this loop.
  ///
  /// At the deadline or on cancellation the call returns; the work then runs to its end unheard. Throws when the
  /// kernel refuses a thread.
  package func offload<Value: Sendable>(
    named name: String, until deadline: LoopInstant?, isolation: isolated (any Actor)? = #isolation,
    _ work: @escaping @Sendable () -> Value
  ) async throws(SystemError) -> WaitOutcome<Value> {
    let waiters = Waiters<Value>(loop: self)
    let ticket = waiters.ticket()
    try startThread(named: name) { [self] in
      let value = work()
      execute { waiters.resume(ticket, value) }
    }
    return await waiters.wait(ticket, until: deadline)
  }
}
