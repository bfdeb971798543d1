import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyRedis

/// Four writers and two readers, each with a session of its own, over one server behind a proxy; the history checker
/// judges them. Confined to its loop.
final class Arena: @unchecked Sendable {
  let loop: EventLoop
  let server: RedisServer
  let proxy: FaultProxy
  let topic = Topic("arena")
  private var options: RedisOptions
  private var supervisors: [(Supervisor, Task<Void, Never>)] = []
  private var checker = HistoryChecker()
  private var acknowledged: [(id: MessageID, content: String)] = []
  private(set) var recorders: [DeliveryRecorder] = []
  private var writers: [Supervisor] = []
  private(set) var posted = 0
  private(set) var unknown = 0

  init(loop: EventLoop, isolation: isolated (any Actor)? = #isolation) async throws {
    self.loop = loop
    var configuration = RedisServer.Options()
    configuration.appendfsync = "always"
    server = try await RedisServer.start(configuration)
    proxy = try await FaultProxy.start(to: server.port)
    options = try RedisOptions(url: "redis://127.0.0.1:\(proxy.port)")
    // Shortened, so that a server that is stopped for 3 s is noticed in that time.
    options.block = .milliseconds(400)
    options.timeout = .milliseconds(800)
  }

  var stream: String { options.keyPrefix + topic.name }

  func change(_ body: (inout RedisOptions) -> Void) { body(&options) }

  private func supervise(isolation: isolated (any Actor)? = #isolation) async throws -> Supervisor {
    let policy = RestartPolicy(
      initialDelay: .milliseconds(20), maximumDelay: .milliseconds(300), settledAfter: .seconds(1))
    let supervisor = Supervisor(loop: loop, backend: RedisBackend(loop: loop, options: options), policy: policy)
    supervisors.append((supervisor, loop.spawn { await supervisor.run() }))
    _ = try await supervisor.fetch(FetchRequest(topic, limit: 1), deadline: soon)
    return supervisor
  }

  var soon: LoopInstant { loop.now.advanced(by: .seconds(20)) }

  /// Posts `count` messages from each writer, several at once, and calls `disturb` when a third of them is out.
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
        unknown += 1
        Issue.record("\(draft.content): \(error)")
      }
      posted += 1
      // A pace at which a fault of a second falls among posts.
      await loop.sleep(for: .milliseconds(1))
    }
  }

  /// Waits until the readers have the last message, ends everything, and judges.
  func verdict(isolation: isolated (any Actor)? = #isolation) async throws -> Verdict {
    let direct = RedisBackend(loop: loop, options: try RedisOptions(url: "redis://127.0.0.1:\(server.port)"))
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
    var place = Cursor("0-0")
    while true {
      let page = try await direct.fetch(FetchRequest(topic, .after(place), limit: 1000), deadline: soon)
      log += page.messages
      place = page.next
      if !page.hasMore { break }
    }
    await direct.disconnect()
    for (_, task) in supervisors {
      task.cancel()
      await task.value
    }
    await proxy.close()
    server.process.kill()
    // What is gone was taken away by the test; ids order as the log did.
    let present = Set(log.map(\.id))
    var entries = log.map { HistoryChecker.Entry(id: $0.id, content: $0.content) }
    entries += acknowledged.filter { !present.contains($0.id) }
      .map { HistoryChecker.Entry(id: $0.id, content: $0.content, isRemoved: true) }
    entries.sort { StreamID($0.id.text)! < StreamID($1.id.text)! }
    return checker.verdict(log: entries)
  }

  var removedCount: Int { acknowledged.count }

  /// How often the supervisors connected anew.
  func reconnects(isolation: isolated (any Actor)? = #isolation) async -> Int {
    var count = 0
    for (supervisor, _) in supervisors { count += await supervisor.health.reconnects }
    return count
  }
}

/// Runs a body on a loop and thread of its own.
func onLoop(_ body: @escaping @Sendable (EventLoop) async throws -> Void) async throws {
  let loop = try EventLoop.thread(named: "redis test")
  defer { loop.stop() }
  let result: Result<Void, any Error> = await loop.spawn {
    do { return .success(try await body(loop)) } catch { return .failure(error) }
  }.value
  try result.get()
}
