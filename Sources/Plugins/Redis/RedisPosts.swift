import ParleyRuntime

/// Posts: a plain XADD for each on the first attempt, all of a turn in one write. Outlives sessions, because what an
/// earlier one left in doubt is settled by the next.
//
// @unchecked: confined to the loop's thread.
final class RedisPosts: @unchecked Sendable {
  /// What is known of a generated key whose post was not answered in time.
  enum Doubt {
    /// Sent on a connection that still lives: its reply will come.
    case inFlight(RedisPost)
    case stored(Receipt)
    /// Stored by the master, but too few replicas said so.
    case underReplicated(Receipt)
    /// Sent on a connection that is gone.
    case lost(StaleConnection)
  }

  let loop: EventLoop
  let options: RedisOptions
  let keys: RedisKeys
  var session: RedisSession? {
    didSet { durability = session?.main.facts.durability ?? .unknown }
  }

  private var open: [UInt64: RedisPost] = [:]
  private var lastNumber: UInt64 = 0
  private var backlog: [RedisPost] = []
  private var isPumping = false
  private var isDraining = false
  private var sweepTimer: (timer: LoopTimer, at: LoopInstant)?
  var doubts: [String: Doubt] = [:]
  private var doubtOrder: [String] = []
  /// Topics that this session posted to.
  private var logs: [Topic: PostedLog] = [:]
  /// What this session's connections will leave behind when they end.
  private var stale: [ObjectIdentifier: StaleConnection] = [:]
  var replicaBatches: [ObjectIdentifier: ReplicaBatch] = [:]
  private var durability = Durability.unknown
  private var lastTimestamp: (milliseconds: Int64, text: String) = (-1, "")

  /// At most this many posts are unanswered; more are refused as `unavailable`.
  private static let openLimit = 16_384
  /// So many outcomes are remembered for a retry; the oldest are forgotten first.
  private static let doubtLimit = 2 * openLimit

  init(loop: EventLoop, options: RedisOptions) {
    self.loop = loop
    self.options = options
    keys = RedisKeys(prefix: options.keyPrefix)
  }

  // MARK: In

  /// Takes a post; its number, by which it can be cancelled.
  @discardableResult
  func submit(_ draft: Draft, deadline: LoopInstant, reply: @escaping PostReply) -> UInt64 {
    lastNumber += 1
    let post = RedisPost(number: lastNumber, draft: draft, deadline: deadline, reply: reply)
    do throws(SeamError) {
      guard session != nil else { throw SeamError(.unavailable, operation: "post", cause: "not connected") }
      try draft.validate()
      guard deadline > loop.now else {
        throw SeamError(.timedOut, operation: "post", cause: "the deadline has passed; nothing was done")
      }
      guard open.count < Self.openLimit else {
        throw SeamError(.unavailable, operation: "post", cause: "\(Self.openLimit) posts are unanswered already")
      }
    } catch {
      post.answer(.failure(error))
      return post.number
    }
    open[post.number] = post
    scheduleSweep(at: deadline)
    admit(post)
    return post.number
  }

  /// The caller gave up: what was not sent is withdrawn, the rest is in doubt.
  func cancel(_ number: UInt64) {
    guard let post = open[number] else { return }
    giveUp(
      post, SeamError(.cancelled, operation: "post", cause: "the caller cancelled"),
      cause: "the caller cancelled while the server had it; a retry with the same key is safe")
  }

  private func admit(_ post: RedisPost) {
    if post.draft.key.isChosen {
      loop.spawn { await self.postOnce(post) }
      return
    }
    guard !doubts.isEmpty else { return send(post) }
    switch doubts[post.draft.key.text] {
    case nil: send(post)
    case .stored(let receipt): finish(post, .success(receipt))
    case .inFlight(let earlier):
      post.isSent = true
      earlier.followers.append(post)
    case .lost, .underReplicated: loop.spawn { await self.settle(post) }
    }
  }

  // MARK: Out

  /// The plain attempt.
  func send(_ post: RedisPost) {
    guard let session else { return finish(post, .failure(Self.notConnected)) }
    let log = log(of: post.draft.topic)
    let connection = session.connection(for: log.stream)
    // Beyond what the stream takes posts wait in a list, from which they can still be withdrawn.
    guard connection.hasRoom, backlog.isEmpty || isDraining else {
      backlog.append(post)
      return pump()
    }
    post.isSent = true
    post.bound = log.latest ?? earliest(on: connection)
    connection.send(
      taking: { [self] result in
        if case .success(let reply) = result, let id = reply.streamID, let text = reply.text {
          return stored(id, text, post, log, connection)
        }
        let result = result.map(\.copy)
        guard case .success(.null) = result else { return take(result, for: post, from: connection) }
        // The stream is new: made by a script that counts it.
        let create = RedisScript.create.command(
          keys: [log.stream, keys.generation(of: log.stream)], arguments: tail(post.draft))
        connection.send(create) { [self] in take($0, for: post, from: connection) }
      }
    ) { encode(post.draft, log, into: &$0) }
    trimByLength(post.draft.topic, log, on: connection)
    if options.replicas > 0 { post.batch = batch(for: connection) }
  }

  private func log(of topic: Topic) -> PostedLog {
    if let known = logs[topic] { return known }
    if logs.count >= 4096 { logs = [:] }
    let log = PostedLog(stream: keys.stream(topic.name))
    logs[topic] = log
    return log
  }

  /// XADD of a stream that exists.
  private func encode(_ draft: Draft, _ log: PostedLog, into output: inout [UInt8]) {
    let trimming = trimming(draft)
    RESP.begin(4 + (trimming == nil ? 0 : 3) + 2 * StoredEntry.fieldCount(of: draft), into: &output)
    output.append(contentsOf: log.command)
    if let trimming {
      RESP.append(trimming.kind, to: &output)
      RESP.append("~", to: &output)
      RESP.append(trimming.bound, to: &output)
    }
    output.append(contentsOf: Self.anyID)
    StoredEntry.forEachField(of: draft, timestamp: timestamp()) { field, value in
      output.append(contentsOf: Self.fieldNames[field.rawValue])
      RESP.append(value, to: &output)
    }
  }

  /// What every XADD has, as the server reads it.
  private static let anyID = RESP.bulk("*")
  private static let fieldNames = StoredEntry.Field.allCases.map { RESP.bulk($0.name) }

  /// What follows the key in XADD, for scripts: trimming, the id for the server to give, the fields.
  func tail(_ draft: Draft) -> [String] {
    var arguments: [String] = []
    if let trimming = trimming(draft) { arguments += [trimming.kind, "~", String(trimming.bound)] }
    arguments.append("*")
    StoredEntry.forEachField(of: draft, timestamp: timestamp()) {
      arguments += [$0.name, $1]
    }
    return arguments
  }

  /// How a post trims its stream; reserved topics hold state that must not age out behind its back.
  private func trimming(_ draft: Draft) -> (kind: String, bound: UInt64)? {
    guard !draft.topic.isReserved else { return nil }
    if let days = options.retentionDays { return ("MINID", UInt64(max(0, serverClock - Int64(days * 86_400_000)))) }
    return options.maximumLength.map { ("MAXLEN", UInt64($0)) }
  }

  /// Now, as entries say it; posts of one millisecond share the text.
  private func timestamp() -> String {
    let now = loop.wallClockMilliseconds
    if lastTimestamp.milliseconds != now { lastTimestamp = (now, Timestamp.text(now)) }
    return lastTimestamp.text
  }

  /// XADD takes one way of trimming; where both are configured the second comes by a command of its own now and then.
  private func trimByLength(_ topic: Topic, _ log: PostedLog, on connection: RedisConnection) {
    guard options.retentionDays != nil, !topic.isReserved, let length = options.maximumLength else { return }
    log.postsSinceTrim += 1
    guard log.postsSinceTrim == 64 else { return }
    log.postsSinceTrim = 0
    connection.send(["XTRIM", log.stream, "MAXLEN", "~", String(length)]) { _ in }
  }

  /// The server's clock, by which retention counts.
  private var serverClock: Int64 { session?.main.facts.now(loop) ?? loop.wallClockMilliseconds }

  private func pump() {
    guard !isPumping else { return }
    isPumping = true
    loop.spawn { await self.drainBacklog() }
  }

  private func drainBacklog() async {
    while let post = backlog.first, let session {
      let connection = session.connection(for: keys.stream(post.draft.topic.name))
      // Ends with the session at the latest, which empties the list.
      guard connection.hasRoom else {
        if !(await connection.room(until: loop.now.advanced(by: options.timeout))), !connection.isOpen { break }
        continue
      }
      backlog.removeFirst()
      isDraining = true
      if !post.isAnswered { send(post) }
      isDraining = false
    }
    isPumping = false
    if !backlog.isEmpty, session != nil { pump() }
  }

  // MARK: Replies

  private func take(_ result: Result<RedisReply, SeamError>, for post: RedisPost, from connection: RedisConnection) {
    switch result {
    case .success(.string(let text)), .success(.status(let text)):
      guard let id = StreamID(text) else { fallthrough }
      stored(id, text, post, log(of: post.draft.topic), connection)
    case .success(.error(let text)):
      let error = RedisError(text)
      if error.redirection != nil || error.code == "TRYAGAIN" {
        loop.spawn { await self.postElsewhere(post) }
        return
      }
      finish(post, .failure(error.seamError("post")))
      if error.endsSession { connection.fail(error.seamError("post")) }
    case .success:
      finish(
        post,
        .failure(
          SeamError(.outcomeUnknown, operation: "post", cause: "the server's answer to XADD is not an entry's id")))
    case .failure(let error):
      let record = staleConnection(connection)
      record.add(post)
      doubt(post, .lost(record))
      finish(post, .failure(Self.unknown(error.cause)))
    }
  }

  private func stored(
    _ id: StreamID, _ text: String, _ post: RedisPost, _ log: PostedLog, _ connection: RedisConnection
  ) {
    if log.latest.map({ $0 < id }) ?? true { log.latest = id }
    let receipt = receipt(id, text)
    guard let batch = post.batch else { return finish(post, .success(receipt)) }
    // A stream's first post comes after its turn's WAIT.
    if batch.isOver {
      wait(for: ReplicaBatch(stored: [(post, receipt)]), on: connection)
    } else {
      batch.stored.append((post, receipt))
    }
  }

  func receipt(_ id: StreamID, isDuplicate: Bool = false) -> Receipt {
    receipt(id, id.description, isDuplicate: isDuplicate)
  }

  private func receipt(_ id: StreamID, _ text: String, isDuplicate: Bool = false) -> Receipt {
    Receipt(
      id: MessageID(text), cursor: LogPlace.cursor(after: text), storedAt: Int64(clamping: id.milliseconds),
      durability: durability, isDuplicate: isDuplicate)
  }

  static func unknown(_ cause: String) -> SeamError {
    SeamError(.outcomeUnknown, operation: "post", cause: cause)
  }

  static var notConnected: SeamError { SeamError(.unavailable, operation: "post", cause: "not connected") }

  /// Answers a post and those that wait with it, and remembers what nobody was there to hear.
  func finish(_ post: RedisPost, _ outcome: Result<Receipt, SeamError>) {
    open[post.number] = nil
    var result = outcome
    let key = post.draft.key.text
    if !post.draft.key.isChosen {
      switch result {
      case .success(let receipt):
        if !post.followers.isEmpty || post.isAnswered || (!doubts.isEmpty && doubts[key] != nil) {
          // Whoever asks again is told that it was stored before.
          let again = Receipt(
            id: receipt.id, cursor: receipt.cursor, storedAt: receipt.storedAt, durability: receipt.durability,
            isDuplicate: true)
          doubt(post, .stored(again))
          if post.isAnswered { result = .success(again) }
        }
      case .failure(let error): if error.code != .outcomeUnknown, case .inFlight = doubts[key] { doubts[key] = nil }
      }
    }
    post.answer(result)
    guard !post.followers.isEmpty else { return }
    for follower in post.followers {
      open[follower.number] = nil
      follower.answer(result)
    }
    post.followers = []
  }

  func doubt(_ post: RedisPost, _ doubt: Doubt) {
    let key = post.draft.key.text
    guard !post.draft.key.isChosen else { return }
    if doubts.updateValue(doubt, forKey: key) == nil { doubtOrder.append(key) }
    if doubtOrder.count > Self.doubtLimit {
      for old in doubtOrder.prefix(Self.doubtLimit / 4) { doubts[old] = nil }
      doubtOrder.removeFirst(Self.doubtLimit / 4)
    }
  }

  // MARK: Deadlines and loss

  private func giveUp(_ post: RedisPost, _ withdrawn: SeamError, cause: String) {
    open[post.number] = nil
    guard post.isSent else {
      backlog.removeAll { $0 === post }
      return post.answer(.failure(withdrawn))
    }
    if !post.draft.key.isChosen, doubts[post.draft.key.text] == nil { doubt(post, .inFlight(post)) }
    post.answer(.failure(Self.unknown(cause)))
  }

  private func scheduleSweep(at deadline: LoopInstant) {
    if let sweepTimer {
      if sweepTimer.at <= deadline { return }
      loop.cancel(sweepTimer.timer)
    }
    let timer = loop.schedule(after: loop.now.duration(to: deadline)) { [weak self] in self?.sweep() }
    sweepTimer = (timer, deadline)
  }

  private func sweep() {
    sweepTimer = nil
    let now = loop.now
    var next: LoopInstant?
    for post in Array(open.values) {
      if post.deadline <= now {
        giveUp(
          post, SeamError(.timedOut, operation: "post", cause: "the deadline passed before it was sent"),
          cause: "the server has not answered; a retry with the same key is safe")
      } else {
        next = min(next ?? post.deadline, post.deadline)
      }
    }
    if let next { scheduleSweep(at: next) }
  }

  /// The session is over; its connections have failed what they owed already.
  func sessionEnded(_ error: SeamError) {
    session = nil
    let waiting = backlog
    backlog = []
    for post in waiting { finish(post, .failure(error)) }
    logs = [:]
    stale = [:]
    replicaBatches = [:]
    // Posts whose work is between two commands see for themselves that the session is gone.
  }

  /// An id before anything that is posted from now on: ten minutes, so that a server's clock that is set back by less
  /// hides nothing.
  private func earliest(on connection: RedisConnection) -> StreamID {
    guard let now = connection.facts.now(loop) else { return .zero }
    return StreamID(milliseconds: UInt64(max(0, now - 600_000)), sequence: 0)
  }

  private func staleConnection(_ connection: RedisConnection) -> StaleConnection {
    if let known = stale[ObjectIdentifier(connection)] { return known }
    let record = StaleConnection(
      loop: loop, clientID: connection.facts.clientID, runID: connection.facts.runID)
    stale[ObjectIdentifier(connection)] = record
    return record
  }
}
