import ParleyRuntime

/// One connection and everything that lives as long as it: requests in flight, known streams, consumers.
//
// @unchecked: only touched on its backend's loop; tasks and timers there refer to it.
final class NATSSession: @unchecked Sendable {
  /// What a request is answered with.
  enum Reply: Sendable {
    case answer(Answer)
    case batch([StoredMessage])
    case failed(SeamError)
  }

  /// A request that has not been answered.
  final class Asked {
    let subject: String
    /// Where it is a post, whose outcome is open when the session ends: its stream, as it was known then.
    let post: PostTarget?
    /// What has come of an answer in many parts; nil where it is one.
    var parts: [StoredMessage]?
    /// Who takes the answer where no task waits for it, and until when.
    let unattended: (patience: LoopInstant, take: (Reply) -> Void)?

    init(
      subject: String, post: PostTarget?, parts: [StoredMessage]? = nil,
      unattended: (patience: LoopInstant, take: (Reply) -> Void)? = nil
    ) {
      self.subject = subject
      self.post = post
      self.parts = parts
      self.unattended = unattended
    }
  }

  /// Where a post goes.
  struct PostTarget: Sendable {
    let names: TopicNames
    let generation: String
  }

  let handle: NATSHandle
  /// What the subjects of our answers begin with, the last dot included.
  let inbox: String
  /// What our consumers' names begin with, the last dash included.
  let consumerPrefix: String
  private let consumerBytes: [UInt8]
  let lost: @Sendable (SeamError) -> Void
  let replies: Waiters<Reply>
  var asked: [UInt64: Asked] = [:]
  /// Streams that were seen to exist, as they were then.
  var streams: [StreamName: StreamFacts] = [:]
  /// Streams that are being looked up or made, and who waits for them.
  var ensuring: [StreamName: Waiters<Result<StreamFacts, SeamError>>] = [:]
  let gate: PostGate
  /// Subscriptions by their id.
  var readers: [SubscriptionID: LiveReader] = [:]
  /// Those with a consumer, by the consumer's number.
  var routes: [UInt64: LiveReader] = [:]
  var lastConsumer: UInt64 = 0
  /// Posts and fetches are admitted.
  var isReady = false
  /// The server is about to go: no new posts.
  var isLeaving = false
  /// The number of the last request that no task waits for: beyond all tickets.
  private var lastUnattended: UInt64 = 1 << 40
  /// How many requests are in flight that no task waits for, and whether their patience is being watched.
  private var unattended = 0
  var isSweeping = false
  /// The largest message the server takes, headers included, in bytes.
  let maximumPayload: Int
  /// Posts are being looked after that perhaps nobody listens to.
  var isVerifying = false
  /// More of them may be since that look began.
  var verifiesAgain = false
  /// The server can answer a direct get of many messages (2.11 and later).
  var hasBatches = false
  /// The server tells us of streams that are made and deleted.
  var hasAdvisories = true
  var heard: LoopInstant
  /// When the server was last asked for a sign of life that has not come.
  var askedForLife: LoopInstant?
  var pulse: LoopTimer?
  var lookedForStreams: LoopInstant

  init(handle: NATSHandle, inboxPrefix: String, loop: EventLoop, lost: @escaping @Sendable (SeamError) -> Void) {
    self.handle = handle
    maximumPayload = handle.maximumPayload
    self.lost = lost
    let name = String(loop.random(), radix: 36) + String(loop.random(), radix: 36)
    inbox = "\(inboxPrefix).\(name)."
    consumerPrefix = "parley-\(name)-"
    consumerBytes = Array(consumerPrefix.utf8)
    replies = Waiters(loop: loop)
    gate = PostGate(loop: loop)
    heard = loop.now
    lookedForStreams = loop.now
  }

  /// The number of one of our consumers, by its name.
  func consumer(named name: ArraySlice<UInt8>) -> UInt64? {
    let known = consumerBytes
    let bytes = name.span
    let prefix = known.span
    guard bytes.count > prefix.count else { return nil }
    for index in prefix.indices where bytes[index] != prefix[index] { return nil }
    return Delivered.number(bytes.extracting(droppingFirst: prefix.count))
  }

  /// Sends a request and returns the ticket to wait with.
  func ask(
    _ subject: String, _ data: [UInt8], headers: WireHeaders? = nil, post: PostTarget? = nil, inParts: Bool = false
  ) throws(NATSFailure) -> UInt64 {
    let ticket = replies.ticket()
    do throws(NATSFailure) {
      try handle.publish(data, to: subject, reply: String(inbox, decimal: Int64(ticket)), headers: headers)
    } catch {
      replies.forget(ticket)
      throw error
    }
    asked[ticket] = Asked(subject: subject, post: post, parts: inParts ? [] : nil)
    return ticket
  }

  /// Sends a request whose answer a closure takes, or at `patience` its failure as `outcomeUnknown`, by `expire`.
  func ask(
    _ subject: String, _ data: [UInt8], headers: WireHeaders, post: PostTarget, patience: LoopInstant,
    take: @escaping (Reply) -> Void
  ) throws(NATSFailure) {
    lastUnattended += 1
    try handle.publish(data, to: subject, reply: String(inbox, decimal: Int64(lastUnattended)), headers: headers)
    asked[lastUnattended] = Asked(subject: subject, post: post, unattended: (patience, take))
    unattended += 1
  }

  /// Whether requests are in flight that no task waits for.
  var hasUnattended: Bool { unattended > 0 }

  /// Ends those that were not answered in time.
  func expire(at now: LoopInstant) {
    for (ticket, request) in asked where request.unattended.map({ $0.patience <= now }) == true {
      let late = SeamError(
        .outcomeUnknown, operation: "post",
        cause: "the server has not answered in time, but the message was sent; the same key is safe")
      resolve(ticket, .failed(late))
    }
  }

  /// The answer reaches whoever takes it.
  private func deliver(_ ticket: UInt64, _ request: Asked, _ reply: Reply) {
    guard let unattended = request.unattended else { return replies.resume(ticket, reply) }
    self.unattended -= 1
    unattended.take(reply)
  }

  /// Nobody will wait for the answer.
  func forget(_ ticket: UInt64) {
    asked[ticket] = nil
    replies.forget(ticket)
  }

  /// Files an answer. One in many parts ends with the first that is no message.
  func take(_ answer: Answer, _ ticket: UInt64) {
    guard let request = asked[ticket] else { return }
    guard request.parts != nil else {
      asked[ticket] = nil
      return deliver(ticket, request, .answer(answer))
    }
    if let message = answer.direct {
      request.parts?.append(message)
      return
    }
    asked[ticket] = nil
    let parts = request.parts ?? []
    // 204: all of them came. 404: there were none.
    let isEnd = answer.status == 204 || answer.status == 404
    replies.resume(ticket, isEnd ? .batch(parts) : .answer(answer))
  }

  /// The stream is looked at again before the next post.
  func forget(_ stream: StreamName) { streams[stream] = nil }

  func streamDeleted(_ stream: StreamName) {
    streams[stream]?.numbers.end()
    forget(stream)
  }

  /// Ends a request early.
  func resolve(_ ticket: UInt64, _ reply: Reply) {
    if let request = asked.removeValue(forKey: ticket) { deliver(ticket, request, reply) }
  }

  /// Answers what went to a subject that the server refused.
  func refuse(_ subject: String, _ error: SeamError) {
    for (ticket, request) in asked where request.subject == subject {
      asked[ticket] = nil
      deliver(ticket, request, .failed(error))
    }
  }

  /// Answers everything that is open, when the session ends.
  func end(_ error: SeamError) {
    let open = asked.sorted { $0.key < $1.key }
    asked = [:]
    for (ticket, request) in open {
      let outcome =
        request.post != nil
        ? SeamError(
          .outcomeUnknown, operation: "post", cause: "the session ended before the server answered: \(error.cause)")
        : error
      deliver(ticket, request, .failed(outcome))
    }
    for waiters in ensuring.values { waiters.resumeAll(.failure(error)) }
    ensuring = [:]
    gate.end(error)
  }
}

/// Bounds the posts that are in flight, by number and by size; the others wait in order.
final class PostGate {
  /// At most this many posts are in flight, or of this many bytes.
  static let posts = 2048
  static let bytes = 8 << 20
  /// At most this many wait; more are refused.
  static let queueLimit = 16_384

  private let turns: Waiters<SeamError?>
  private var queue: [(ticket: UInt64, bytes: Int)] = []
  private var count = 0
  private var size = 0

  init(loop: EventLoop) { turns = Waiters(loop: loop) }

  /// Takes a place at once, or nil where the caller has to wait for one with `turn`.
  func enter(_ bytes: Int) -> Bool {
    guard queue.isEmpty, fits(bytes) else { return false }
    count += 1
    size += bytes
    return true
  }

  /// Waits for a place. What is not admitted at the deadline was not stored.
  func turn(
    _ bytes: Int, until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) {
    guard queue.count < Self.queueLimit else {
      throw SeamError(.unavailable, operation: "post", cause: "\(Self.queueLimit) posts are waiting already")
    }
    let ticket = turns.ticket()
    queue.append((ticket, bytes))
    switch await turns.wait(ticket, until: deadline) {
    case .value(nil): return
    case .value(let error?): throw error
    case .timedOut:
      withdraw(ticket, bytes)
      throw SeamError(.timedOut, operation: "post", cause: "earlier posts were not answered in time; it is not stored")
    case .cancelled:
      withdraw(ticket, bytes)
      throw SeamError(.cancelled, operation: "post", cause: "the caller cancelled; it is not stored")
    }
  }

  /// One that is not in the queue any more was given a place just before it gave up.
  private func withdraw(_ ticket: UInt64, _ bytes: Int) {
    guard let index = queue.firstIndex(where: { $0.ticket == ticket }) else { return leave(bytes) }
    queue.remove(at: index)
  }

  /// Gives a place back.
  func leave(_ bytes: Int) {
    count -= 1
    size -= bytes
    while let next = queue.first, fits(next.bytes) {
      queue.removeFirst()
      count += 1
      size += next.bytes
      turns.resume(next.ticket, nil)
    }
  }

  /// Refuses everyone who waits.
  func end(_ error: SeamError) {
    queue = []
    turns.resumeAll(error)
  }

  var isEmpty: Bool { count == 0 }

  private func fits(_ bytes: Int) -> Bool { count == 0 || (count < Self.posts && size + bytes <= Self.bytes) }
}
