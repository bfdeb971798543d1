import ParleyRuntime

/// A fold over one topic that is kept current: read back to the edge of its window once, then followed.
///
/// It is woken by what comes and never asks again. After a gap it reads anew, so that it agrees with whoever starts now.
package actor FoldedLog<Fold: TopicFold>: LoopActor {
  package nonisolated let loop: EventLoop
  package nonisolated let topic: Topic
  private let hub: Hub
  /// Nothing older than this, in milliseconds, is read.
  private let window: Int64
  private let pageLimit: Int
  private let makeFold: @Sendable () -> Fold
  private var fold: Fold
  private var outcomes = OutcomeRing<Fold.Outcome>()
  private var follow: FollowID?
  private var loading: Task<Result<Void, HubError>, Never>?
  private var isLoaded = false
  private var isStopped = false
  private let changes: Waiters<Void>
  private let arrivals: Waiters<Void>
  private var observers: [@Sendable () -> Void] = []
  /// `storedAt` of the newest message, and how far the store's clock is ahead of ours, as our own posts showed it.
  private var newestStoredAt: Int64 = 0
  private var clockOffset: Int64 = 0

  /// Makes the state of `topic`; nothing is read until `load`.
  package init(
    hub: Hub, topic: Topic, window: Int64, pageLimit: Int = 1000, fold: @escaping @Sendable () -> Fold
  ) {
    loop = hub.loop
    self.hub = hub
    self.topic = topic
    self.window = window
    self.pageLimit = min(pageLimit, hub.setup.limits.pageMessages)
    makeFold = fold
    self.fold = fold()
    changes = Waiters(loop: hub.loop)
    arrivals = Waiters(loop: hub.loop)
  }

  /// The state as far as the log is known here.
  package var state: Fold { fold }

  /// The store's time now, as well as it can be known here: what it last said, or our clock set by our own posts.
  package var now: Int64 { max(newestStoredAt, loop.wallClockMilliseconds + clockOffset) }

  /// A post of ours was stored: sets our idea of the store's clock.
  package func note(_ receipt: Receipt) {
    guard !receipt.isDuplicate, let storedAt = receipt.storedAt else { return }
    clockOffset = storedAt - loop.wallClockMilliseconds
  }

  /// Calls `observer` on the loop after every event that the fold took notice of.
  package func observe(_ observer: @escaping @Sendable () -> Void) { observers.append(observer) }

  // MARK: Reading

  /// Reads the window and follows the topic from there; callers at the same time share the work. Waits for the backend
  /// up to the hub's patience, then throws its failure; may be called again.
  package func load() async throws(HubError) {
    if isLoaded { return }
    let task = loading ?? loop.spawn { await self.loadOnce() }
    loading = task
    try await task.value.get()
  }

  private func loadOnce() async -> Result<Void, HubError> {
    defer { loading = nil }
    do throws(HubError) {
      let (events, newest, end) = try await history()
      guard !isStopped else { return .success(()) }
      var fresh = makeFold()
      for message in events { outcomes.insert(message.id, fresh.apply(message)) }
      for message in newest { outcomes.note(message.id) }
      if let last = newest.last { newestStoredAt = max(newestStoredAt, last.storedAt) }
      fold = fresh
      isLoaded = true
      let id = await hub.supervisor.follow(topic, after: end) { [weak self] delivery in
        self?.assumeIsolated { $0.take(delivery) }
        return .more
      }
      if isStopped { await hub.supervisor.unfollow(id) } else { follow = id }
      changed()
      return .success(())
    } catch {
      return .failure(error)
    }
  }

  /// The events of the window in log order, the newest page whole, and the end of the log.
  private func history() async throws(HubError) -> (events: [Message], newest: [Message], end: Cursor) {
    let since = loop.wallClockMilliseconds + clockOffset - window
    var page = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: pageLimit))
    let newest = page.messages
    let end = page.next
    var pages = [newest.filter(Fold.concerns)]
    while let previous = page.previous, let oldest = page.messages.first, oldest.storedAt >= since {
      page = try await hub.fetchUnchecked(
        FetchRequest(topic, .before(previous, storedSince: since), limit: pageLimit))
      pages.append(page.messages.filter(Fold.concerns))
    }
    return (pages.reversed().flatMap { $0 }, newest, end)
  }

  private func take(_ delivery: Delivery) {
    guard !isStopped else { return }
    switch delivery {
    case .message(let message):
      newestStoredAt = max(newestStoredAt, message.storedAt)
      let outcome = Fold.concerns(message) ? fold.apply(message) : nil
      outcomes.insert(message.id, outcome)
      arrivals.resumeAll(())
      if outcome != nil { changed() }
    case .gap: loop.spawn { await self.reload() }
    }
  }

  private func changed() {
    arrivals.resumeAll(())
    changes.resumeAll(())
    for observer in observers { observer() }
  }

  /// What a gap took away is gone for those who start now too: reads anew, until it works.
  private func reload() async {
    guard let id = follow else { return }
    follow = nil
    isLoaded = false
    await hub.supervisor.unfollow(id)
    while !isStopped {
      do throws(HubError) {
        return try await load()
      } catch {
        guard await loop.sleep(for: .seconds(1)) else { return }
      }
    }
  }

  /// Ends following; the state stays as it is.
  package func stop() async {
    isStopped = true
    guard let id = follow else { return }
    follow = nil
    await hub.supervisor.unfollow(id)
  }

  // MARK: Waiting

  /// Waits for the next change of the state; false at the deadline and on cancellation. `ticket` is from `ticket()`,
  /// taken before the state was looked at, so that no change falls between.
  package func change(_ ticket: UInt64, until deadline: LoopInstant) async -> Bool {
    if case .value = await changes.wait(ticket, until: deadline) { true } else { false }
  }

  /// A place to wait for the next change from now.
  package func ticket() -> UInt64 { changes.ticket() }

  /// Gives a ticket back that is not waited with.
  package func forget(_ ticket: UInt64) { changes.forget(ticket) }

  /// What a stored message brought at its place in the log; nil when it has not arrived here by the deadline, or was no
  /// event.
  package func outcome(of id: MessageID, until deadline: LoopInstant) async -> Fold.Outcome? {
    await arrived(id, until: deadline)
    return outcomes[id] ?? nil
  }

  /// Waits until everything that is in the log now is in the state, as far as that can be learnt by the deadline.
  package func catchUp(until deadline: LoopInstant) async throws(HubError) {
    let page = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: 1))
    guard let last = page.messages.last else { return }
    await arrived(last.id, until: deadline)
  }

  private func arrived(_ id: MessageID, until deadline: LoopInstant) async {
    while outcomes[id] == nil {
      guard case .value = await arrivals.wait(arrivals.ticket(), until: deadline) else { return }
    }
  }
}
