import ParleyRuntime

/// A connection that ended while posts of it were unanswered: what must be done before they may be sent again.
//
// @unchecked: confined to the loop's thread.
final class StaleConnection: @unchecked Sendable {
  let clientID: Int?
  let runID: String?
  /// For each topic an id that is smaller than that of any post in doubt.
  private(set) var bounds: [Topic: StreamID] = [:]
  var isFenced = false
  /// The topic of each key in doubt.
  private(set) var topics: [String: Topic] = [:]
  /// Topics whose streams were searched: a key that was not found there was never stored.
  var searched: Set<Topic> = []
  private let turns: Waiters<Void>
  private var isBusy = false

  init(loop: EventLoop, clientID: Int?, runID: String?) {
    self.clientID = clientID
    self.runID = runID
    turns = Waiters(loop: loop)
  }

  /// Files a post that the connection did not answer.
  func add(_ post: RedisPost) {
    let topic = post.draft.topic
    topics[post.draft.key.text] = topic
    bounds[topic] = min(bounds[topic] ?? post.bound, post.bound)
  }

  /// One task at a time settles a connection; false when it was not this one's turn by the deadline.
  func enter(until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation) async -> Bool {
    while isBusy {
      guard case .value = await turns.wait(turns.ticket(), until: deadline) else { return false }
    }
    isBusy = true
    return true
  }

  func leave() {
    isBusy = false
    turns.resumeAll(())
  }
}

extension RedisPosts {
  /// A retry of a post whose outcome an earlier session left unknown: finds out, and sends it only when it is not there.
  func settle(_ post: RedisPost) async {
    do throws(SeamError) {
      switch doubts[post.draft.key.text] {
      case .lost(let stale): try await settle(stale, post)
      case .underReplicated(let receipt): return try await replicateAgain(post, receipt)
      default: break
      }
    } catch {
      return finish(post, .failure(error.code == .timedOut || error.code == .cancelled ? error : unavailable(error)))
    }
    guard !post.isAnswered else { return }
    switch doubts[post.draft.key.text] {
    case .stored(let receipt): finish(post, .success(receipt))
    case .inFlight(let earlier): earlier.followers.append(post)
    case .lost, .underReplicated: finish(post, .failure(Self.notConnected))
    case nil: send(post)
    }
  }

  private func unavailable(_ error: SeamError) -> SeamError {
    SeamError(
      error.code.isTransient ? .unavailable : error.code, native: error.native,
      operation: "find out what became of a post",
      cause: error.cause)
  }

  private func settle(_ stale: StaleConnection, _ post: RedisPost) async throws(SeamError) {
    let topic = post.draft.topic
    guard await stale.enter(until: post.deadline) else {
      throw SeamError(
        .timedOut, operation: "post", cause: "the deadline passed while an earlier attempt was looked for")
    }
    defer { stale.leave() }
    guard !stale.searched.contains(topic) else { return }
    guard let session else { throw Self.notConnected }
    let stream = keys.stream(topic.name)
    if !stale.isFenced {
      try await fence(stale, session, stream, until: post.deadline)
      stale.isFenced = true
    }
    try await search(stale, topic, stream, session, until: post.deadline)
    stale.searched.insert(topic)
  }

  /// Ends the old connection at the server, so that nothing of it can still be executed: commands may wait in its
  /// buffers, or in a proxy's. Numbers of connections mean nothing to another process than the one that gave them.
  private func fence(
    _ stale: StaleConnection, _ session: RedisSession, _ stream: String, until deadline: LoopInstant
  ) async throws(SeamError) {
    let connection = session.connection(for: stream)
    guard let number = stale.clientID, let runID = stale.runID, runID == connection.facts.runID else { return }
    let reply = try await connection.call(["CLIENT", "KILL", "ID", String(number)], until: deadline)
    // Without the right to do so the server's own reading must do: it reads what has arrived before it answers twice.
    if case .error = reply {
      _ = try await connection.call(["PING"], until: deadline)
      _ = try await connection.call(["PING"], until: deadline)
    }
  }

  /// Looks for every post of the topic that is in doubt, from before the first of them on.
  private func search(
    _ stale: StaleConnection, _ topic: Topic, _ stream: String, _ session: RedisSession, until deadline: LoopInstant
  ) async throws(SeamError) {
    var place = stale.bounds[topic] ?? .zero
    var found: [String: StreamID] = [:]
    while true {
      let reply = try await session.call(
        ["XRANGE", stream, "(\(place)", "+", "COUNT", "500"], key: stream, until: deadline)
      if case .error(let text) = reply { throw RedisError(text).seamError("look for an earlier attempt") }
      for entry in reply.elements {
        if let (id, key, _) = StoredEntry.key(of: entry), found[key] == nil { found[key] = id }
      }
      guard reply.elements.count == 500, let last = reply.elements.last?.elements.first?.text.flatMap({ StreamID($0) })
      else { break }
      place = last
    }
    for (key, doubt) in doubts {
      guard case .lost(let other) = doubt, other === stale else { continue }
      // Keys of other topics are decided by their own streams.
      guard stale.topics[key] == topic else { continue }
      doubts[key] = found[key].map { .stored(receipt($0, isDuplicate: true)) }
    }
  }

  /// Stored, but too few replicas said so: a write that changes nothing, so that WAIT waits for what came before it.
  private func replicateAgain(_ post: RedisPost, _ receipt: Receipt) async throws(SeamError) {
    guard let session else { throw Self.notConnected }
    let stream = keys.stream(post.draft.topic.name)
    let connection = session.connection(for: stream)
    _ = connection.begin(["INCRBY", keys.generation(of: stream), "0"])
    let command = ["WAIT", String(options.replicas), String(options.replicaTimeout.milliseconds)]
    post.isSent = true
    let reply = try await connection.call(command, patience: options.replicaTimeout, until: post.deadline)
    finish(post, replicated(post, receipt, .success(reply)))
  }

  /// A cluster's node sent the post away, having stored nothing.
  func postElsewhere(_ post: RedisPost) async {
    let stream = keys.stream(post.draft.topic.name)
    let command = RedisScript.create.command(
      keys: [stream, keys.generation(of: stream)], arguments: tail(post.draft))
    await finish(post, by: command) { [self] reply throws(SeamError) in
      guard let id = reply.text.flatMap({ StreamID($0) }) else { throw Self.strange }
      return receipt(id)
    }
  }

  /// A key that the caller chose: the server remembers it, and stores one message for it whoever posts.
  func postOnce(_ post: RedisPost) async {
    let draft = post.draft
    let stream = keys.stream(draft.topic.name)
    let name = SHA256.hexadecimal(draft.author.keyScope + "\u{1f}" + draft.key.text, digits: 40)
    let digest = StoredEntry.digest(of: draft)
    let command = RedisScript.postOnce.command(
      keys: [stream, keys.generation(of: stream), keys.ledger(of: stream, digest: name)],
      arguments: [digest, String(options.keyWindow.milliseconds)] + tail(draft))
    await finish(post, by: command) { [self] reply throws(SeamError) in
      let parts = reply.elements
      guard parts.count == 2, let text = parts[1].text else { throw Self.strange }
      let isKnown = parts[0].number == 1
      let words = text.split(separator: " ")
      guard let id = words.last.flatMap({ StreamID($0) }) else { throw Self.strange }
      if isKnown, words.first.map({ String($0) }) != digest {
        throw SeamError(
          .keyReused, operation: "post", cause: "the key '\(draft.key.text)' was used for other content (\(id))")
      }
      return receipt(id, isDuplicate: isKnown)
    }
  }

  private static var strange: SeamError {
    SeamError(.outcomeUnknown, operation: "post", cause: "the server's answer is not an entry's id")
  }

  /// Sends one command for one post and answers it; what happens to the connection leaves it in doubt.
  private func finish(
    _ post: RedisPost, by command: [String], reading: (RedisReply) throws(SeamError) -> Receipt
  ) async {
    guard let session else { return finish(post, .failure(Self.notConnected)) }
    let stream = keys.stream(post.draft.topic.name)
    let connection = session.connection(for: stream)
    guard connection.isOpen, await connection.room(until: post.deadline) else {
      return finish(post, .failure(Self.notConnected))
    }
    guard !post.isAnswered else { return }
    post.isSent = true
    do throws(SeamError) {
      // The post's own deadline answers its caller; the reply is waited for, so that it is known what became of it.
      let deadline = post.deadline.advanced(by: options.timeout)
      let reply = try await session.call(command, key: stream, until: deadline)
      if case .error(let text) = reply {
        let error = RedisError(text)
        finish(post, .failure(error.seamError("post")))
        if error.endsSession { connection.fail(error.seamError("post")) }
        return
      }
      let receipt = try reading(reply)
      guard options.replicas > 0 else { return finish(post, .success(receipt)) }
      let wait = ["WAIT", String(options.replicas), String(options.replicaTimeout.milliseconds)]
      let count = try await session.connection(for: stream).call(
        wait, patience: options.replicaTimeout, until: deadline.advanced(by: options.replicaTimeout))
      finish(post, replicated(post, receipt, .success(count)))
    } catch {
      let isDecided = error.code == .keyReused
      finish(
        post,
        .failure(
          isDecided ? error : SeamError(.outcomeUnknown, native: error.native, operation: "post", cause: error.cause)))
    }
  }
}
