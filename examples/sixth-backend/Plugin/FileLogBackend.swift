import ParleyRuntime

/// A parley in a directory: one append-only file for each topic, shared by the processes of one machine.
///
/// The actor admits calls and delivers; `LogKeeper` does what may block. inotify tells of what others append.
public actor FileLogBackend: Backend {
  public nonisolated let loop: EventLoop
  private let options: FileLogOptions
  private var session: Session?
  private var directoryWatch: DirectoryWatch?
  private var subscriptions: [SubscriptionID: Subscription] = [:]
  private var lastSubscription: UInt64 = 0

  private struct Session {
    let keeper: LogKeeper
    let watch: Watch
    let lost: @Sendable (SeamError) -> Void
  }

  private struct Subscription {
    let topic: Topic
    let fileName: String
    var cursor: Cursor
    let sink: Sink
    var isPaused = false
    /// A page is being read; what happens meanwhile is looked at afterwards.
    var isReading = false
    var isStale = false
  }

  /// The largest content, in bytes: with every character escaped a line stays below 4 MiB.
  private static let contentLimit = 512 << 10
  private static let readPatience = Duration.seconds(10)

  /// Makes a backend on `loop`; nothing is opened before `connect`.
  public init(loop: EventLoop, options: FileLogOptions) {
    self.loop = loop
    self.options = options
  }

  public var traits: BackendTraits {
    BackendTraits(
      name: "filelog", location: options.directory, durability: .synced, contentLimit: Self.contentLimit,
      keyWindow: .always)
  }

  // MARK: Session

  public func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    let operation = "open \(options.directory)"
    guard session == nil else {
      throw SeamError(.invalidRequest, operation: operation, cause: "it is connected already")
    }
    do throws(SystemError) {
      let changes = try DirectoryWatch(options.directory)
      let thread = try EventLoop.thread(named: "filelog")
      do throws(SystemError) {
        let keeper = try LogKeeper(loop: thread, directory: options.directory)
        let watch = try loop.watch(changes.descriptor, for: .read) { [weak self] _ in
          self?.assumeIsolated { $0.lookAround() }
        }
        session = Session(keeper: keeper, watch: watch, lost: lost)
        directoryWatch = consume changes
      } catch {
        thread.stop()
        throw error
      }
    } catch {
      throw error.seamError(operation)
    }
  }

  public func disconnect() async { await endSession()?.keeper.close() }

  private func endSession() -> Session? {
    guard let ended = session else { return nil }
    session = nil
    subscriptions = [:]
    loop.unwatch(ended.watch)
    directoryWatch = nil
    return ended
  }

  private func lose(_ error: SeamError) {
    guard let ended = endSession() else { return }
    loop.spawn { await ended.keeper.close() }
    ended.lost(error)
  }

  private func keeper(_ operation: String) throws(SeamError) -> LogKeeper {
    guard let session else { throw SeamError(.unavailable, operation: operation, cause: "not connected") }
    return session.keeper
  }

  // MARK: Calls

  public func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    try draft.validate()
    let limit = Self.contentLimit
    guard draft.content.utf8.count <= limit else {
      throw SeamError(.tooLarge(limit: limit), operation: "post", cause: "the content is over \(limit) bytes")
    }
    return try await keeper("post").append(draft, deadline: deadline)
  }

  public func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    guard (1...1000).contains(request.limit), !request.topic.name.utf8.contains(0) else {
      throw SeamError(
        .invalidRequest, operation: "fetch", cause: "a page has 1 to 1,000 messages, a topic's name no NUL")
    }
    return try await keeper("fetch").fetch(request, deadline: deadline)
  }

  public func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity { .unknown }

  // MARK: Live

  public func subscribe(
    _ topic: Topic, after cursor: Cursor, sink: @escaping Sink
  ) async throws(SeamError) -> SubscriptionID {
    _ = try keeper("subscribe")
    _ = try LogPlace(cursor)
    lastSubscription += 1
    let id = SubscriptionID(lastSubscription)
    subscriptions[id] = Subscription(
      topic: topic, fileName: LogKeeper.fileName(of: topic), cursor: cursor, sink: sink)
    readOn(id)
    return id
  }

  public func resume(_ subscription: SubscriptionID) {
    guard subscriptions[subscription]?.isPaused == true else { return }
    subscriptions[subscription]?.isPaused = false
    readOn(subscription)
  }

  public func unsubscribe(_ subscription: SubscriptionID) { subscriptions[subscription] = nil }

  /// The directory has changed.
  private func lookAround() {
    guard let changes = directoryWatch?.drain() else { return }
    if changes.isOver {
      return lose(
        SeamError(.unavailable, operation: "watch \(options.directory)", cause: "the directory was removed or moved"))
    }
    for (id, subscription) in subscriptions where changes.names?.contains(subscription.fileName) ?? true { readOn(id) }
  }

  /// Reads the next page of a subscription, unless one is on its way.
  private func readOn(_ id: SubscriptionID) {
    guard let session, let subscription = subscriptions[id], !subscription.isPaused else { return }
    guard !subscription.isReading else {
      subscriptions[id]?.isStale = true
      return
    }
    subscriptions[id]?.isReading = true
    subscriptions[id]?.isStale = false
    let request = FetchRequest(subscription.topic, .after(subscription.cursor), limit: 256)
    let (keeper, deadline) = (session.keeper, loop.now.advanced(by: Self.readPatience))
    loop.spawn { [weak self] in
      do throws(SeamError) {
        let page = try await keeper.fetch(request, deadline: deadline)
        await self?.deliver(page, to: id)
      } catch {
        await self?.lose(error, of: id)
      }
    }
  }

  private func deliver(_ page: Page, to id: SubscriptionID) {
    subscriptions[id]?.isReading = false
    let deliveries = (page.gap.map { [.gap($0)] } ?? []) + page.messages.map(Delivery.message)
    for delivery in deliveries {
      guard let subscription = subscriptions[id], !subscription.isPaused else { return }
      subscriptions[id]?.cursor = delivery.cursor
      if subscription.sink(delivery) == .pause { subscriptions[id]?.isPaused = true }
    }
    if subscriptions[id]?.isPaused == false { subscriptions[id]?.cursor = page.next }
    if page.hasMore || subscriptions[id]?.isStale == true { readOn(id) }
  }

  private func lose(_ error: SeamError, of id: SubscriptionID) {
    guard subscriptions[id] != nil else { return }
    lose(error)
  }
}
