import ParleyRuntime

extension ConformanceSuite {
  /// S7: waiting fetches, through the supervisor that every backend is used with.
  static let waiting: [ConformanceCase] = [
    ConformanceCase("S7", "a waiting fetch wakes on the first message, also of another process") { context in
      let supervisor = try await context.supervise()
      let writer = try await context.connect()
      let tail = try await context.end(from: writer)
      let (topic, deadline) = (context.topic, context.deadline)
      let wait = context.capabilities.patience
      let waiting = context.loop.spawn {
        await ConformanceContext.outcome { () throws(SeamError) in
          try await supervisor.fetch(FetchRequest(topic, .after(tail)), wait: wait, deadline: deadline)
        }
      }
      await context.loop.sleep(for: .milliseconds(50))
      try await context.post(["fresh"], to: writer)
      let page = try await waiting.value.get()
      try context.expectEqual(page.messages.map(\.content), ["fresh"], "what the waiting fetch got")
      try context.expect(page.next != tail, "the cursor moved")
      let again = try await context.fetch(.after(tail), from: writer)
      try context.expectEqual(page.messages, again.messages, "waited for and fetched")
    },
    ConformanceCase("S7", "a waiting fetch that has something at once does not wait") { context in
      let supervisor = try await context.supervise()
      let start = try await supervisor.fetch(FetchRequest(context.topic), deadline: context.deadline).next
      _ = try await supervisor.post(context.draft("there"), deadline: context.deadline)
      let began = context.loop.now
      let page = try await supervisor.fetch(
        FetchRequest(context.topic, .after(start)), wait: context.capabilities.patience, deadline: context.deadline)
      try context.expectEqual(page.messages.map(\.content), ["there"], "messages")
      try context.expect(
        began.duration(to: context.loop.now) < context.capabilities.patience / 2, "it waited although it had something")
    },
    ConformanceCase("S7", "a waiting fetch ends empty when its time is over, not earlier") { context in
      let supervisor = try await context.supervise()
      let tail = try await supervisor.fetch(FetchRequest(context.topic), deadline: context.deadline).next
      let began = context.loop.now
      let page = try await supervisor.fetch(
        FetchRequest(context.topic, .after(tail)), wait: .milliseconds(300), deadline: context.deadline)
      let elapsed = began.duration(to: context.loop.now)
      try context.expect(page.messages.isEmpty && page.gap == nil, "an empty page, not \(page)")
      try context.expectEqual(page.next, tail, "the cursor")
      try context.expect(elapsed >= .milliseconds(300), "it ended after \(elapsed)")
    },
    ConformanceCase("S7", "a cancelled waiting fetch ends at once") { context in
      let supervisor = try await context.supervise()
      let tail = try await supervisor.fetch(FetchRequest(context.topic), deadline: context.deadline).next
      let (topic, wait, deadline) = (context.topic, context.capabilities.patience, context.deadline)
      let waiting = context.loop.spawn {
        await ConformanceContext.outcome { () throws(SeamError) in
          try await supervisor.fetch(FetchRequest(topic, .after(tail)), wait: wait, deadline: deadline)
        }
      }
      await context.loop.sleep(for: .milliseconds(50))
      let began = context.loop.now
      waiting.cancel()
      let outcome = await waiting.value
      try context.expect(
        began.duration(to: context.loop.now) < context.capabilities.patience / 2, "it went on after its cancellation")
      try await context.expectError("cancelled", during: "cancelled fetch") { _ = try outcome.get() }
    },
    ConformanceCase("S7", "many waiting fetches and a follower are all woken by one post") { context in
      let supervisor = try await context.supervise()
      let tail = try await supervisor.fetch(FetchRequest(context.topic), deadline: context.deadline).next
      let recorder = DeliveryRecorder(loop: context.loop)
      _ = await supervisor.follow(context.topic, after: tail, sink: recorder.sink)
      let (topic, wait, deadline) = (context.topic, context.capabilities.patience, context.deadline)
      let waiting = (0..<20).map { _ in
        context.loop.spawn {
          await ConformanceContext.outcome { () throws(SeamError) in
            try await supervisor.fetch(FetchRequest(topic, .after(tail)), wait: wait, deadline: deadline)
          }
        }
      }
      await context.loop.sleep(for: .milliseconds(50))
      _ = try await supervisor.post(context.draft("for all"), deadline: deadline)
      for task in waiting {
        try context.expectEqual(try await task.value.get().messages.map(\.content), ["for all"], "what a waiter got")
      }
      try await context.wait(for: 1, in: recorder)
    },
  ]
}

extension ConformanceContext {
  /// A typed throwing operation's result, for tasks that must not throw.
  static func outcome<Value: Sendable>(
    _ operation: () async throws(SeamError) -> Value
  ) async -> Result<Value, SeamError> {
    do throws(SeamError) { return .success(try await operation()) } catch { return .failure(error) }
  }
}
