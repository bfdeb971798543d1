import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// Four writers and two readers, each with a session of its own, over one server behind a proxy; the history checker
/// judges them. Confined to its loop.
final class Arena: @unchecked Sendable {
  let loop: EventLoop
  let store: TestStore
  let topic = Topic("arena")
  private var settings: Settings
  private var supervisors: [(supervisor: Supervisor, backend: XMPPBackend, task: Task<Void, Never>)] = []
  private var checker = HistoryChecker()
  private var acknowledged: [(id: MessageID, content: String)] = []
  private(set) var recorders: [DeliveryRecorder] = []
  private var writers: [Supervisor] = []
  private(set) var posted = 0

  init(loop: EventLoop, hibernation: Int = 5, isolation: isolated (any Actor)? = #isolation) async throws {
    self.loop = loop
    var options = ProsodyServer.Options()
    options.hibernation = hibernation
    store = try await TestStore(options)
    settings = store.settings()
    // Shortened, so that a server that is stopped for 3 s is noticed in that time.
    settings["timeout_ms"] = .integer(1000)
    settings["ping_interval_ms"] = .integer(1000)
  }

  private func supervise(isolation: isolated (any Actor)? = #isolation) async throws -> Supervisor {
    let policy = RestartPolicy(
      initialDelay: .milliseconds(20), maximumDelay: .milliseconds(300), settledAfter: .seconds(1))
    let backend = XMPPBackend(loop: loop, options: try XMPPOptions(settings))
    let supervisor = Supervisor(loop: loop, backend: backend, policy: policy)
    supervisors.append((supervisor, backend, loop.spawn { await supervisor.run() }))
    _ = try await supervisor.fetch(FetchRequest(topic, limit: 1), deadline: soon)
    return supervisor
  }

  var soon: LoopInstant { loop.now.advanced(by: .seconds(40)) }

  /// Posts `count` messages from each writer and calls `disturb` when a third of them is out.
  func run(
    each count: Int, isolation: isolated (any Actor)? = #isolation,
    disturb: @escaping @Sendable (Arena) async throws -> Void
  ) async throws {
    for _ in 0..<4 { writers.append(try await supervise()) }
    for _ in 0..<2 {
      let reader = try await supervise()
      let recorder = DeliveryRecorder(loop: loop)
      recorders.append(recorder)
      let start = try await reader.fetch(FetchRequest(topic, limit: 1), deadline: soon).next
      _ = await reader.follow(topic, after: start, sink: recorder.sink)
    }
    let posting = writers.enumerated().map { index, writer in
      loop.spawn { await self.post(count, by: "w\(index)", through: writer) }
    }
    while posted < count * 4 / 3 { await loop.sleep(for: .milliseconds(1)) }
    try await disturb(self)
    for task in posting { await task.value }
  }

  private func post(_ count: Int, by name: String, through writer: Supervisor) async {
    for number in 0..<count {
      let content = "\(name) says \(number)"
      let draft = Draft(
        topic: topic, author: Author(handle: Handle(name), instance: "instance-\(name)"), content: content,
        key: .generated("\(name)-\(number)"))
      let post = checker.attempt(writer: name, key: draft.key.text, content: content)
      do throws(SeamError) {
        let receipt = try await writer.post(draft, deadline: soon)
        checker.acknowledge(post, id: receipt.id)
        acknowledged.append((receipt.id, content))
      } catch {
        if error.code == .outcomeUnknown { checker.leaveUnknown(post) } else { checker.fail(post) }
        Issue.record("\(draft.content): \(error)")
      }
      posted += 1
    }
  }

  /// Waits until the readers have the last message, ends everything, and judges. Messages that are gone were taken away
  /// by the test.
  func verdict(isolation: isolated (any Actor)? = #isolation) async throws -> Verdict {
    let direct = XMPPBackend(loop: loop, options: try XMPPOptions(store.settings(proxied: false)))
    try await direct.connect { _ in }
    let last = try await direct.fetch(FetchRequest(topic, limit: 1), deadline: soon).messages.last?.id
    for (index, recorder) in recorders.enumerated() {
      let isThere = await recorder.wait(until: soon) { $0.messages.last?.id == last }
      #expect(isThere, "reader \(index) did not get to the end: \(recorder.messages.count) messages")
      let reader = checker.addReader("reader \(index)")
      for delivery in recorder.deliveries { checker.deliver(delivery, to: reader) }
      checker.expectComplete(reader)
    }
    var log: [Message] = []
    var position = Position.latest
    while true {
      let page = try await direct.fetch(FetchRequest(topic, position, limit: 500), deadline: soon)
      log = page.messages + log
      guard let previous = page.previous else { break }
      position = .before(previous)
    }
    await direct.disconnect()
    for (_, _, task) in supervisors {
      task.cancel()
      await task.value
    }
    await store.end()
    return checker.verdict(log: log.map { HistoryChecker.Entry(id: $0.id, content: $0.content) })
  }

  /// How often the supervisors connected anew.
  func reconnects(isolation: isolated (any Actor)? = #isolation) async -> Int {
    var count = 0
    for (supervisor, _, _) in supervisors { count += await supervisor.health.reconnects }
    return count
  }

  /// How many of the sessions there are now were resumed.
  func resumed(isolation: isolated (any Actor)? = #isolation) async -> Int {
    var count = 0
    for (_, backend, _) in supervisors where await backend.live?.session.isResumed == true { count += 1 }
    return count
  }
}
