import ParleyRuntime
import Synchronization

/// The one reading connection, on a thread of its own: fetches, the push stream, checkpoints.
///
/// Every subscription is either catching up by pages of its own topic, or carried by one stream over the whole log, or
/// paused. One hand-over is on its way at a time, so a slow loop stops the reading instead of filling memory.
actor SQLiteReader: LoopActor {
  /// Deliveries for the backend's loop, in order.
  struct HandOver: Sendable {
    struct Item: Sendable {
      let subscription: SubscriptionID
      /// How often the subscription was resumed before this was read.
      let run: UInt32
      /// Where the subscription stands after this delivery.
      let position: Int64
      let delivery: Delivery
    }

    var items: [Item] = []
    /// Those that are carried by the stream from here on, and where they stand.
    var live: [(id: SubscriptionID, position: Int64, run: UInt32)] = []
    /// Every row up to here has been read for those that the stream carries.
    var reach: Int64 = -1

    var isEmpty: Bool { items.isEmpty && live.isEmpty }
  }

  /// What the reader tells the backend; called on the reader's thread.
  enum Report: Sendable {
    case fetched(FetchCall, Result<Page, SeamError>)
    case deliver(HandOver)
    case lost(SeamError)
    /// Push works by polling only, for this reason; nil when it is event-driven.
    case polling(String?)
  }

  private enum Stage {
    case catchingUp(LogPlace, Cursor)
    /// Carried by the stream; rows up to the position have been delivered.
    case live(position: Int64)
    case paused
  }

  private struct Subscription {
    let topic: Topic
    var stage: Stage
    var run: UInt32 = 0
    /// The highest deleted id that it has been told of.
    var told: Int64 = 0
  }

  nonisolated let loop: EventLoop
  let options: SQLiteOptions
  let report: @Sendable (Report) -> Void
  var session: ReaderSession?
  private var subscriptions: [SubscriptionID: Subscription] = [:]
  private var topics: [ExactText: [SubscriptionID]] = [:]
  /// Subscriptions that catch up, first come first served.
  private var behind: [SubscriptionID] = []
  /// Everything up to here has been read by the stream.
  private var streamPosition: Int64 = 0
  var liveCount = 0
  /// There may be rows after `streamPosition`.
  var isStale = false
  /// The last row that the sidecar told of; nil where something else made the stream stale.
  var committed: Int64?
  private var isHandingOver = false
  /// Waits for the word that the last hand-over was taken; otherwise that word need not wake the thread.
  nonisolated let wantsWord = Atomic<Bool>(false)
  /// Rows that this process stored last, consecutive: the loop gives them to subscribers and says so.
  private nonisolated let ownRows = Mutex<ClosedRange<Int64>?>(nil)
  /// Those of them that the loop has given since the stream was read, consecutive.
  private nonisolated let givenRows = Mutex<ClosedRange<Int64>?>(nil)
  var dataVersion: Int64 = 0

  var sidecarWatch: SidecarWatch?
  /// The same, for the writer's thread.
  nonisolated let announcedWatch = Mutex<SidecarWatch?>(nil)
  var watch: Watch?
  var pollTimer: LoopTimer?
  var checkpointTimer: LoopTimer?
  /// The WAL's length at the last checkpoint that could not have it start over.
  var checkpointedPages = 0
  var lastGrowth: LoopInstant
  /// Reads between which a hand-over is filled; see `pump`.
  private static let itemsPerHandOver = 512

  init(loop: EventLoop, options: SQLiteOptions, report: @escaping @Sendable (Report) -> Void) {
    self.loop = loop
    self.options = options
    self.report = report
    lastGrowth = loop.now
  }

  /// Opens the file that the writer has made ready.
  func open(facts: Schema.Facts) throws(SeamError) {
    do throws(SQLiteFailure) {
      session = try ReaderSession(path: options.path, facts: facts)
    } catch {
      throw error.seamError("open \(options.path)")
    }
  }

  /// Closes the file and ends the thread.
  func close() {
    stopWatching()
    if let checkpointTimer { loop.cancel(checkpointTimer) }
    subscriptions = [:]
    session = nil
    loop.stop()
  }

  /// Statements left open, which must be none between two turns.
  var openStatements: Int { session?.openStatements ?? 0 }

  // MARK: Fetch

  /// Reads a page, unless the call was withdrawn meanwhile.
  func fetch(_ call: FetchCall) {
    guard call.take() else { return }
    do throws(SQLiteFailure) {
      guard let page = try session?.page(call.request) else {
        report(.fetched(call, .failure(SeamError(.unavailable, operation: "fetch", cause: "the file is closed"))))
        return
      }
      report(.fetched(call, .success(page)))
    } catch {
      report(.fetched(call, .failure(error.seamError("fetch"))))
    }
  }

  // MARK: Subscriptions

  /// Starts a subscription at a place.
  func subscribe(_ id: SubscriptionID, topic: Topic, from place: LogPlace, cursor: Cursor) {
    guard session != nil else { return }
    // Watching starts before the first read, so that nothing falls between them.
    if subscriptions.isEmpty { startWatching() }
    subscriptions[id] = Subscription(topic: topic, stage: .catchingUp(place, cursor))
    topics[ExactText(topic.name), default: []].append(id)
    behind.append(id)
    pump()
  }

  /// Goes on with a paused subscription after the last delivery that its sink took.
  func resume(_ id: SubscriptionID, from position: Int64, run: UInt32) {
    guard let subscription = subscriptions[id] else { return }
    leaveStream(subscription)
    subscriptions[id]?.run = run
    catchUp(id, from: position)
    pump()
  }

  /// Ends a subscription.
  func unsubscribe(_ id: SubscriptionID) {
    guard let subscription = subscriptions.removeValue(forKey: id) else { return }
    leaveStream(subscription)
    let key = ExactText(subscription.topic.name)
    topics[key]?.removeAll { $0 == id }
    if topics[key]?.isEmpty == true { topics[key] = nil }
    behind.removeAll { $0 == id }
    if subscriptions.isEmpty { stopWatching() }
  }

  /// The loop has taken a hand-over; these subscriptions want no more for now.
  func handedOver(paused: [SubscriptionID]) {
    isHandingOver = false
    pause(paused)
    pump()
  }

  /// These subscriptions want no more for now.
  func pause(_ ids: [SubscriptionID]) {
    for id in ids {
      guard let subscription = subscriptions[id] else { continue }
      leaveStream(subscription)
      behind.removeAll { $0 == id }
      subscriptions[id]?.stage = .paused
    }
  }

  private func leaveStream(_ subscription: Subscription) {
    if case .live = subscription.stage { liveCount -= 1 }
  }

  private func catchUp(_ id: SubscriptionID, from position: Int64) {
    guard let cursor = session?.cursor(position) else { return }
    subscriptions[id]?.stage = .catchingUp(.after(position), cursor)
    behind.append(id)
  }

  // MARK: Rows of our own

  /// Notes that this process has stored these rows, and has others told by `touch`; on the writer's thread.
  ///
  /// The reader itself sleeps on: to wake it would take longer than the touch.
  nonisolated func announce(_ rows: ClosedRange<Int64>, touch: () -> Void) {
    ownRows.withLock { Self.join(rows, to: &$0) }
    guard let watch = announcedWatch.withLock({ $0 }) else { return touch() }
    if watch.silently(touch) {
      loop.execute { [weak self] in self?.assumeIsolated { $0.rewatch() } }
    } else if watch.committed > rows.upperBound {
      loop.execute { [weak self] in self?.assumeIsolated { $0.readOn() } }
    }
  }

  /// Notes that the loop has given these rows itself, which nobody needs to know before the stream is read; on the loop.
  nonisolated func gave(_ rows: ClosedRange<Int64>) { givenRows.withLock { Self.join(rows, to: &$0) } }

  func stepOverGivenRows() {
    let given = givenRows.withLock { rows in
      defer { rows = nil }
      return rows
    }
    guard let given, streamPosition >= given.lowerBound - 1, streamPosition < given.upperBound else { return }
    let reached = given.upperBound
    streamPosition = reached
    for (id, subscription) in subscriptions {
      if case .live(let position) = subscription.stage, position < reached {
        subscriptions[id]?.stage = .live(position: reached)
      }
    }
  }

  private static func join(_ rows: ClosedRange<Int64>, to known: inout ClosedRange<Int64>?) {
    if let before = known, before.upperBound + 1 == rows.lowerBound {
      known = before.lowerBound...rows.upperBound
    } else {
      known = rows
    }
  }

  /// The loop could not give rows of our own, since others come first: they are read like any.
  func missed() {
    isStale = true
    committed = nil
    pump()
  }

  /// Whether there may be rows that neither the stream has read nor the loop will give.
  func isBehind(_ committed: Int64) -> Bool {
    guard committed > streamPosition else { return false }
    guard let own = ownRows.withLock({ $0 }) else { return true }
    return own.lowerBound > streamPosition + 1 || own.upperBound < committed
  }

  // MARK: The stream

  /// Reads what is there into one hand-over, the stream first, then those that catch up.
  func pump() {
    guard session != nil else { return }
    guard !isHandingOver else {
      // There is something to read: the loop's word that it took the last hand-over is wanted at once. (If it is in the
      // inbox already, it is read next.)
      wantsWord.store(true, ordering: .sequentiallyConsistent)
      return
    }
    stepOverGivenRows()
    var handOver = HandOver()
    do throws(SQLiteFailure) {
      repeat {
        if isStale, liveCount > 0 { try readStream(into: &handOver) }
        var turns = behind.count
        while turns > 0, handOver.items.count < Self.itemsPerHandOver {
          turns -= 1
          try readBehind(into: &handOver)
        }
      } while handOver.items.isEmpty && (!behind.isEmpty || (isStale && liveCount > 0))
    } catch {
      // A lock passes: what was not read is read at the next poll. Anything else ends the session.
      guard error.isBusy else {
        lose(error.seamError("read \(options.path)"))
        return
      }
      isStale = true
    }
    guard !handOver.isEmpty else { return }
    handOver.reach = streamPosition
    isHandingOver = true
    wantsWord.store(isStale || !behind.isEmpty, ordering: .sequentiallyConsistent)
    report(.deliver(handOver))
  }

  private func readStream(into handOver: inout HandOver) throws(SQLiteFailure) {
    guard
      let stretch = try session?.stretch(
        after: streamPosition, committed: committed, isWanted: { topics[$0] != nil })
    else { return }
    isStale = stretch.hasMore
    committed = nil
    streamPosition = stretch.position
    var starts: [SubscriptionID: Int64] = [:]
    if !stretch.deleted.isEmpty {
      for (id, subscription) in subscriptions {
        if case .live(let position) = subscription.stage { starts[id] = position }
      }
    }
    for (row, message) in zip(stretch.rows.ids, stretch.rows.messages) {
      for id in topics[ExactText(message.topic.name)] ?? [] {
        guard let subscription = subscriptions[id], case .live(let position) = subscription.stage, row > position
        else { continue }
        if !stretch.deleted.isEmpty, let deleted = stretch.deleted[ExactText(subscription.topic.name)], deleted < row {
          tellDeletion(deleted, to: id, from: starts[id] ?? position, next: row - 1, into: &handOver)
        }
        subscriptions[id]?.stage = .live(position: row)
        handOver.items.append(
          HandOver.Item(subscription: id, run: subscription.run, position: row, delivery: .message(message)))
      }
    }
    for (topic, deleted) in stretch.deleted {
      for id in topics[topic] ?? [] {
        tellDeletion(deleted, to: id, from: starts[id] ?? deleted, next: deleted, into: &handOver)
      }
    }
  }

  /// Delivers the gap that ends at `next`, unless the subscription knows of it.
  private func tellDeletion(
    _ deleted: Int64, to id: SubscriptionID, from position: Int64, next: Int64, into handOver: inout HandOver
  ) {
    guard let subscription = subscriptions[id], case .live(let reached) = subscription.stage,
      deleted > max(position, subscription.told), let from = session?.cursor(position), let to = session?.cursor(next)
    else { return }
    subscriptions[id]?.told = deleted
    subscriptions[id]?.stage = .live(position: max(reached, next))
    let gap = Gap(
      topic: subscription.topic, from: from, to: to, reason: "messages were deleted before they were delivered",
      isCertain: true)
    handOver.items.append(
      HandOver.Item(subscription: id, run: subscription.run, position: max(reached, next), delivery: .gap(gap)))
  }

  /// Reads one page for the first of those that catch up.
  private func readBehind(into handOver: inout HandOver) throws(SQLiteFailure) {
    guard let id = behind.first, let subscription = subscriptions[id],
      case .catchingUp(let place, let cursor) = subscription.stage
    else {
      if !behind.isEmpty { behind.removeFirst() }
      return
    }
    let read = try session?.catchUp(
      subscription.topic, from: place, cursor: cursor, told: subscription.told, limit: Self.itemsPerHandOver)
    guard let read else { return }
    behind.removeFirst()
    subscriptions[id]?.told = read.deleted
    if let gap = read.gap {
      let position = read.rows.ids.first.map { $0 - 1 } ?? read.position
      handOver.items.append(
        HandOver.Item(subscription: id, run: subscription.run, position: position, delivery: .gap(gap)))
    }
    for (row, message) in zip(read.rows.ids, read.rows.messages) {
      handOver.items.append(
        HandOver.Item(subscription: id, run: subscription.run, position: row, delivery: .message(message)))
    }
    guard !read.hasMore else {
      catchUp(id, from: read.position)
      return
    }
    // It has everything up to this snapshot's end; the stream, which may be behind, skips what it has.
    if liveCount == 0 {
      streamPosition = read.position
      isStale = true
      committed = nil
    }
    liveCount += 1
    subscriptions[id]?.stage = .live(position: read.position)
    handOver.live.append((id, read.position, subscription.run))
  }

  func lose(_ error: SeamError) {
    stopWatching()
    subscriptions = [:]
    topics = [:]
    behind = []
    liveCount = 0
    session = nil
    report(.lost(error))
  }
}
