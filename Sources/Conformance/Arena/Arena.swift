import ParleyRuntime

/// Four writers and two readers on one topic, each with a session of its own, while something happens to the server or
/// the network; the history checker judges what they were told and saw.
//
// @unchecked: confined to its loop.
package final class Arena: @unchecked Sendable {
  /// What became of it.
  package struct Aftermath: Sendable {
    package var verdict = Verdict()
    /// From the end of the disturbance to the first message that was posted after it, at the slower reader.
    package var recovery = Duration.zero
    /// What each reader was told is missing.
    package var gaps: [[Gap]] = []
    /// How often the sessions were lost.
    package var reconnects = 0
    /// Posts that failed although they could have been tried for `Course.patience`.
    package var failures: [String] = []
  }

  /// How it is run.
  package struct Course: Sendable {
    package var topic: Topic
    /// The place before the first message.
    package var origin: Cursor
    /// Between two posts of a writer, so that a fault falls among them.
    package var pace: Duration
    /// How long a post, and the way to the end, may take.
    package var patience: Duration
    /// The order of the log: whether the message with the first cursor stands before that with the second.
    package var precedes: @Sendable (Cursor, Cursor) -> Bool

    package init(
      topic: Topic, origin: Cursor, pace: Duration, patience: Duration = .seconds(30),
      precedes: @escaping @Sendable (Cursor, Cursor) -> Bool
    ) {
      (self.topic, self.origin, self.pace, self.patience) = (topic, origin, pace, patience)
      self.precedes = precedes
    }
  }

  package let loop: EventLoop
  private let course: Course
  private let writers: [Supervisor]
  package let readers: [Supervisor]
  private let recorders: [DeliveryRecorder]
  private var checker = HistoryChecker()
  /// Every message that somebody was told of. Numbers may come again in a log that was made anew, cursors do not.
  private var known: [Cursor: String] = [:]
  private var aftermath = Aftermath()

  private static let policy = RestartPolicy(
    initialDelay: .milliseconds(20), maximumDelay: .milliseconds(300), settledAfter: .seconds(1))

  /// Makes the sessions' backends; nothing is connected before `run`.
  package init(loop: EventLoop, _ course: Course, backend: () -> any Backend) {
    self.loop = loop
    self.course = course
    let supervisors = (0..<6).map { _ in Supervisor(loop: loop, backend: backend(), policy: Self.policy) }
    writers = Array(supervisors[..<4])
    readers = Array(supervisors[4...])
    recorders = readers.map { _ in DeliveryRecorder(loop: loop) }
  }

  /// Lets each writer post `count` messages, one after the other, and calls `disturb` when a third of all are read.
  /// Two more posts follow, after the disturbance and at the end. Must run on the loop.
  package func run(each count: Int, disturb: @escaping @Sendable () async throws -> Void) async throws -> Aftermath {
    let supervisors = writers + readers
    let running = supervisors.map { supervisor in loop.spawn { await supervisor.run() } }
    let result: Result<Void, any Error>
    do { result = .success(try await play(count, disturb)) } catch { result = .failure(error) }
    for supervisor in supervisors { aftermath.reconnects += await supervisor.health.reconnects }
    for task in running {
      task.cancel()
      await task.value
    }
    try result.get()
    return aftermath
  }

  private var deadline: LoopInstant { loop.now.advanced(by: course.patience) }

  private func play(_ count: Int, _ disturb: @Sendable () async throws -> Void) async throws {
    for (reader, recorder) in zip(readers, recorders) {
      let start = try await reader.fetch(FetchRequest(course.topic, limit: 1), deadline: deadline).next
      _ = await reader.follow(course.topic, after: start, sink: recorder.sink)
    }
    let writing = writers.enumerated().map { index, writer in
      loop.spawn { await self.write(count, by: "w\(index)", through: writer) }
    }
    guard await recorders[0].wait(until: deadline, for: { $0.messages.count >= count * 4 / 3 }) else {
      throw ConformanceFailure("no messages before the disturbance")
    }
    try await disturb()
    let began = loop.now
    await post("after the disturbance", by: "w8", through: writers[0])
    for recorder in recorders {
      _ = await recorder.wait(until: deadline) { $0.messages.contains { $0.content == "after the disturbance" } }
    }
    aftermath.recovery = began.duration(to: loop.now)
    for task in writing { await task.value }
    guard let last = await post("the end", by: "w9", through: writers[0]) else {
      throw ConformanceFailure("the last post failed: \(aftermath.failures)")
    }
    for recorder in recorders {
      guard await recorder.wait(until: deadline, for: { $0.messages.last?.cursor == last }) else {
        throw ConformanceFailure("a reader has \(recorder.messages.count) messages and not the last")
      }
    }
    aftermath.gaps = recorders.map(\.gaps)
    try await judge()
  }

  private func write(_ count: Int, by name: String, through writer: Supervisor) async {
    var failed = 0
    // A session that is dead for good is shown by a few posts; all of them would take half an hour.
    for number in 0..<count where failed < 3 {
      if await post("\(name) says \(number)", by: name, through: writer) == nil { failed += 1 }
      await loop.sleep(for: course.pace)
    }
  }

  /// Posts, and files what became of it; the message's cursor, where it was acknowledged.
  @discardableResult
  private func post(_ content: String, by name: String, through writer: Supervisor) async -> Cursor? {
    let draft = Draft(
      topic: course.topic, author: Author(handle: Handle(name), instance: "instance-\(name)"), content: content,
      key: .generated("key of \(content)"))
    let post = checker.attempt(writer: name, key: draft.key.text, content: content)
    do throws(SeamError) {
      let receipt = try await writer.post(draft, deadline: deadline)
      checker.acknowledge(post, id: MessageID(receipt.cursor.text))
      known[receipt.cursor] = content
      return receipt.cursor
    } catch {
      if error.code == .outcomeUnknown { checker.leaveUnknown(post) } else { checker.fail(post) }
      aftermath.failures.append("\(content): \(error)")
      return nil
    }
  }

  private func judge() async throws {
    for (index, recorder) in recorders.enumerated() {
      let reader = checker.addReader("reader \(index)")
      for delivery in recorder.deliveries {
        guard case .message(let message) = delivery else {
          checker.tellGap(to: reader)
          continue
        }
        checker.deliver(id: MessageID(message.cursor.text), content: message.content, to: reader)
        known[message.cursor] = message.content
      }
      checker.expectComplete(reader)
    }
    var present: Set<Cursor> = []
    var place = course.origin
    while true {
      let request = FetchRequest(course.topic, .after(place), limit: 1000)
      let page = try await writers[0].fetch(request, deadline: deadline)
      for message in page.messages {
        present.insert(message.cursor)
        known[message.cursor] = message.content
      }
      place = page.next
      if !page.hasMore { break }
    }
    let order = known.keys.sorted(by: course.precedes)
    let first = order.first { present.contains($0) }
    let entries = order.compactMap { cursor -> HistoryChecker.Entry? in
      let isThere = present.contains(cursor)
      // Only what lies before the oldest there is can have been taken away by the test; a hole inside would be a loss.
      guard isThere || first.map({ course.precedes(cursor, $0) }) ?? true else { return nil }
      return HistoryChecker.Entry(id: MessageID(cursor.text), content: known[cursor] ?? "", isRemoved: !isThere)
    }
    aftermath.verdict = checker.verdict(log: entries)
  }
}
