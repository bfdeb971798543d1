import ParleyRuntime

/// How a lane makes sure that nothing was removed unread before what a read brought.
extension BlockingLane {
  /// Asks whether the entry before a stream's next one exists still; a place without one is left to the stream's counts.
  func askWitness(
    of stream: FollowedStream, for read: PendingRead, on connection: RedisConnection, _ patience: Duration = .zero
  ) {
    guard let witness = stream.earliestPlace?.witness else { return }
    read.openQuestions += 1
    let take: RedisConnection.Taker = { [self] in
      guard self.read === read, case .success(let reply) = $0 else { return }
      read.openQuestions -= 1
      // The read's own answer came before this one.
      if reply.count == 0, read.found(of: stream) != nil { findLosses(read, stream) }
      proceed(read)
    }
    connection.send(patience: patience, taking: take) {
      RESP.encode(StreamReader.existence(of: witness, in: stream.name), into: &$0)
    }
  }

  /// Asks how many entries a stream has: cheap, and nearly always enough.
  func askLength(
    of stream: FollowedStream, for read: PendingRead, on connection: RedisConnection, _ patience: Duration = .zero
  ) {
    guard asksLength else { return }
    read.openQuestions += 1
    let take: RedisConnection.Taker = { [self] in
      guard self.read === read, case .success(let reply) = $0 else { return }
      read.openQuestions -= 1
      stream.length = reply.integer
      if reply.errorText != nil { asksLength = false }
      if stream.question == .length, let found = read.found(of: stream),
        found.count >= read.limit || !stream.isSound(found.count)
      {
        askAfterwards(stream, for: read, on: connection)
      }
      proceed(read)
    }
    connection.send(patience: patience, taking: take) { $0.append(contentsOf: stream.lengthCommand) }
  }

  /// The read's answer is here, but nothing that was asked with it shows that it is whole.
  func askAfterwards(_ stream: FollowedStream, for read: PendingRead, on connection: RedisConnection) {
    guard stream.earliestPlace?.witness != nil else { return findLosses(read, stream) }
    askWitness(of: stream, for: read, on: connection)
  }

  /// Rare: which of the stream's subscriptions lost what is found out one by one.
  func findLosses(_ read: PendingRead, _ stream: FollowedStream) {
    read.openQuestions += 1
    loop.spawn { [self] in
      do throws(SeamError) {
        for subscription in stream.subscriptions where !subscription.isEnded {
          let place = subscription.place
          if let loss = try await reader.loss(after: place, in: stream.name) {
            read.losses.append((subscription, place, loss))
          }
        }
        read.openQuestions -= 1
        proceed(read)
      } catch {
        // Without an answer nothing may be delivered.
        if self.read === read { giveUp(error) }
      }
    }
  }

  var reader: StreamReader {
    StreamReader(session: session, keys: keys, deadline: loop.now.advanced(by: session.options.timeout))
  }
}
