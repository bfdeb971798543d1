import ParleyRuntime

/// How far a participant has read each topic: a fold over the participant's own topic `@handle`.
///
/// Marks move only by `mark` (here or in another process of the same handle), never because something was pushed or
/// fetched.
public actor ReadMarks: LoopActor {
  /// So many marks after the last checkpoint, the next one is stored, so that loading reads little.
  static let marksPerCheckpoint = 128
  private static let importKey = "read-state-import"

  public nonisolated let loop: EventLoop
  private let hub: Hub
  private let topic: Topic
  private let pageLimit: Int
  private var fold: ReadMarkFold
  /// Everything up to here is in the fold; nil before the first load.
  private var position: Cursor?
  private var follow: FollowID?
  private var keeping: LoopTimer?
  private var observers: [@Sendable (Topic, Cursor) -> Void] = []

  /// Makes the read marks of the hub's author; nothing is read until `load`.
  public init(hub: Hub) { self.init(hub: hub, pageLimit: 200) }

  init(hub: Hub, pageLimit: Int) {
    loop = hub.loop
    self.hub = hub
    self.pageLimit = pageLimit
    let owner = hub.setup.author.handle
    topic = owner.ownTopic
    fold = ReadMarkFold(owner: owner)
  }

  /// How far each topic was read.
  public var marks: [Topic: Cursor] { fold.marks.mapValues(\.cursor) }

  /// Messages of the own topic that this fold does not know, or that are damaged.
  public var ignoredEvents: Int { fold.ignoredEvents }

  /// Calls `observer` on the loop whenever a mark moved because of somebody else: another process of the handle, or a
  /// load. Not for `mark` of this object.
  public func observe(_ observer: @escaping @Sendable (Topic, Cursor) -> Void) { observers.append(observer) }

  // MARK: Reading

  /// Reads the own topic back to the last checkpoint, or to its beginning. Waits for the backend until `deadline` (nil
  /// for the hub's patience), then throws its failure; may be called again.
  public func load(until deadline: LoopInstant? = nil) async throws(HubError) {
    let deadline = deadline ?? loop.now.advanced(by: hub.setup.patience)
    let (messages, end) = try await history(until: deadline)
    var loaded = ReadMarkFold(owner: fold.owner, account: fold.account)
    for message in messages { loaded.apply(message) }
    if position == nil || follow == nil { position = end }
    change { $0.merge(loaded) }
  }

  /// Follows the own topic, so that what other processes of the handle mark arrives; `load` must have worked.
  public func start() async {
    guard let position, follow == nil else { return }
    follow = await hub.supervisor.follow(topic, after: position, isUrgent: false) { [weak self] delivery in
      self?.assumeIsolated { $0.take(delivery) }
      return .more
    }
    await keepLater()
  }

  /// Ends following.
  public func stop() async {
    if let keeping { loop.cancel(keeping) }
    keeping = nil
    guard let follow else { return }
    self.follow = nil
    await hub.supervisor.unfollow(follow)
  }

  private func take(_ delivery: Delivery) {
    position = delivery.cursor
    switch delivery {
    case .message(let message): change { $0.apply(message) }
    case .gap: loop.spawn { await self.reload() }
    }
  }

  /// After a gap, until it works: what the lost part said is in a checkpoint, or gone.
  private func reload() async {
    while follow != nil {
      do throws(HubError) {
        return try await load()
      } catch {
        guard await loop.sleep(for: .seconds(1)) else { return }
      }
    }
  }

  private func change(_ body: (inout ReadMarkFold) -> Void) {
    let before = fold.marks
    body(&fold)
    guard fold.marks != before else { return }
    for (topic, mark) in fold.marks.sorted(by: { $0.key < $1.key }) where before[topic]?.cursor != mark.cursor {
      for observer in observers { observer(topic, mark.cursor) }
    }
  }

  /// The messages that the state depends on, in log order, and the end of the log.
  private func history(until deadline: LoopInstant) async throws(HubError) -> ([Message], Cursor) {
    var page = try await read(.latest, until: deadline)
    // Known from the first connection on, so behind a read.
    let account = await hub.supervisor.traits.account
    if account != fold.account { fold = ReadMarkFold(owner: fold.owner, account: account) }
    // A message's own cursor, where there is one: a checkpoint's `through` is looked for among them.
    let end = page.messages.last?.cursor ?? page.next
    var pages = [page.messages]
    // The newest checkpoint stands for everything up to its `through`, which may lie further back than itself: another
    // process can have marked something between that place and the checkpoint.
    var through: Cursor?
    while true {
      for message in page.messages.reversed() {
        if message.cursor == through { return (pages.reversed().flatMap { $0 }, end) }
        if through == nil, fold.isOwn(message) { through = ReadMarkEvent.through(of: message) }
      }
      guard let previous = page.previous else { return (pages.reversed().flatMap { $0 }, end) }
      page = try await read(.before(previous), until: deadline)
      pages.append(page.messages)
    }
  }

  private func read(_ position: Position, until deadline: LoopInstant) async throws(HubError) -> Page {
    while true {
      do throws(HubError) {
        return try await hub.fetchUnchecked(FetchRequest(topic, position, limit: pageLimit))
      } catch {
        guard case .seam(let failure) = error, failure.code.isTransient, loop.now < deadline else { throw error }
        guard await loop.sleep(for: .milliseconds(200)) else { throw error }
      }
    }
  }

  // MARK: Writing

  /// Says that a topic was read up to a place, the end of a page whose last message was stored at `storedAt`.
  ///
  /// Writes nothing where the mark stands there already or at a later place. Throws when the mark was not stored.
  public func mark(_ topic: Topic, at cursor: Cursor, storedAt: Int64) async throws(HubError) {
    let mark = ReadMark(cursor: cursor, storedAt: storedAt)
    if let current = fold.marks[topic], storedAt < current.storedAt || cursor == current.cursor { return }
    try await post(.mark(topic, mark))
    fold.advance(topic, to: mark)
    // The count and the place that a checkpoint names come from the log: from loading, and from following it.
    if await isDue { await checkpoint() }
  }

  /// What the marks stand on has grown long or old, and would leave the store some day.
  private var isDue: Bool {
    get async {
      if fold.marksSinceCheckpoint >= Self.marksPerCheckpoint { return true }
      guard let since = fold.since else { return false }
      return loop.wallClockMilliseconds - since >= Checkpoints.age(on: await hub.supervisor.traits).milliseconds
    }
  }

  /// Looks now and then whether a checkpoint is due; processes of the handle do so at different moments.
  private func keepLater(atLeast least: Duration = .zero) async {
    let age = Checkpoints.age(on: await hub.supervisor.traits).milliseconds
    guard follow != nil else { return }
    if let keeping { loop.cancel(keeping) }
    let due = max(least.milliseconds, fold.since.map { $0 + age - loop.wallClockMilliseconds } ?? age)
    let spread = Int64(loop.random() % UInt64(max(1, min(Checkpoints.spread.milliseconds, age / 10))))
    keeping = loop.schedule(after: .milliseconds(due + spread)) { [weak self] in
      guard let self else { return }
      self.loop.spawn {
        if await self.isDue { await self.checkpoint() }
        await self.keepLater(atLeast: Checkpoints.spread)
      }
    }
  }

  /// Takes over marks that the TypeScript Parley kept in a file, for topics without a mark; once in the handle's life.
  public func importOnce(_ marks: [Topic: Cursor]) async throws(HubError) {
    guard !fold.hasImported, !marks.isEmpty else { return }
    let imported = marks.filter { fold.marks[$0.key] == nil }.mapValues { ReadMark(cursor: $0, storedAt: 0) }
    do throws(HubError) {
      try await post(.imported(imported), key: Self.importKey)
    } catch {
      // Another process, or an earlier life of this one, did it with what it found then.
      guard case .seam(let failure) = error, failure.code == .keyReused else { throw error }
      return try await load()
    }
    change { $0.adopt(imported) }
  }

  /// Stores all marks in one event, as far as a message can carry them. The mark that led here is stored in any case.
  private func checkpoint() async {
    guard let position else { return }
    let event = ReadMarkEvent.checkpoint(fold.marks, hasImported: fold.hasImported, through: position)
    let limit = min(hub.setup.limits.contentBytes, await hub.supervisor.traits.contentLimit ?? .max)
    guard event.message.content.utf8.count <= limit else { return }
    do throws(HubError) {
      try await post(event)
      fold.noteCheckpoint(at: loop.wallClockMilliseconds)
    } catch {
      Log.write(.warning, "no checkpoint of the read marks was stored", [("cause", error.description)])
    }
  }

  private func post(_ event: ReadMarkEvent, key: String? = nil) async throws(HubError) {
    let (content, attributes) = event.message
    _ = try await hub.postUnchecked(PostRequest(topic: topic, content: content, key: key, attributes: attributes))
  }
}
