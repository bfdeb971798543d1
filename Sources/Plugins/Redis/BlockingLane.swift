import ParleyRuntime

/// One connection's endless read: XREAD BLOCK over its streams from where each stands, again and again.
///
/// What it returns is delivered only when the entry before it is known to exist still, so that nothing that was trimmed
/// in between is passed over in silence: the streams that were busy lately are asked for it in the same write as the
/// read, the others when they wake.
//
// @unchecked: confined to the loop's thread.
final class BlockingLane: @unchecked Sendable {
  private enum Link {
    case none
    case opening
    case open(RedisConnection)
    case ended
  }

  private let session: RedisSession
  private let keys: RedisKeys
  private let loop: EventLoop
  private let noticed: (String) -> Void
  private let lost: (SeamError) -> Void

  private var link = Link.none
  private var streams: [String: [RedisSubscription]] = [:]
  /// A read is under way, with what it asked for.
  private var read: PendingRead?
  private var isArming = false
  private var isUnblocking = false
  /// Entries of one stream that a read may bring: fewer after large ones, so that a reply stays in the order of 1 MiB.
  private var count = 16
  /// Streams that brought something lately, the latest last; their witnesses are asked for with the read.
  private var busy: [String] = []
  /// Where the round over quiet streams goes on, and whether one is under way.
  private var inspected = 0
  private var isInspecting = false

  /// False where the server, or the number of slots, makes it look by turns.
  private var blocks: Bool
  private var pause: Duration = .milliseconds(10)
  private var timer: LoopTimer?
  /// Reads that came back empty before their time, one after the other.
  private var prematureReturns = 0

  private static let busyLimit = 16
  private static let inspectedAtOnce = 8

  init(
    session: RedisSession, keys: RedisKeys, blocks: Bool, noticed: @escaping (String) -> Void,
    lost: @escaping (SeamError) -> Void
  ) {
    self.session = session
    self.keys = keys
    loop = session.loop
    self.blocks = blocks
    self.noticed = noticed
    self.lost = lost
  }

  // MARK: The set of streams

  func add(_ subscription: RedisSubscription) {
    streams[subscription.stream, default: []].append(subscription)
    changed()
  }

  func remove(_ subscription: RedisSubscription) {
    streams[subscription.stream]?.removeAll { $0 === subscription }
    if streams[subscription.stream]?.isEmpty == true { streams[subscription.stream] = nil }
  }

  /// What should be read is more, or begins earlier, than what the read under way covers: it is armed anew.
  func changed() {
    if let read {
      guard !covers(read) else { return }
      read.isOutdated = true
      if read.isBlocking { unblock() }
    } else {
      armSoon()
    }
  }

  func end() {
    if let timer { loop.cancel(timer) }
    timer = nil
    if case .open(let connection) = link { connection.close() }
    link = .ended
    read = nil
    streams = [:]
  }

  /// The id from which a stream must be read, for the one of its subscriptions that stands earliest; nil when all pause.
  private func position(of stream: String) -> StreamID? {
    var earliest: StreamID?
    for subscription in streams[stream] ?? [] where !subscription.isPaused {
      let position = subscription.place.position
      if earliest.map({ position < $0 }) ?? true { earliest = position }
    }
    return earliest
  }

  private func covers(_ read: PendingRead) -> Bool {
    streams.keys.allSatisfy { stream in
      guard let wanted = position(of: stream) else { return true }
      return read.positions[stream].map { $0 <= wanted } ?? false
    }
  }

  // MARK: Arming

  private func armSoon() {
    guard !isArming else { return }
    isArming = true
    loop.atEndOfTurn { [self] in
      isArming = false
      arm()
    }
  }

  private func arm() {
    guard read == nil else { return }
    var positions: [String: StreamID] = [:]
    for stream in streams.keys { positions[stream] = position(of: stream) }
    guard let any = positions.keys.first else { return }
    switch link {
    case .ended, .opening: return
    case .none: open(for: any)
    case .open(let connection): arm(positions, on: connection)
    }
  }

  private func open(for stream: String) {
    link = .opening
    loop.spawn { [self] in
      do throws(SeamError) {
        let deadline = loop.now.advanced(by: session.options.timeout)
        let connection = try await session.openReader(for: stream, until: deadline, lost: lost)
        guard case .opening = link else { return connection.close() }
        link = .open(connection)
        arm()
      } catch {
        if case .opening = link {
          link = .ended
          lost(error)
        }
      }
    }
  }

  private func arm(_ positions: [String: StreamID], on connection: RedisConnection) {
    if let timer { loop.cancel(timer) }
    timer = nil
    let read = PendingRead(positions: positions, isBlocking: blocks, began: loop.now)
    self.read = read
    var command = ["XREAD", "COUNT", String(count)]
    if blocks { command += ["BLOCK", String(max(1, session.options.block.milliseconds))] }
    command.append("STREAMS")
    command.append(contentsOf: positions.keys)
    for position in positions.values { command.append("\(position)") }
    let patience = blocks ? session.options.block : .zero
    connection.send(command, patience: patience) { [self] in answered(read, $0) }
    for stream in busy where positions[stream] != nil { askWitness(of: stream, for: read, on: connection, patience) }
  }

  /// Wakes the read under way from the command connection; what it has found by then is not lost, since every read
  /// begins where the last delivery ended.
  private func unblock() {
    guard !isUnblocking, let read, case .open(let connection) = link else { return }
    isUnblocking = true
    loop.atEndOfTurn { [self] in sendUnblock(read, connection) }
  }

  private func sendUnblock(_ read: PendingRead, _ connection: RedisConnection) {
    guard let number = connection.facts.clientID else { return replace(connection) }
    session.connection(for: read.positions.keys.first ?? "").send(["CLIENT", "UNBLOCK", String(number)]) { [self] in
      guard self.read === read else { return isUnblocking = false }
      switch $0 {
      case .success(.integer(1)): isUnblocking = false
      case .success(.integer):
        // It does not block yet, or no more: its answer is on its way, or the word came too early.
        loop.schedule(after: .milliseconds(1)) { [self] in
          if self.read === read { sendUnblock(read, connection) } else { isUnblocking = false }
        }
      // Not permitted: a new connection does as well.
      case .success: replace(connection)
      case .failure: isUnblocking = false
      }
    }
  }

  private func replace(_ connection: RedisConnection) {
    isUnblocking = false
    connection.close()
    guard case .open = link else { return }
    read = nil
    link = .none
    armSoon()
  }

  // MARK: Answers

  private func answered(_ read: PendingRead, _ result: Result<RedisReply, SeamError>) {
    guard self.read === read else { return }
    switch result {
    case .failure: self.read = nil
    case .success(.error(let text)): refused(read, RedisError(text))
    case .success(let reply):
      for stream in reply.elements {
        let parts = stream.elements
        guard parts.count == 2, let name = parts[0].text else { continue }
        read.found.append((name, parts[1].elements))
      }
      read.isAnswered = true
      for (name, _) in read.found where !read.asked.contains(name) {
        if case .open(let connection) = link, earliestPlace(of: name)?.witness != nil {
          askWitness(of: name, for: read, on: connection)
        } else {
          findLosses(read, name)
        }
      }
      proceed(read)
    }
  }

  private func refused(_ read: PendingRead, _ error: RedisError) {
    self.read = nil
    // Some hosted servers know XREAD without BLOCK alone.
    if read.isBlocking, !error.endsSession, ["ERR", "UNSUPPORTED"].contains(error.code) {
      return pollFromNowOn("the server refuses blocking reads (\(error.text))")
    }
    if error.code == "UNBLOCKED" { return armSoon() }
    giveUp(error.seamError("read new messages"))
  }

  private func pollFromNowOn(_ reason: String) {
    blocks = false
    noticed("\(reason): new messages are looked for every 10 ms to \(session.options.pollInterval.milliseconds) ms")
    armSoon()
  }

  /// Asks whether the entry before a stream's next one exists still; a place without one is left to the stream's counts.
  private func askWitness(
    of stream: String, for read: PendingRead, on connection: RedisConnection, _ patience: Duration = .zero
  ) {
    guard let witness = earliestPlace(of: stream)?.witness else { return }
    read.asked.insert(stream)
    read.openQuestions += 1
    connection.send(StreamReader.existence(of: witness, in: stream), patience: patience, isCount: true) { [self] in
      guard self.read === read, case .success(let reply) = $0 else { return }
      read.openQuestions -= 1
      // The read's own answer came before this one.
      if reply.elements.isEmpty, read.found.contains(where: { $0.stream == stream }) { findLosses(read, stream) }
      proceed(read)
    }
  }

  private func earliestPlace(of stream: String) -> LogPlace? {
    (streams[stream] ?? []).filter { !$0.isPaused }.map(\.place).min { $0.position < $1.position }
  }

  /// Rare: which of the stream's subscriptions lost what is found out one by one.
  private func findLosses(_ read: PendingRead, _ stream: String) {
    read.openQuestions += 1
    loop.spawn { [self] in
      do throws(SeamError) {
        for subscription in streams[stream] ?? [] where !subscription.isEnded {
          let place = subscription.place
          if let loss = try await reader.loss(after: place, in: stream) {
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

  private var reader: StreamReader {
    StreamReader(session: session, keys: keys, deadline: loop.now.advanced(by: session.options.timeout))
  }

  private func giveUp(_ error: SeamError) {
    read = nil
    if case .open(let connection) = link { connection.close() }
    guard !isEnded else { return }
    link = .ended
    lost(error)
  }

  private var isEnded: Bool {
    if case .ended = link { true } else { false }
  }

  /// Delivers when everything that was asked is answered, then reads on.
  private func proceed(_ read: PendingRead) {
    guard self.read === read, read.isAnswered, read.openQuestions == 0 else { return }
    self.read = nil
    isUnblocking = false
    for (subscription, place, loss) in read.losses where subscription.place == place { tell(loss, to: subscription) }
    var bytes = 0
    for (stream, entries) in read.found {
      bytes += deliver(entries, of: stream, from: read.positions[stream] ?? .zero)
    }
    count = bytes > 1 << 20 ? max(count / 4, 1) : bytes < 1 << 17 ? min(count * 2, 256) : count
    guard read.found.isEmpty, !read.isOutdated else {
      prematureReturns = 0
      pause = .milliseconds(10)
      return armSoon()
    }
    returnedEmpty(read)
  }

  private func returnedEmpty(_ read: PendingRead) {
    guard blocks else {
      timer = loop.schedule(after: pause) { [weak self] in self?.arm() }
      pause = min(pause * 2, session.options.pollInterval)
      return
    }
    // A server that answers at once, and was not told to, does not block at all.
    let isPremature = read.began.duration(to: loop.now) < session.options.block / 2
    prematureReturns = isPremature ? prematureReturns + 1 : 0
    if prematureReturns >= 5 { return pollFromNowOn("the server does not wait in blocking reads") }
    armSoon()
    inspectQuietStreams()
  }

  private func tell(_ loss: StreamReader.Loss, to subscription: RedisSubscription) {
    guard !subscription.isEnded, !subscription.isPaused else { return }
    let gap = Gap(
      topic: subscription.topic, from: subscription.place.cursor, to: loss.next.cursor, reason: loss.reason,
      isCertain: loss.isCertain)
    subscription.deliver(.gap(gap), then: loss.next)
  }

  /// Hands a stream's entries to its subscriptions; the bytes of their content.
  private func deliver(_ entries: [RedisReply], of stream: String, from start: StreamID) -> Int {
    guard let listeners = streams[stream], let topic = listeners.first?.topic else { return 0 }
    var bytes = 0
    busy.removeAll { $0 == stream }
    busy.append(stream)
    if busy.count > Self.busyLimit { busy.removeFirst() }
    for entry in entries {
      guard let (id, message) = StoredEntry.message(entry, on: topic) else { continue }
      bytes += message.content.utf8.count
      for subscription in listeners where !subscription.isPaused && !subscription.isEnded {
        // Those that stand further on share the read of one that stands earlier; one that came meanwhile, and stands
        // before where the read began, waits for the next.
        let position = subscription.place.position
        guard position >= start, position < id else { continue }
        subscription.deliver(.message(message), then: .after(id))
      }
    }
    return bytes
  }

  // MARK: Quiet streams

  /// A stream that was deleted, or rolled back behind its readers, wakes nobody: a few are looked at while nothing
  /// happens.
  private func inspectQuietStreams() {
    guard !isInspecting else { return }
    let names = streams.keys.sorted()
    isInspecting = true
    loop.spawn { [self] in
      for _ in 0..<min(Self.inspectedAtOnce, names.count) {
        inspected = (inspected + 1) % names.count
        await inspect(names[inspected])
      }
      isInspecting = false
    }
  }

  private func inspect(_ stream: String) async {
    for subscription in streams[stream] ?? [] where !subscription.isEnded && !subscription.isPaused {
      let place = subscription.place
      if let witness = place.witness, await reader.exists(witness, in: stream) { continue }
      // A failure is the session's to notice.
      guard let loss = try? await reader.loss(after: place, in: stream), subscription.place == place else { continue }
      tell(loss, to: subscription)
      changed()
    }
  }
}
