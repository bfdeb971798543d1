import Glibc
import ParleyRuntime

/// Reads and writes the files, on a thread of its own since both may block.
actor LogKeeper: LoopActor {
  nonisolated let loop: EventLoop
  private let directory: DirectoryHandle
  private var logs: [[UInt8]: TopicLog] = [:]
  private var isClosed = false

  private static let pageBytes = 1 << 20

  init(loop: EventLoop, directory: String) throws(SystemError) {
    self.loop = loop
    self.directory = try DirectoryHandle(directory)
  }

  /// Ends the thread; what waits for its turn is not stored, what came before has been answered.
  func close() async {
    isClosed = true
    while waiting > 0 { await loop.sleep(for: .milliseconds(1)) }
    loop.stop()
  }

  /// The file of a topic: names of any length and with any character fit.
  static func fileName(of topic: Topic) -> String { SHA256.hexadecimal(topic.name, digits: 40) + ".log" }

  private func path(of topic: Topic) -> String { directory.path + "/" + Self.fileName(of: topic) }

  // MARK: Posting

  private var waiting = 0

  /// Appends a draft, or finds the message that its key has stored before.
  func append(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    waiting += 1
    defer { waiting -= 1 }
    while true {
      func refused(_ code: SeamError.Code, _ cause: String) -> SeamError {
        SeamError(code, operation: "post", cause: cause)
      }
      if isClosed { throw refused(.unavailable, "not connected") }
      if Task.isCancelled { throw refused(.cancelled, "cancelled while it waited for its turn") }
      if loop.now >= deadline { throw refused(.timedOut, "still waiting for its turn at the deadline") }
      if try attempt("post", { () throws(SystemError) in try directory.tryLock() }) { break }
      await loop.sleep(for: .milliseconds(1))
    }
    defer { directory.unlock() }
    return try store(draft)
  }

  /// In this writer's turn.
  private func store(_ draft: Draft) throws(SeamError) -> Receipt {
    let log = try attempt("post") { () throws(SystemError) in try refresh(draft.topic) }
    if let log, let number = log.number(of: Array(StoredLine.scopedKey(draft).utf8)) {
      return try repeated(draft, log, number)
    }
    let header = log?.header ?? StoredLine.Header(topic: draft.topic, generation: newGeneration(), first: 1)
    let storedAt = max(loop.wallClockMilliseconds, log?.lines.last?.storedAt ?? 0)
    let line = StoredLine.bytes(draft, storedAt: storedAt)
    let path = path(of: draft.topic)
    let synced: SystemError? = try attempt("post") { () throws(SystemError) in
      guard let file = try LogFile(path, isWritable: true) else { throw SystemError(operation: path, code: ENOENT) }
      try file.append(log == nil ? header.bytes + line : line, at: log?.end ?? 0)
      do throws(SystemError) {
        try file.sync()
        if log == nil { try directory.sync() }
        return nil
      } catch { return error }
    }
    if let synced { throw SeamError(.outcomeUnknown, operation: "post", cause: "\(synced)") }
    let place = LogPlace(generation: header.generation, number: log?.nextNumber ?? 1)
    return Receipt(id: place.id, cursor: place.cursor, storedAt: storedAt, durability: .synced)
  }

  private func repeated(_ draft: Draft, _ log: TopicLog, _ number: Int) throws(SeamError) -> Receipt {
    let stored = try attempt("post") { () throws(SystemError) in try message(number, of: log, on: draft.topic) }
    guard let stored,
      draft.matches(
        content: stored.content, inReplyTo: stored.inReplyTo, to: stored.to, attributes: stored.attributes)
    else {
      throw SeamError(
        .keyReused, operation: "post", cause: "the key was used for message \(log.place(number).id)")
    }
    return Receipt(
      id: stored.id, cursor: stored.cursor, storedAt: stored.storedAt, durability: .synced, isDuplicate: true)
  }

  private func newGeneration() -> String {
    let digits = String(UInt32(truncatingIfNeeded: loop.random()) | 1, radix: 16)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits
  }

  // MARK: Reading

  /// Reads one page.
  func fetch(_ request: FetchRequest, deadline: LoopInstant) throws(SeamError) -> Page {
    guard !isClosed else { throw SeamError(.unavailable, operation: "fetch", cause: "not connected") }
    guard loop.now < deadline else {
      throw SeamError(.timedOut, operation: "fetch", cause: "the deadline passed before it was its turn")
    }
    let log = try attempt("fetch") { () throws(SystemError) in try refresh(request.topic) }
    switch request.position {
    case .latest:
      guard let log else { return Page(messages: [], next: LogPlace.beginning.cursor, hasMore: false) }
      var page = try backward(request, log, log.header.first..<log.nextNumber)
      page.next = log.lastPlace.cursor
      return page
    case .after(let cursor):
      let place = try LogPlace(cursor)
      guard let log else { return Self.empty(request.topic, cursor, place) }
      return try forward(request, log, log.after(place), cursor)
    case .before(let cursor, let storedSince):
      let place = try LogPlace(cursor)
      guard let log else { return Self.empty(request.topic, cursor, place) }
      let choice = log.before(place, storedSince: storedSince)
      var page = try backward(request, log, choice.numbers)
      page.next = page.messages.last?.cursor ?? cursor
      page.gap = Self.gap(request.topic, cursor, choice)
      return page
    }
  }

  /// A topic without a file, which it may have had.
  private static func empty(_ topic: Topic, _ cursor: Cursor, _ place: LogPlace) -> Page {
    let choice = TopicLog.Choice(
      numbers: 0..<0, gap: place == .beginning ? nil : (.beginning, "the topic's log was removed", false))
    let gap = gap(topic, cursor, choice)
    return Page(messages: [], next: gap?.to ?? cursor, hasMore: false, gap: gap)
  }

  private static func gap(_ topic: Topic, _ cursor: Cursor, _ choice: TopicLog.Choice) -> Gap? {
    choice.gap.map {
      Gap(topic: topic, from: cursor, to: $0.to.cursor, reason: $0.reason, isCertain: $0.isCertain)
    }
  }

  private func forward(
    _ request: FetchRequest, _ log: TopicLog, _ choice: TopicLog.Choice, _ cursor: Cursor
  ) throws(SeamError) -> Page {
    let gap = Self.gap(request.topic, cursor, choice)
    let (messages, numbers) = try read(choice.numbers, ascending: true, request, log)
    let next = numbers.isEmpty ? gap?.to ?? cursor : log.place(numbers.upperBound - 1).cursor
    return Page(
      messages: messages, next: next, previous: messages.first?.cursor,
      hasMore: numbers.upperBound < choice.numbers.upperBound, gap: gap)
  }

  private func backward(_ request: FetchRequest, _ log: TopicLog, _ chosen: Range<Int>) throws(SeamError) -> Page {
    let (messages, numbers) = try read(chosen, ascending: false, request, log)
    let hasOlder = numbers.lowerBound > chosen.lowerBound
    return Page(
      messages: messages, next: log.lastPlace.cursor, previous: hasOlder ? messages.first?.cursor : nil,
      hasMore: hasOlder)
  }

  /// Messages from one end of the numbers, up to the page's limits; ascending, with the numbers that were read.
  private func read(
    _ chosen: Range<Int>, ascending: Bool, _ request: FetchRequest, _ log: TopicLog
  ) throws(SeamError) -> ([Message], Range<Int>) {
    var messages: [Message] = []
    var taken = 0
    var left = Self.pageBytes
    while taken < min(chosen.count, request.limit) {
      let number = ascending ? chosen.lowerBound + taken : chosen.upperBound - 1 - taken
      let found = try attempt("fetch") { () throws(SystemError) in try message(number, of: log, on: request.topic) }
      left -= found?.content.utf8.count ?? 0
      if left < 0, taken > 0 { break }
      // A line that another program wrote is no message, but has a number.
      if let found { messages.append(found) }
      taken += 1
    }
    if ascending { return (messages, chosen.lowerBound..<(chosen.lowerBound + taken)) }
    return (messages.reversed(), (chosen.upperBound - taken)..<chosen.upperBound)
  }

  private func message(_ number: Int, of log: TopicLog, on topic: Topic) throws(SystemError) -> Message? {
    guard let file = try LogFile(path(of: topic), isWritable: false) else { return nil }
    let line = log.line(number)
    return StoredLine.message(
      try file.read(from: line.offset, count: line.length), on: topic, at: log.place(number))
  }

  /// What the topic's file holds now; nil where there is none.
  private func refresh(_ topic: Topic) throws(SystemError) -> TopicLog? {
    let name = Array(topic.name.utf8)
    guard let file = try LogFile(path(of: topic), isWritable: false) else {
      logs[name] = nil
      return nil
    }
    let start = try file.read(from: 0, count: 4096)
    guard let newline = start.firstIndex(of: 0x0a), let header = StoredLine.Header(Array(start[..<newline])) else {
      logs[name] = nil
      return nil
    }
    var log = logs[name] ?? TopicLog(header: header, bytes: newline + 1)
    // Trimming writes a new header, so the same one means the same lines up to where they were read.
    if log.header != header { log = TopicLog(header: header, bytes: newline + 1) }
    var pending: [UInt8] = []
    while true {
      let bytes = try file.read(from: log.end + pending.count)
      if bytes.isEmpty { break }
      pending += bytes
      guard let last = pending.lastIndex(of: 0x0a) else { continue }
      log.add(Array(pending[...last]))
      pending.removeFirst(last + 1)
    }
    logs[name] = log
    return log
  }

  private func attempt<Value>(
    _ operation: String, _ body: () throws(SystemError) -> Value
  ) throws(SeamError) -> Value {
    do throws(SystemError) { return try body() } catch { throw error.seamError(operation) }
  }
}
