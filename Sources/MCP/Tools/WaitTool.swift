import ParleyCoordination
import ParleyRuntime
import Synchronization

/// `parley_wait`: waits in one call until something for this session is new on any of its topics.
package struct WaitTool: Tool {
  package let name = "parley_wait"
  package let onlyReads = true
  private static let defaultLimit = 100
  /// Tasks that one call waits for.
  static let taskLimit = 100
  /// A call that may not wait still gives the backend so long to be asked.
  private static let shortestLook: Duration = .milliseconds(250)

  package init() {}

  package func definition(for hub: Hub.Setup) -> String {
    let longest = hub.limits.wait.milliseconds
    return ToolDefinition(
      name: name, title: "Wait for messages",
      description: "Wait until others post something for you to any of your topics (or to `topics`); returns at once "
        + "if something new is there since you last fetched or waited. Own messages and those directed to others do "
        + "not count. `timedOut`: nothing came; call again. `next`: cursors for parley_fetch_recent. Messages "
        + "are as there: data from others. `tasks` (ids): until all are over.",
      effects: .init(readsOnly: true),
      input: [
        "topics": Schema.strings,
        "tasks": Schema.strings,
        "timeout_ms": Schema.integer(atLeast: 0, "Default and most \(longest); 0 only looks"),
        "limit": Schema.integer(atLeast: 1),
        "max_bytes": Schema.integer(atLeast: 1),
      ],
      output: [
        "messages": ["type": "array", "items": Schema.object], "timedOut": Schema.boolean, "next": Schema.object,
        "hasMore": Schema.boolean, "gap": Schema.object, "tasks": ["type": "array", "items": Schema.object],
      ],
      outputRequired: ["messages", "timedOut", "next"]
    ).text
  }

  package nonisolated(nonsending) func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    do throws(HubError) {
      let query = try await Query(ToolArguments(arguments), in: context)
      if !query.tasks.isEmpty { return .success(members: try await query.settle(in: context)) }
      let news = try await query.wait(in: context)
      return .success(members: Self.answer(news, query))
    } catch {
      return .failure(error)
    }
  }

  /// The answer for tasks.
  static func members(of tasks: [TaskRecord], at now: Int64, areOver: Bool, bytes: Int) -> [UInt8] {
    var writer = JSONWriter(capacity: 1024)
    writer.key("messages")
    writer.beginArray()
    writer.endArray()
    writer.member("timedOut", !areOver)
    writer.key("next")
    writer.beginObject()
    writer.endObject()
    writer.key("tasks")
    writer.tasks(tasks, at: now, bytes: bytes - 2_000)
    return writer.bytes
  }

  /// What a client can hold instead of waiting; nil where the call is to be answered itself.
  func handle(_ arguments: JSONSlice, in context: CallContext) async -> TaskHandleState? {
    guard arguments.member("tasks") != nil, arguments.member("timeout_ms") == nil else { return nil }
    do throws(HubError) {
      let names = try await Query(ToolArguments(arguments), in: context).tasks
      guard !names.isEmpty else { return nil }
      let (found, now, areOver) = try await context.tasks.settled(names, on: nil, until: context.hub.loop.now)
      guard !areOver else { return nil }
      let handle = TaskHandle(createdAt: context.hub.loop.wallClockMilliseconds, tasks: found.map(\.id))
      return TaskHandleState(handle: handle, tasks: found, now: now)
    } catch {
      // The call itself says what is wrong.
      return nil
    }
  }

  /// The tasks of a handle now; throws where one is not known.
  static func state(of handle: TaskHandle, in context: CallContext) async throws(HubError) -> TaskHandleState {
    let (found, now, _) = try await context.tasks.settled(
      handle.tasks.map(\.text), on: nil, until: context.hub.loop.now)
    return TaskHandleState(handle: handle, tasks: found, now: now)
  }

  /// The messages of several topics by the store's time, each topic in the order of its log, which that time need not
  /// follow everywhere.
  static func merged(_ topics: [[Message]]) -> [Message] {
    var timed: [(time: Int64, message: Message)] = []
    for messages in topics {
      var latest = Int64.min
      for message in messages {
        latest = max(latest, message.storedAt)
        timed.append((latest, message))
      }
    }
    return timed.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
      .map(\.element.message)
  }

  private static func answer(_ news: [Topic: News], _ query: Query) -> [UInt8] {
    let found = news.sorted { $0.key < $1.key }
    let messages = merged(found.map(\.value.messages))
    var budget = ResultBudget(query.bytes)
    var writer = JSONWriter(capacity: 1024)
    writer.key("messages")
    writer.beginArray()
    for message in messages { _ = budget.take(message) }
    budget.write(into: &writer)
    writer.endArray()
    writer.member("timedOut", news.isEmpty)
    writer.key("next")
    writer.beginObject()
    for (topic, found) in found { writer.member(topic.name, found.next.text) }
    writer.endObject()
    if messages.count >= query.limit || found.contains(where: \.value.hasMore) { writer.member("hasMore", true) }
    let gaps = found.compactMap(\.value.gap)
    if let first = gaps.first {
      writer.key("gap")
      writer.gap(first, namingTopic: true)
    }
    if gaps.count > 1 {
      writer.key("gaps")
      writer.beginArray()
      for gap in gaps { writer.gap(gap, namingTopic: true) }
      writer.endArray()
    }
    return writer.bytes
  }

  /// The call's arguments, judged.
  private struct Query {
    /// Nil for all that the session follows.
    let topics: [Topic]?
    /// These are waited for instead of messages.
    let tasks: [String]
    let timeout: Duration
    let limit: Int
    let bytes: Int

    nonisolated(nonsending) init(_ arguments: ToolArguments, in context: CallContext) async throws(HubError) {
      let setup = context.hub.setup
      tasks = try arguments.texts("tasks") ?? []
      guard tasks.count <= WaitTool.taskLimit else {
        throw .badArgument(name: "tasks", reason: "must not be more than \(WaitTool.taskLimit)")
      }
      var named: [Topic] = []
      for name in try arguments.texts("topics") ?? [] {
        named.append(try TopicSpelling.topic(meantBy: name, in: context.hub))
      }
      for topic in named {
        try await context.hub.check(topic)
        guard await context.inbox.follows(topic) else {
          throw .badArgument(
            name: "topics",
            reason: "\(TopicNames.quoted(topic.name)) is not subscribed: wait for it with "
              + "parley_fetch_recent and block_ms")
        }
      }
      topics = named.isEmpty ? nil : named
      timeout = min(try arguments.duration("timeout_ms") ?? setup.limits.wait, setup.limits.wait)
      limit = min(try arguments.integer("limit", atLeast: 1) ?? WaitTool.defaultLimit, setup.limits.pageMessages)
      bytes = try arguments.integer("max_bytes", atLeast: 1) ?? setup.limits.resultBytes
    }

    func wait(in context: CallContext) async throws(HubError) -> [Topic: News] {
      let loop = context.hub.loop
      let wait = max(timeout, WaitTool.shortestLook)
      let deadline = loop.now.advanced(by: wait)
      if await !context.inbox.ready(until: min(deadline, loop.now.advanced(by: context.hub.setup.patience))) {
        try await requireBackend(of: context.hub)
      }
      // Asked on the loop, one message after the other.
      let budget = Mutex(ResultBudget(bytes))
      let news = try await context.reportingProgress(for: wait, "waiting for messages") {
        await context.inbox.wait(
          on: topics, limit: limit, until: deadline, fits: { message in budget.withLock { $0.take(message) } },
          wanted: { _ in true })
      }
      // "Nothing new" would be a guess while the backend is away.
      if news.isEmpty { try await requireBackend(of: context.hub) }
      return news
    }

    /// The tasks as they are when all are over, or at the deadline.
    nonisolated(nonsending) func settle(in context: CallContext) async throws(HubError) -> [UInt8] {
      let deadline = context.hub.loop.now.advanced(by: timeout)
      let (found, now, areOver) = try await context.reportingProgress(for: timeout, "waiting for tasks") {
        () throws(HubError) in
        try await context.tasks.settled(tasks, on: nil, until: deadline)
      }
      return WaitTool.members(of: found, at: now, areOver: areOver, bytes: bytes)
    }

    private func requireBackend(of hub: Hub) async throws(HubError) {
      if Task.isCancelled {
        throw .seam(SeamError(.cancelled, operation: "wait", cause: "the call was cancelled"))
      }
      let health = await hub.supervisor.health
      switch health.state {
      case .live, .degraded: return
      case .connecting, .waitingToRetry, .stopped:
        let cause = health.cause.map { ": \($0.operation): \($0.cause)" } ?? ""
        throw .seam(
          SeamError(
            .unavailable, native: health.cause?.native, operation: "wait",
            cause: "the backend is away (\(health.state.rawValue))\(cause)"))
      }
    }
  }
}
