import ParleyRuntime

/// A fold over one topic that is kept current: read back to the edge of its window once, then followed.
///
/// It is woken by what comes and never asks again. After a gap it reads anew, so that it agrees with whoever starts now.
/// Where the fold has checkpoints, reading ends at the newest, and one is posted again before what the state stands on
/// grows old (`Checkpoints`). Where it is kept between runs, reading begins where the last run left off (`StateKeeper`).
package actor FoldedLog<Fold: TopicFold>: LoopActor {
  package nonisolated let loop: EventLoop
  package nonisolated let topic: Topic
  let hub: Hub
  /// Nothing older than this, in milliseconds, is read.
  let window: Int64
  private let isUrgent: Bool
  let pageLimit: Int
  let makeFold: @Sendable () -> Fold
  private(set) var fold: Fold
  var outcomes = OutcomeRing<Fold.Outcome>()
  private var follow: FollowID?
  private var loading: Task<Result<Void, HubError>, Never>?
  private var isLoaded = false
  var isStopped = false
  /// Messages that are waited for until they arrive here.
  var expected: [Expected] = []
  var lastExpected: UInt64 = 0
  let arrivals: Waiters<Fold.Outcome??>
  private var observers: [@Sendable () -> Void] = []
  /// `storedAt` of the newest message, and how far the store's clock is ahead of ours, as our own posts showed it.
  private var newestStoredAt: Int64 = 0
  var clockOffset: Int64 = 0
  /// Everything up to this message is in the state.
  private var position: Cursor?
  private var standing = Standing()
  private var keeping: LoopTimer?
  private var isKeeping = false
  /// Nil where the state is not kept between runs.
  var keeper: StateKeeper?
  private var writing: Task<Void, Never>?

  /// Makes the state of `topic`; nothing is read until `load`. Where it is not urgent, what others post may come a few
  /// milliseconds late.
  package init(
    hub: Hub, topic: Topic, window: Int64, pageLimit: Int = 1000, isUrgent: Bool = true,
    fold: @escaping @Sendable () -> Fold
  ) {
    loop = hub.loop
    self.hub = hub
    self.topic = topic
    self.window = window
    self.isUrgent = isUrgent
    self.pageLimit = min(pageLimit, hub.setup.limits.pageMessages)
    makeFold = fold
    self.fold = fold()
    arrivals = Waiters(loop: hub.loop)
    if let folder = hub.setup.stateFolder, let shape = self.fold.keptAs {
      keeper = StateKeeper(folder: folder, name: "\(shape) \(window) \(topic.name)", page: self.pageLimit)
    }
  }

  /// The state as far as the log is known here.
  package var state: Fold { fold }

  /// The state and the store's time, without a suspension; must be asked for on the loop. A state that is held over one
  /// makes the next event copy all of it.
  package nonisolated var current: (state: Fold, now: Int64) { assumeIsolated { ($0.fold, $0.now) } }

  /// The store's time, without a suspension; must be asked for on the loop.
  package nonisolated var currentTime: Int64 { assumeIsolated { $0.now } }

  /// Whether the log was read, so that `load` has nothing to do; must be asked for on the loop.
  package nonisolated var isReady: Bool { assumeIsolated { $0.isLoaded } }

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
      let beginning = if let left = try await continuation() { left } else { try await history() }
      guard !isStopped else { return .success(()) }
      var fresh = beginning.fold
      for message in beginning.events { outcomes.insert(message.id, fresh.apply(message)) }
      standing = Standing(
        since: (beginning.checkpoint ?? beginning.events.first)?.storedAt, events: beginning.events.count)
      position = beginning.newest.last?.cursor
      let events = Set(beginning.events.suffix(OutcomeRing<Fold.Outcome>.capacity).map(\.id))
      for message in beginning.newest where !events.contains(message.id) { outcomes.insert(message.id, nil) }
      if let last = beginning.newest.last { newestStoredAt = max(newestStoredAt, last.storedAt) }
      keeper?.begin(behind: beginning.anchor, messages: beginning.count)
      for message in beginning.newest { keeper?.note(message) }
      fold = fresh
      isLoaded = true
      await adaptToRetention()
      let id = await hub.supervisor.follow(topic, after: beginning.end, isUrgent: isUrgent) { [weak self] delivery in
        self?.assumeIsolated { $0.take(delivery) }
        return .more
      }
      if isStopped { await hub.supervisor.unfollow(id) } else { follow = id }
      if keeper?.isWorthwhile == true { leaveState() }
      changed()
      tellExpecting()
      scheduleKeeping()
      return .success(())
    } catch {
      return .failure(error)
    }
  }

  private func take(_ delivery: Delivery) {
    guard !isStopped else { return }
    switch delivery {
    case .message(let message):
      newestStoredAt = max(newestStoredAt, message.storedAt)
      position = message.cursor
      let outcome = Fold.concerns(message) ? fold.apply(message) : nil
      if Fold.keepsCheckpoints { note(message) }
      keeper?.pass(message)
      outcomes.insert(message.id, outcome)
      if outcome != nil { changed() }
      if !expected.isEmpty { tellExpecting() }
      if keeper?.isDue(at: loop.now) == true { leaveState() }
    case .gap: loop.spawn { await self.reload() }
    }
  }

  private func changed() {
    for observer in observers { observer() }
  }

  /// What a gap took away is gone for those who start now too: reads anew, until it works.
  private func reload() async {
    guard let id = follow else { return }
    follow = nil
    isLoaded = false
    // What was left knows nothing of the gap.
    keeper = nil
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
    if let keeping { loop.cancel(keeping) }
    keeping = nil
    let waiting = expected
    expected = []
    for one in waiting { end(one, nil) }
    if let id = follow {
      follow = nil
      await hub.supervisor.unfollow(id)
    }
    if isLoaded, keeper?.isWorthwhile == true { leaveState() }
    await writing?.value
  }

  // MARK: For the next run

  /// Writes the state for the next run, unless that is being done; nothing depends on it.
  private func leaveState() {
    guard let keeper, let (anchor, last) = self.keeper?.take() else { return }
    writing = loop.spawn { [fold, loop] in
      do throws(SystemError) {
        let outcome = try await loop.offload(named: "state", until: nil) { () -> Result<Void, SystemError> in
          var writer = JSONWriter(capacity: 1 << 16)
          writer.beginObject()
          fold.keep(into: &writer)
          writer.endObject()
          let kept = KeptState(name: keeper.name, anchor: anchor, last: last, state: writer.bytes)
          do throws(SystemError) { return .success(try keeper.file.write(kept)) } catch { return .failure(error) }
        }
        if case .value(let result) = outcome { try result.get() }
        await self.leftState(nil)
      } catch {
        await self.leftState(error)
      }
    }
  }

  private func leftState(_ failure: SystemError?) {
    keeper?.wrote(at: loop.now)
    guard let failure else { return }
    keeper = nil
    Log.write(.info, "a state is not kept for the next run", [("topic", topic.name), ("cause", failure.description)])
  }

  // MARK: Checkpoints

  /// What the state stands on in the log.
  private struct Standing {
    /// `storedAt` of the newest checkpoint, or of the first event where there is none.
    var since: Int64?
    /// Messages read after it.
    var events = 0
    var oldest: Int64 = Checkpoints.age.milliseconds
  }

  private func note(_ message: Message) {
    if fold.through(of: message) != nil {
      standing.since = message.storedAt
      standing.events = 0
      scheduleKeeping()
    } else if Fold.concerns(message) {
      standing.events += 1
      guard standing.since == nil else { return }
      standing.since = message.storedAt
      scheduleKeeping()
    }
  }

  private func adaptToRetention() async {
    standing.oldest = Checkpoints.age(on: await hub.supervisor.traits).milliseconds
  }

  private var isDue: Bool {
    guard let since = standing.since else { return false }
    return now - since >= standing.oldest || standing.events >= Checkpoints.events
  }

  /// Looks again when the checkpoint will be due; processes that share a topic do so at different moments, so that one
  /// of them posts it.
  private func scheduleKeeping(atLeast least: Duration = .zero) {
    if let keeping { loop.cancel(keeping) }
    keeping = nil
    guard Fold.keepsCheckpoints, !isStopped, let since = standing.since else { return }
    let spread = Int64(loop.random() % UInt64(max(1, min(Checkpoints.spread.milliseconds, standing.oldest / 10))))
    let delay = max(least.milliseconds, since + standing.oldest - now, 0) + spread
    keeping = loop.schedule(after: .milliseconds(delay)) { [weak self] in
      guard let self else { return }
      self.loop.spawn { await self.keep() }
    }
  }

  /// Posts the state again where what it stands on has grown old or long. What led here is stored in any case.
  package func keep() async {
    guard Fold.keepsCheckpoints, isLoaded, !isStopped, !isKeeping, isDue, let position else { return }
    guard let text = fold.checkpoint(through: position) else {
      standing = Standing(oldest: standing.oldest)
      return
    }
    isKeeping = true
    defer { isKeeping = false }
    let limit = min(hub.setup.limits.contentBytes, await hub.supervisor.traits.contentLimit ?? .max)
    guard text.content.utf8.count <= limit else {
      return Log.write(.warning, "a checkpoint is too large to be stored", [("topic", topic.name)])
    }
    do throws(HubError) {
      let receipt = try await hub.postUnchecked(
        PostRequest(topic: topic, content: text.content, attributes: text.attributes))
      note(receipt)
      standing.since = max(standing.since ?? 0, receipt.storedAt ?? now)
      standing.events = 0
      scheduleKeeping()
    } catch {
      Log.write(.warning, "no checkpoint was stored", [("topic", topic.name), ("cause", error.description)])
      scheduleKeeping(atLeast: Checkpoints.spread)
    }
  }
}
