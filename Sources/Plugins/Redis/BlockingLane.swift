import ParleyRuntime

/// One connection's endless read: XREAD BLOCK over its streams from where each stands, again and again.
///
/// What it returns is delivered only when it is known that nothing before it was removed unread, so that no loss is passed
/// over in silence: the streams that were busy lately are asked in the same write as the read (`FollowedStream`), the
/// others when they wake.
//
// @unchecked: confined to the loop's thread.
final class BlockingLane: @unchecked Sendable {
  private enum Link {
    case none
    case opening
    case open(RedisConnection)
    case ended
  }

  let session: RedisSession
  let keys: RedisKeys
  let loop: EventLoop
  private let noticed: (String) -> Void
  private let lost: (SeamError) -> Void

  private var link = Link.none
  var streams: [FollowedStream] = []
  private var names: [String: FollowedStream] = [:]
  /// A read is under way, with what it asked for.
  var read: PendingRead?
  private var isArming = false
  private var isUnblocking = false
  /// Entries of one stream that a read may bring: fewer after large ones, so that a reply stays in the order of 1 MiB.
  private var count = 16
  /// Streams that brought something lately, the latest last; they are asked about with the read.
  private var busy: [FollowedStream] = []
  /// False where the user may not ask for a stream's length.
  var asksLength = true
  /// Where the round over quiet streams goes on, and whether one is under way.
  private var inspected = 0
  private var isInspecting = false

  /// False where the server, or the number of slots, makes it look by turns.
  private var blocks: Bool
  private var pause: Duration = .milliseconds(10)
  private var timer: LoopTimer?
  /// Reads that came back empty before their time, one after the other.
  private var prematureReturns = 0

  /// What every read has, as the server reads it.
  private static let readCommand = RESP.bulk("XREAD") + RESP.bulk("COUNT")
  private static let streamsArgument = RESP.bulk("STREAMS")
  private let blockArguments: [UInt8]

  private static let busyLimit = 16
  /// A stream that others outran so often is busy no more: to ask about it with each of their reads costs them more than
  /// it costs this one to be asked about when it wakes.
  private static let outrunLimit = 32
  private static let inspectedAtOnce = 8
  /// How long what nobody waits for may gather: a busy stream then wakes its idle readers so often, not with each message.
  private static let rest = Duration.milliseconds(5)

  init(
    session: RedisSession, keys: RedisKeys, blocks: Bool, noticed: @escaping (String) -> Void,
    lost: @escaping (SeamError) -> Void
  ) {
    self.session = session
    self.keys = keys
    loop = session.loop
    self.blocks = blocks
    blockArguments = RESP.bulk("BLOCK") + RESP.bulk(String(max(1, session.options.block.milliseconds)))
    self.noticed = noticed
    self.lost = lost
  }

  // MARK: The set of streams

  func add(_ subscription: RedisSubscription) {
    if let known = names[subscription.stream] {
      known.add(subscription)
    } else {
      let stream = FollowedStream(name: subscription.stream, topic: subscription.topic)
      stream.add(subscription)
      names[stream.name] = stream
      streams.append(stream)
    }
    changed()
  }

  func remove(_ subscription: RedisSubscription) {
    guard let stream = names[subscription.stream], !stream.remove(subscription) else { return }
    names[stream.name] = nil
    streams.removeAll { $0 === stream }
    busy.removeAll { $0 === stream }
  }

  /// What should be read is more, or begins earlier, than what the read under way covers: it is armed anew.
  func changed() {
    if let read {
      guard !streams.allSatisfy(\.isCovered) else { return }
      read.isOutdated = true
      if read.isBlocking { unblock() }
    } else {
      armSoon()
    }
  }

  /// Somebody waits for what was put off.
  func hurry() {
    if read == nil, timer != nil { armSoon() }
  }

  func end() {
    if let timer { loop.cancel(timer) }
    timer = nil
    if case .open(let connection) = link { connection.close() }
    link = .ended
    read = nil
    streams = []
    names = [:]
    busy = []
  }

  // MARK: Arming

  private func armSoon() {
    guard !isArming else { return }
    isArming = true
    // Behind what this turn writes: clients wait for that, and nobody for the next read.
    loop.atEndOfTurn { [self] in
      loop.atEndOfTurn { [self] in
        isArming = false
        arm()
      }
    }
  }

  private func armLater(after pause: Duration) {
    timer = loop.schedule(after: pause) { [weak self] in self?.arm() }
  }

  private func arm() {
    guard read == nil, let any = streams.first(where: { $0.earliestPlace != nil }) else { return }
    switch link {
    case .ended, .opening: return
    case .none: open(for: any.name)
    case .open(let connection): arm(on: connection)
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

  private func arm(on connection: RedisConnection) {
    if let timer { loop.cancel(timer) }
    timer = nil
    let read = PendingRead(isBlocking: blocks, began: loop.now, limit: count)
    self.read = read
    var wanted = 0
    for stream in streams where stream.arm() { wanted += 1 }
    let patience = blocks ? session.options.block : .zero
    connection.send(patience: patience, taking: { [self] in answered(read, $0) }) { output in
      RESP.begin((blocks ? 6 : 4) + 2 * wanted, into: &output)
      output.append(contentsOf: Self.readCommand)
      RESP.append(UInt64(read.limit), to: &output)
      if blocks { output.append(contentsOf: blockArguments) }
      output.append(contentsOf: Self.streamsArgument)
      for stream in streams where stream.readFrom != nil { output.append(contentsOf: stream.argument) }
      for stream in streams { if let position = stream.readFrom { RESP.append(position, to: &output) } }
    }
    for stream in busy where stream.readFrom != nil {
      switch stream.ask(measures: asksLength) {
      case .none: continue
      case .witness: askWitness(of: stream, for: read, on: connection, patience)
      case .length: break
      }
      askLength(of: stream, for: read, on: connection, patience)
    }
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
    session.connection(for: streams.first?.name ?? "").send(["CLIENT", "UNBLOCK", String(number)]) { [self] in
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

  private func answered(_ read: PendingRead, _ result: Result<ReplyView, SeamError>) {
    guard self.read === read else { return }
    guard case .success(let reply) = result else { return self.read = nil }
    if let text = reply.errorText { return refused(read, RedisError(text)) }
    reply.forEach { part in
      guard let name = part.node(0)?.text, let entries = part.node(1), let stream = names[name],
        stream.readFrom != nil
      else { return }
      var messages: [(StreamID, Message)] = []
      messages.reserveCapacity(entries.count)
      entries.forEach { entry in
        if let message = StoredEntry.message(entry, on: stream.topic) { messages.append(message) }
      }
      read.found.append(PendingRead.Found(stream: stream, messages: messages, count: entries.count))
    }
    read.isAnswered = true
    for found in read.found where found.stream.question == .none {
      guard case .open(let connection) = link else { return }
      askAfterwards(found.stream, for: read, on: connection)
      askLength(of: found.stream, for: read, on: connection)
    }
    proceed(read)
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

  func giveUp(_ error: SeamError) {
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
  func proceed(_ read: PendingRead) {
    guard self.read === read, read.isAnswered, read.openQuestions == 0 else { return }
    self.read = nil
    isUnblocking = false
    for (subscription, place, loss) in read.losses where subscription.place == place { tell(loss, to: subscription) }
    var bytes = 0
    for found in read.found { bytes += deliver(found) }
    if !read.found.isEmpty { forgetQuiet(read) }
    count = bytes > 1 << 20 ? max(count / 4, 1) : bytes < 1 << 17 ? min(count * 2, 256) : count
    guard read.found.isEmpty, !read.isOutdated else {
      prematureReturns = 0
      pause = .milliseconds(10)
      return mayRest(read) ? armLater(after: Self.rest) : armSoon()
    }
    returnedEmpty(read)
  }

  /// It brought all there was, to nobody who waits for the next.
  private func mayRest(_ read: PendingRead) -> Bool {
    !read.isOutdated && read.found.allSatisfy { $0.stream.isPutOff && $0.count < read.limit }
  }

  private func returnedEmpty(_ read: PendingRead) {
    guard blocks else {
      armLater(after: pause)
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

  /// Hands what was found of a stream to its subscriptions; the bytes of their content.
  private func deliver(_ found: PendingRead.Found) -> Int {
    let stream = found.stream
    guard let start = stream.readFrom else { return 0 }
    if busy.last !== stream {
      busy.removeAll { $0 === stream }
      busy.append(stream)
      if busy.count > Self.busyLimit { busy.removeFirst() }
    }
    var bytes = 0
    for (id, message) in found.messages {
      bytes += message.content.utf8.count
      for subscription in stream.subscriptions where !subscription.isPaused && !subscription.isEnded {
        // Those that stand further on share the read of one that stands earlier; one that came meanwhile, and stands
        // before where the read began, waits for the next.
        let position = subscription.place.position
        guard position >= start, position < id else { continue }
        subscription.deliver(.message(message), then: .after(id))
      }
    }
    if let last = found.messages.last?.id { stream.settle(at: last) }
    return bytes
  }

  /// Ends the questions about streams that others have outrun.
  private func forgetQuiet(_ read: PendingRead) {
    for stream in busy { stream.isRead(bringing: read.found(of: stream) != nil) }
    busy.removeAll { $0.outruns >= Self.outrunLimit }
  }

  // MARK: Quiet streams

  /// A stream that was deleted, or rolled back behind its readers, wakes nobody: a few are looked at while nothing
  /// happens.
  private func inspectQuietStreams() {
    guard !isInspecting else { return }
    let all = streams
    isInspecting = true
    loop.spawn { [self] in
      for _ in 0..<min(Self.inspectedAtOnce, all.count) {
        inspected = (inspected + 1) % all.count
        await inspect(all[inspected])
      }
      isInspecting = false
    }
  }

  private func inspect(_ stream: FollowedStream) async {
    for subscription in stream.subscriptions where !subscription.isEnded && !subscription.isPaused {
      let place = subscription.place
      if let witness = place.witness, await reader.exists(witness, in: stream.name) { continue }
      // A failure is the session's to notice.
      guard let loss = try? await reader.loss(after: place, in: stream.name), subscription.place == place
      else { continue }
      tell(loss, to: subscription)
      changed()
    }
  }
}
