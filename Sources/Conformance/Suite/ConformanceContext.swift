import ParleyRuntime

/// What a case works with: connected backends over one fresh store, a topic nobody used before, and expectations.
//
// @unchecked: confined to the case's loop.
public final class ConformanceContext: @unchecked Sendable {
  /// The loop that the case and its backends run on.
  public let loop: EventLoop
  /// The store and its hooks.
  public let store: ConformanceStore
  /// What the suite was told about the backend.
  public let capabilities: Capabilities
  /// A topic that nobody used before.
  public let topic: Topic

  private var backends: [any Backend] = []
  private var supervisors: [Task<Void, Never>] = []
  private var lastKey = 0
  private let run: String

  init(loop: EventLoop, store: ConformanceStore, capabilities: Capabilities) {
    self.loop = loop
    self.store = store
    self.capabilities = capabilities
    run = String(loop.random(), radix: 36)
    topic = Topic("conformance-" + run)
  }

  // MARK: Backends

  /// A new connected backend, as another process would have it.
  public func connect(lost: @escaping @Sendable (SeamError) -> Void = { _ in }) async throws -> any Backend {
    let backend = try await store.makeBackend()
    backends.append(backend)
    try await backend.connect(lost: lost)
    return backend
  }

  /// A new backend under supervision, live.
  public func supervise() async throws -> Supervisor {
    let backend = try await store.makeBackend()
    let policy = RestartPolicy(
      initialDelay: .milliseconds(20), maximumDelay: .milliseconds(500), settledAfter: .seconds(1))
    let supervisor = Supervisor(loop: loop, backend: backend, policy: policy)
    supervisors.append(loop.spawn { await supervisor.run() })
    _ = try await supervisor.fetch(FetchRequest(topic, limit: 1), deadline: deadline)
    return supervisor
  }

  func end() async {
    for task in supervisors {
      task.cancel()
      await task.value
    }
    for backend in backends { await backend.disconnect() }
  }

  /// `patience` from now.
  public var deadline: LoopInstant { loop.now.advanced(by: capabilities.patience) }

  /// Another unused topic.
  public func topic(_ suffix: String) -> Topic { Topic(topic.name + "-" + suffix) }

  // MARK: Posting and reading

  /// A draft with a new generated key.
  public func draft(
    _ content: String, on topic: Topic? = nil, by handle: String = "ada", key: DraftKey? = nil
  ) -> Draft {
    lastKey += 1
    return Draft(
      topic: topic ?? self.topic, author: Author(handle: Handle(handle), instance: "\(handle)-\(run)"),
      content: content, key: key ?? .generated("\(run)-\(lastKey)"))
  }

  /// Posts texts one after the other.
  @discardableResult
  public func post(
    _ contents: [String], to backend: any Backend, on topic: Topic? = nil
  ) async throws -> [Receipt] {
    var receipts: [Receipt] = []
    for content in contents { receipts.append(try await backend.post(draft(content, on: topic), deadline: deadline)) }
    return receipts
  }

  /// Reads one page.
  public func fetch(
    _ position: Position = .latest, of topic: Topic? = nil, limit: Int = 1000, from backend: any Backend
  ) async throws -> Page {
    try await backend.fetch(FetchRequest(topic ?? self.topic, position, limit: limit), deadline: deadline)
  }

  /// Reads one page that must hold exactly `count` messages.
  public func messages(
    _ count: Int, _ position: Position = .latest, from backend: any Backend
  ) async throws -> [Message] {
    let found = try await fetch(position, from: backend).messages
    try expectEqual(found.count, count, "messages on the page")
    return found
  }

  /// The place at the present end of the log.
  public func end(of topic: Topic? = nil, from backend: any Backend) async throws -> Cursor {
    try await fetch(of: topic, limit: 1, from: backend).next
  }

  /// Everything after a cursor, over as many pages as it takes; a gap fails the case unless `sink` takes it.
  public func readAll(
    after cursor: Cursor, of topic: Topic? = nil, pageSize: Int = 1000, from backend: any Backend,
    gaps: ((Gap) -> Void)? = nil
  ) async throws -> [Message] {
    var messages: [Message] = []
    var place = cursor
    while true {
      let page = try await fetch(.after(place), of: topic, limit: pageSize, from: backend)
      if let gap = page.gap {
        guard let gaps else { throw ConformanceFailure("unexpected gap: \(gap.reason)") }
        gaps(gap)
      }
      messages += page.messages
      try expect(!page.hasMore || page.next != place, "a page with more to come did not move the cursor \(place)")
      place = page.next
      if !page.hasMore { return messages }
    }
  }

  /// Subscribes and records what comes.
  public func subscribe(
    to topic: Topic? = nil, after cursor: Cursor, on backend: any Backend, recorder: DeliveryRecorder? = nil
  ) async throws -> (recorder: DeliveryRecorder, id: SubscriptionID) {
    let recorder = recorder ?? DeliveryRecorder(loop: loop)
    let id = try await backend.subscribe(topic ?? self.topic, after: cursor, sink: recorder.sink)
    return (recorder, id)
  }

  // MARK: Expecting

  /// Fails the case unless the condition holds.
  public func expect(_ condition: Bool, _ message: @autoclosure () -> String) throws(ConformanceFailure) {
    if !condition { throw ConformanceFailure(message()) }
  }

  /// Fails the case unless both are equal.
  public func expectEqual<Value: Equatable>(
    _ found: Value, _ expected: Value, _ what: @autoclosure () -> String
  ) throws(ConformanceFailure) {
    if found != expected {
      throw ConformanceFailure("\(what()): expected \(brief(expected)), found \(brief(found))")
    }
  }

  private func brief<Value>(_ value: Value) -> String {
    let text = "\(value)"
    return text.utf8.count > 600 ? String(text.prefix(600)) + "…" : text
  }

  /// Fails the case unless the operation throws an error with one of these codes.
  @discardableResult
  public func expectError(
    _ codes: String..., during what: String, _ operation: () async throws -> Void
  ) async throws -> SeamError {
    do {
      try await operation()
    } catch let error as SeamError {
      try expect(codes.contains(error.code.name), "\(what): expected \(codes.joined(separator: " or ")), got \(error)")
      return error
    }
    throw ConformanceFailure("\(what): expected \(codes.joined(separator: " or ")), but it succeeded")
  }

  /// Waits until the recorder has so many messages.
  public func wait(for count: Int, in recorder: DeliveryRecorder) async throws {
    try expect(
      await recorder.wait(until: deadline) { $0.messages.count >= count },
      "expected \(count) messages within \(capabilities.patience), got \(recorder.messages.count)")
  }

  /// Lets time pass in which nothing may happen.
  public func watchQuietly() async { await loop.sleep(for: capabilities.quiet) }
}
