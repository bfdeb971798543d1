import ParleyConformance
import ParleyRuntime
import ParleyTestKit

@testable import ParleyNATS

/// Remembers losses. Confined to the test's loop.
final class Lost: @unchecked Sendable {  // touched on one loop only
  private(set) var errors: [SeamError] = []
  func add(_ error: SeamError) { errors.append(error) }
}

/// Four writers and two readers on one topic, each a process of its own as far as the server can tell.
struct Play: Sendable {
  let store: TestStore
  let loop: EventLoop
  let options: NATSOptions
  /// Posts of each writer.
  let count: Int

  private static let writers = ["w0", "w1", "w2", "w3"]
  private static let policy = RestartPolicy(
    initialDelay: .milliseconds(50), maximumDelay: .seconds(1), settledAfter: .seconds(1))

  /// A message's stream, by its creation time, and its number there: a stream that is made anew counts from 1 again.
  private struct Stand: Hashable, Comparable {
    let generation: String
    let number: UInt64

    init(_ cursor: Cursor) {
      let parts = cursor.text.split(separator: ".")
      generation = String(parts[1])
      number = UInt64(parts[2]) ?? 0
    }

    var id: MessageID { MessageID("\(generation).\(number)") }

    static func < (a: Stand, b: Stand) -> Bool { (a.generation, a.number) < (b.generation, b.number) }
  }

  /// One attempted post and how it ended.
  private struct Attempt: Sendable {
    let draft: Draft
    let result: Result<Receipt, SeamError>
  }

  func outcome(
    _ disturb: @escaping @Sendable (FaultTests.Scene) async throws -> Void
  ) async -> Result<FaultTests.Aftermath, any Error> {
    var tasks: [Task<Void, Never>] = []
    let supervisors = (0..<6).map { _ in
      let supervisor = Supervisor(
        loop: loop, backend: NATSBackend(loop: loop, options: options), policy: Self.policy)
      tasks.append(loop.spawn { await supervisor.run() })
      return supervisor
    }
    let result: Result<FaultTests.Aftermath, any Error>
    do { result = .success(try await play(supervisors, disturb)) } catch { result = .failure(error) }
    for task in tasks {
      task.cancel()
      await task.value
    }
    return result
  }

  private var deadline: LoopInstant { loop.now.advanced(by: .seconds(30)) }

  private func play(
    _ supervisors: [Supervisor], _ disturb: @escaping @Sendable (FaultTests.Scene) async throws -> Void
  ) async throws -> FaultTests.Aftermath {
    let readers = Array(supervisors[4...])
    let logs = readers.map { _ in DeliveryLog(loop) }
    for (reader, log) in zip(readers, logs) {
      let start = try await reader.fetch(FetchRequest(general, limit: 1), deadline: deadline).next
      _ = await reader.follow(general, after: start, sink: log.sink)
    }
    let writing = zip(Self.writers, supervisors).map { name, supervisor in
      loop.spawn { await write(name, supervisor) }
    }
    guard await logs[0].wait(for: count * 4 / 3) else { throw ConformanceFailure("no messages before the disturbance") }
    try await disturb(FaultTests.Scene(store: store, loop: loop, readers: readers))
    let recovered = await recovery(supervisors[0], logs)
    var attempts: [Attempt] = []
    for task in writing { attempts += await task.value }
    let last = try await supervisors[0].post(draft("the end", by: "w0"), deadline: deadline)
    for log in logs {
      guard await log.recorder.wait(until: deadline, for: { $0.messages.last?.cursor == last.cursor }) else {
        throw ConformanceFailure("a reader has \(log.recorder.messages.count) messages and not the last")
      }
    }
    var after = FaultTests.Aftermath()
    after.recovery = recovered.0
    after.gaps = logs.map(\.recorder.gaps)
    for supervisor in supervisors { after.reconnects += await supervisor.health.reconnects }
    attempts += recovered.1
    after.verdict = try await verdict(attempts, end: last, logs, supervisors[0])
    return after
  }

  /// How long after the disturbance both readers have a message that was posted after it.
  private func recovery(_ writer: Supervisor, _ logs: [DeliveryLog]) async -> (Duration, [Attempt]) {
    let began = loop.now
    let draft = draft("after the disturbance", by: "w9")
    let attempt = Attempt(draft: draft, result: await attempt(draft, writer))
    for log in logs {
      _ = await log.recorder.wait(until: deadline) { $0.messages.contains { $0.content == draft.content } }
    }
    return (began.duration(to: loop.now), [attempt])
  }

  private func write(_ name: String, _ supervisor: Supervisor) async -> [Attempt] {
    var attempts: [Attempt] = []
    for number in 0..<count {
      let draft = draft("\(name) says \(number)", by: name)
      attempts.append(Attempt(draft: draft, result: await attempt(draft, supervisor)))
      // So that the posts last as long as the disturbance.
      await loop.sleep(for: .milliseconds(10))
    }
    return attempts
  }

  private func attempt(_ draft: Draft, _ supervisor: Supervisor) async -> Result<Receipt, SeamError> {
    do throws(SeamError) {
      return .success(try await supervisor.post(draft, deadline: deadline))
    } catch {
      return .failure(error)
    }
  }

  private func verdict(
    _ attempts: [Attempt], end: Receipt, _ logs: [DeliveryLog], _ supervisor: Supervisor
  ) async throws -> Verdict {
    var checker = HistoryChecker()
    let last = checker.attempt(writer: "w0", key: "the end", content: "the end")
    var known: [Stand: String] = [Stand(end.cursor): "the end"]
    for (number, attempt) in attempts.enumerated() {
      let post = checker.attempt(
        writer: attempt.draft.author.handle.name, key: "\(number)", content: attempt.draft.content)
      switch attempt.result {
      case .success(let receipt):
        checker.acknowledge(post, id: Stand(receipt.cursor).id)
        known[Stand(receipt.cursor)] = attempt.draft.content
      case .failure(let error) where error.code == .outcomeUnknown: checker.leaveUnknown(post)
      case .failure: checker.fail(post)
      }
    }
    checker.acknowledge(last, id: Stand(end.cursor).id)
    for (index, log) in logs.enumerated() {
      let reader = checker.addReader("reader \(index)")
      for delivery in log.recorder.deliveries {
        guard case .message(let message) = delivery else {
          checker.tellGap(to: reader)
          continue
        }
        checker.deliver(id: Stand(message.cursor).id, content: message.content, to: reader)
        known[Stand(message.cursor)] = message.content
      }
      checker.expectComplete(reader)
    }
    // What is not in the log any more was purged: nothing else is ever told as acknowledged and not there.
    var present: Set<Stand> = []
    var cursor = Cursor("0")
    while true {
      let page = try await supervisor.fetch(FetchRequest(general, .after(cursor), limit: 1000), deadline: deadline)
      for message in page.messages {
        present.insert(Stand(message.cursor))
        known[Stand(message.cursor)] = message.content
      }
      cursor = page.next
      if !page.hasMore { break }
    }
    let first = present.min()
    let entries = known.sorted { $0.key < $1.key }.compactMap { stand, content -> HistoryChecker.Entry? in
      // Only what lies before the oldest there is can have been purged; a hole inside would be a loss.
      guard present.contains(stand) || first.map({ stand < $0 }) ?? true else { return nil }
      return HistoryChecker.Entry(id: stand.id, content: content, isRemoved: !present.contains(stand))
    }
    return checker.verdict(log: entries)
  }
}
