import ParleyRuntime

/// The posts of one turn that wait for replicas together.
//
// @unchecked: confined to the loop's thread.
final class ReplicaBatch: @unchecked Sendable {
  var stored: [(RedisPost, Receipt)]
  /// WAIT has answered.
  var isOver = false

  init(stored: [(RedisPost, Receipt)] = []) { self.stored = stored }
}

extension RedisPosts {
  func batch(for connection: RedisConnection) -> ReplicaBatch {
    if let known = replicaBatches[ObjectIdentifier(connection)] { return known }
    let batch = ReplicaBatch()
    replicaBatches[ObjectIdentifier(connection)] = batch
    loop.atEndOfTurn { [self] in
      replicaBatches[ObjectIdentifier(connection)] = nil
      wait(for: batch, on: connection)
    }
    return batch
  }

  /// One WAIT for all posts of a turn; the posts' own replies have come before its.
  func wait(for batch: ReplicaBatch, on connection: RedisConnection) {
    let command = ["WAIT", String(options.replicas), String(options.replicaTimeout.milliseconds)]
    connection.send(command, patience: options.replicaTimeout) { [self] result in
      batch.isOver = true
      for (post, receipt) in batch.stored { finish(post, replicated(post, receipt, result)) }
    }
  }

  func replicated(
    _ post: RedisPost, _ receipt: Receipt, _ reply: Result<RedisReply, SeamError>
  ) -> Result<Receipt, SeamError> {
    let count: Int
    switch reply {
    case .success(.error(let text)): return .failure(RedisError(text).seamError("wait for replicas"))
    case .success(let reply): count = reply.number ?? 0
    case .failure: count = 0
    }
    guard count >= options.replicas else {
      doubt(post, .underReplicated(receipt))
      return .failure(
        Self.unknown("the master has it, \(count) of \(options.replicas) replicas said so; a failover may lose it"))
    }
    return .success(
      Receipt(
        id: receipt.id, cursor: receipt.cursor, storedAt: receipt.storedAt, durability: .replicated(count + 1),
        isDuplicate: receipt.isDuplicate))
  }
}
