import ParleyRuntime

/// A parley in Redis streams, one for each topic, shared with every program that reads and writes them, the TypeScript
/// Parley among them.
///
/// One connection carries all commands in pipeline, a second one the blocking read of all subscriptions.
public actor RedisBackend: Backend {
  /// Where the actor runs.
  public nonisolated let loop: EventLoop
  let options: RedisOptions
  /// The server, as people are told of it.
  private let location: String
  private let keys: RedisKeys
  private let posts: RedisPosts

  private struct Live {
    let session: RedisSession
    let tail: RedisTail
    let lost: @Sendable (SeamError) -> Void
  }

  private var live: Live?
  private var isConnecting = false
  /// Counts sessions, so that word of an earlier one is not taken for this one's.
  private var epoch: UInt64 = 0
  private var lastSubscription: UInt64 = 0
  private var facts: ServerFacts?

  /// How long connecting may take, looking for the server included.
  private static let patience = Duration.seconds(10)

  /// Makes a backend on `loop`; nothing is opened before `connect`.
  public init(loop: EventLoop, options: RedisOptions) {
    self.loop = loop
    self.options = options
    location = options.location
    keys = RedisKeys(prefix: options.keyPrefix)
    posts = RedisPosts(loop: loop, options: options)
  }

  /// Durability and notes are what the server tells of itself, once connected.
  public var traits: BackendTraits {
    let durability: Durability =
      options.replicas > 0 ? .replicated(options.replicas + 1) : facts?.durability ?? .unknown
    var notes = facts?.notes ?? []
    if let note = live?.tail.note { notes.append(note) }
    return BackendTraits(
      name: "redis", location: location, durability: durability, keyWindow: .atLeast(options.keyWindow),
      notes: notes)
  }

  // MARK: Session

  /// Finds the server and opens the command connection; see `Backend.connect`.
  public func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    let operation = "connect to \(location)"
    guard live == nil, !isConnecting else {
      throw SeamError(.invalidRequest, operation: operation, cause: "it is connected already")
    }
    isConnecting = true
    defer { isConnecting = false }
    epoch += 1
    let epoch = epoch
    let ended: (SeamError) -> Void = { [weak self] error in self?.assumeIsolated { $0.lose(error, epoch: epoch) } }
    let session = try await RedisSession.open(
      options, loop: loop, until: loop.now.advanced(by: Self.patience), lost: ended)
    guard epoch == self.epoch else {
      session.close()
      throw SeamError(.unavailable, operation: operation, cause: "disconnected while connecting")
    }
    facts = session.main.facts
    live = Live(session: session, tail: RedisTail(session: session, keys: keys, lost: ended), lost: lost)
    posts.session = session
  }

  /// Closes the connections at once; posts without an answer are in doubt.
  public func disconnect() async {
    epoch += 1
    end(SeamError(.unavailable, operation: "disconnect", cause: "disconnected"))
  }

  private func lose(_ error: SeamError, epoch: UInt64) {
    guard epoch == self.epoch, let lost = live?.lost else { return }
    self.epoch += 1
    end(error)
    lost(
      error.code == .outcomeUnknown ? SeamError(.unavailable, operation: error.operation, cause: error.cause) : error)
  }

  private func end(_ error: SeamError) {
    guard let ended = live else { return }
    live = nil
    ended.tail.end()
    ended.session.close()
    posts.sessionEnded(error)
  }

  private func connected(_ operation: String) throws(SeamError) -> Live {
    guard let live else { throw SeamError(.unavailable, operation: operation, cause: "not connected") }
    return live
  }

  // MARK: Posts

  /// Stores the draft by XADD, with the others of its turn in one write; see `Backend.post`.
  public func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    var number: UInt64?
    let box = CancelledBefore()
    let result: Result<Receipt, SeamError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        number = posts.submit(draft, deadline: deadline) { continuation.resume(returning: $0) }
        box.number = number
        if Task.isCancelled, let number { posts.cancel(number) }
      }
    } onCancel: {
      // On the canceller's thread: the loop decides.
      loop.execute { [weak self] in
        self?.assumeIsolated { if let number = box.number { $0.posts.cancel(number) } }
      }
    }
    return try result.get()
  }

  /// The same without a task: the answer comes straight from the connection's reply.
  public func submit(_ draft: Draft, deadline: LoopInstant, reply: @escaping PostReply) {
    posts.submit(draft, deadline: deadline, reply: reply)
  }

  // MARK: Reads

  /// Reads one page; see `Backend.fetch`.
  public func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    let live = try connected("fetch")
    guard (1...1000).contains(request.limit) else {
      throw SeamError(.invalidRequest, operation: "fetch", cause: "limit \(request.limit) is not in 1 to 1000")
    }
    guard deadline > loop.now else {
      throw SeamError(.timedOut, operation: "fetch", cause: "the deadline has passed")
    }
    return try await StreamReader(session: live.session, keys: keys, deadline: deadline).page(request)
  }

  /// Always unknown: whoever may write a stream may write any handle.
  public func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity { .unknown }

  // MARK: Subscriptions

  /// Delivers what follows the cursor; a loss that is known at once is told before this returns.
  public func subscribe(
    _ topic: Topic, after cursor: Cursor, sink: @escaping Sink
  ) async throws(SeamError) -> SubscriptionID {
    let live = try connected("subscribe")
    let place = try LogPlace(cursor)
    let stream = keys.stream(topic.name)
    let reader = StreamReader(
      session: live.session, keys: keys, deadline: loop.now.advanced(by: options.timeout + .seconds(1)))
    let loss = try await reader.loss(after: place, in: stream)
    guard let current = self.live, current.session === live.session else {
      throw SeamError(.unavailable, operation: "subscribe", cause: "the session ended meanwhile")
    }
    lastSubscription += 1
    let subscription = RedisSubscription(
      id: SubscriptionID(lastSubscription), topic: topic, stream: stream, place: place, sink: sink)
    live.tail.add(subscription)
    if let loss {
      let gap = Gap(
        topic: topic, from: cursor, to: loss.next.cursor, reason: loss.reason, isCertain: loss.isCertain)
      subscription.deliver(.gap(gap), then: loss.next)
    }
    return subscription.id
  }

  /// Reads on from where the sink paused.
  public func resume(_ subscription: SubscriptionID) { live?.tail.resume(subscription) }

  /// Ends the subscription; its sink is not called again.
  public func unsubscribe(_ subscription: SubscriptionID) { live?.tail.remove(subscription) }
}

/// The number of a post, for its cancellation, which may come before it is known.
//
// @unchecked: confined to the loop's thread.
private final class CancelledBefore: @unchecked Sendable {
  var number: UInt64?
}
