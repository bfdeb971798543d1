extension Inbox {
  /// Stores a message of the session as `Hub.submit` does, unless participants have answered each other for too long
  /// without a person (`LoopGuard`).
  package func submit(_ request: PostRequest, reply: @escaping @Sendable (Result<Receipt, HubError>) -> Void) {
    let before = loopGuard.delivered
    let hop: Int?
    switch guardVerdict {
    // A retry by key must be the same message, whatever came meanwhile.
    case .passes(let passed): hop = request.key == nil && !hub.setup.isPerson ? passed : nil
    case .stops(let hop, let tells):
      let limit = hub.setup.limits.hops
      if tells, hub.assumeIsolated({ $0.permits(request.topic) }) { tellStop(on: request.topic, hop: limit + 1) }
      return reply(.failure(LoopGuard.refusal(hop: hop, limit: limit)))
    }
    loopGuard.notePosted()
    hub.assumeIsolated { hub in
      hub.submit(request, hop: hop) { [self] result in
        if case .failure = result { assumeIsolated { $0.loopGuard.takeBack(before) } }
        reply(result)
      }
    }
  }

  private var guardVerdict: LoopGuard.Verdict {
    hub.setup.isPerson ? .passes(hop: 0) : loopGuard.verdict(at: loop.wallClockMilliseconds)
  }

  /// `submit` for callers that wait.
  package func post(_ request: PostRequest) async throws(HubError) -> Receipt {
    let result = await withCheckedContinuation { continuation in
      submit(request) { continuation.resume(returning: $0) }
    }
    return try result.get()
  }

  private func tellStop(on topic: Topic, hop: Int) {
    loopGuard.noteTold()
    let line = LoopGuard.line(by: hub.assumeIsolated { $0.author.handle }, limit: hub.setup.limits.hops)
    hub.loop.spawn { [hub] in
      do throws(HubError) {
        let request = PostRequest(topic: topic, content: line, attributes: ["kind": LoopGuard.kind])
        _ = try await hub.postUnchecked(request, hop: hop)
      } catch {
        Log.write(.info, "that the loop guard stops was not told", [("cause", error.description)])
      }
    }
  }
}
