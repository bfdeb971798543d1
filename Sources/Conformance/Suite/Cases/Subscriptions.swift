import ParleyRuntime

extension ConformanceSuite {
  /// S5 and S6: live delivery.
  static let subscriptions: [ConformanceCase] = [
    ConformanceCase("S5", "a subscription from a concrete cursor delivers the past, then the present, in order") {
      context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      try await context.post((0..<5).map(String.init), to: backend)
      let (recorder, _) = try await context.subscribe(after: start, on: backend)
      try await context.post((5..<10).map(String.init), to: backend)
      try await context.wait(for: 10, in: recorder)
      await context.watchQuietly()
      try context.expectEqual(recorder.messages.map(\.content), (0..<10).map(String.init), "messages")
    },
    ConformanceCase("S5", "subscriptions made while posts flow lose nothing and double nothing") { context in
      let writer = try await context.connect()
      let reader = try await context.connect()
      let start = try await context.end(from: reader)
      let drafts = (0..<60).map { context.draft("\($0)") }
      let deadline = context.deadline
      let posting = context.loop.spawn { () -> Result<Void, any Error> in
        do {
          for draft in drafts { _ = try await writer.post(draft, deadline: deadline) }
          return .success(())
        } catch {
          return .failure(error)
        }
      }
      var recorders: [DeliveryRecorder] = []
      for _ in 0..<6 {
        recorders.append(try await context.subscribe(after: start, on: reader).recorder)
        _ = try await context.fetch(.latest, limit: 1, from: reader)
      }
      try await posting.value.get()
      for recorder in recorders { try await context.wait(for: drafts.count, in: recorder) }
      await context.watchQuietly()
      for recorder in recorders {
        try context.expectEqual(recorder.messages.map(\.content), drafts.map(\.content), "messages")
        try context.expect(recorder.gaps.isEmpty, "no gaps: \(recorder.gaps)")
      }
    },
    ConformanceCase("S5", "a paused subscription keeps its place and goes on without loss") { context in
      let backend = try await context.connect()
      let recorder = DeliveryRecorder(loop: context.loop)
      recorder.pausesAt = 3
      let start = try await context.end(from: backend)
      let (_, id) = try await context.subscribe(after: start, on: backend, recorder: recorder)
      try await context.post((0..<10).map(String.init), to: backend)
      try await context.wait(for: 3, in: recorder)
      await context.watchQuietly()
      try context.expectEqual(recorder.deliveries.count, 3, "deliveries while paused")
      await backend.resume(id)
      try await context.wait(for: 10, in: recorder)
      await context.watchQuietly()
      try context.expectEqual(recorder.messages.map(\.content), (0..<10).map(String.init), "messages")
    },
    ConformanceCase("S5", "resuming twice, or what was not paused, delivers nothing twice") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      let (recorder, id) = try await context.subscribe(after: start, on: backend)
      await backend.resume(id)
      try await context.post(["a", "b"], to: backend)
      await backend.resume(id)
      await backend.resume(id)
      try await context.wait(for: 2, in: recorder)
      await context.watchQuietly()
      try context.expectEqual(recorder.messages.map(\.content), ["a", "b"], "messages")
    },
    ConformanceCase("S5", "unsubscribing silences at once, and may be done twice") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      let (silenced, id) = try await context.subscribe(after: start, on: backend)
      let (witness, _) = try await context.subscribe(after: start, on: backend)
      try await context.post(["a"], to: backend)
      try await context.wait(for: 1, in: silenced)
      await backend.unsubscribe(id)
      await backend.unsubscribe(id)
      await backend.resume(id)
      try await context.post(["b"], to: backend)
      try await context.wait(for: 2, in: witness)
      await context.watchQuietly()
      try context.expectEqual(silenced.messages.map(\.content), ["a"], "messages after unsubscribing")
    },
    ConformanceCase("S5", "two subscriptions of one topic at different places each get their own") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      try await context.post(["a", "b"], to: backend)
      let middle = try await context.end(from: backend)
      let (early, _) = try await context.subscribe(after: start, on: backend)
      let (late, _) = try await context.subscribe(after: middle, on: backend)
      try await context.post(["c"], to: backend)
      try await context.wait(for: 3, in: early)
      try await context.wait(for: 1, in: late)
      await context.watchQuietly()
      try context.expectEqual(early.messages.map(\.content), ["a", "b", "c"], "from the start")
      try context.expectEqual(late.messages.map(\.content), ["c"], "from the middle")
    },
    ConformanceCase("S5", "posts of another process are pushed") { context in
      let writer = try await context.connect()
      let reader = try await context.connect()
      let (recorder, _) = try await context.subscribe(after: context.end(from: reader), on: reader)
      try await context.post(["from afar"], to: writer)
      try await context.wait(for: 1, in: recorder)
      try context.expectEqual(recorder.messages.map(\.content), ["from afar"], "messages")
    },
    ConformanceCase("S5", "a subscription of a topic that does not exist yet gets its first message") { context in
      let reader = try await context.connect()
      let writer = try await context.connect()
      let topic = context.topic("new")
      let (recorder, _) = try await context.subscribe(
        to: topic, after: context.end(of: topic, from: reader), on: reader)
      try await context.post(["first"], to: writer, on: topic)
      try await context.wait(for: 1, in: recorder)
      try context.expectEqual(recorder.messages.map(\.content), ["first"], "messages")
    },
    ConformanceCase("S5", "a follower loses nothing when every connection is cut while posts flow") { context in
      guard let cut = context.store.cut else { throw NotApplicable("no cut hook") }
      try await followThrough(context, disturb: cut)
    },
    ConformanceCase("S5", "a follower loses nothing when the server restarts while posts flow") { context in
      guard let restart = context.store.restart else { throw NotApplicable("no restart hook") }
      try await followThrough(context, disturb: restart)
    },
    ConformanceCase("S6", "live and fetched messages are equal in every field") { context in
      let writer = try await context.connect()
      let reader = try await context.connect()
      let start = try await context.end(from: reader)
      let (pushed, _) = try await context.subscribe(after: start, on: reader)
      let (ownPushed, _) = try await context.subscribe(after: start, on: writer)
      let first = try await context.post(["question for @bob and @carl.k"], to: writer)[0]
      var draft = context.draft("answer", by: "bob", key: .chosen("reply-1"))
      draft.inReplyTo = first.id
      draft.to = Handle("ada")
      draft.attributes = ["kind": "note", "ключ": "значение"]
      _ = try await writer.post(draft, deadline: context.deadline)
      try await context.wait(for: 2, in: pushed)
      try await context.wait(for: 2, in: ownPushed)
      let late = try await context.subscribe(after: start, on: reader).recorder
      try await context.wait(for: 2, in: late)
      let fetched = try await context.fetch(.after(start), from: reader).messages
      let latest = try await context.fetch(.latest, from: writer).messages
      try context.expectEqual(pushed.messages, fetched, "pushed and fetched")
      try context.expectEqual(ownPushed.messages, fetched, "pushed to the writer and fetched")
      try context.expectEqual(late.messages, fetched, "pushed from the past and fetched")
      try context.expectEqual(latest, fetched, "latest and fetched")
      try context.expectEqual(fetched[0].mentions, [Handle("bob"), Handle("carl.k")], "mentions")
    },
  ]

  /// One writer posts through a supervisor, one follows through another, while the connections are disturbed thrice.
  private static func followThrough(
    _ context: ConformanceContext, disturb: @escaping @Sendable () async throws -> Void
  ) async throws {
    let writer = try await context.supervise()
    let reader = try await context.supervise()
    let start = try await reader.fetch(FetchRequest(context.topic, limit: 1), deadline: context.deadline).next
    let recorder = DeliveryRecorder(loop: context.loop)
    _ = await reader.follow(context.topic, after: start, sink: recorder.sink)
    var checker = HistoryChecker()
    for number in 0..<40 {
      let draft = context.draft("message \(number)")
      let post = checker.attempt(writer: "ada", key: draft.key.text, content: draft.content)
      if number % 12 == 6 { try await disturb() }
      let receipt = try await writer.post(draft, deadline: context.deadline)
      checker.acknowledge(post, id: receipt.id)
    }
    try await context.wait(for: 40, in: recorder)
    await context.watchQuietly()
    let tracked = checker.addReader("follower")
    for delivery in recorder.deliveries { checker.deliver(delivery, to: tracked) }
    checker.expectComplete(tracked)
    let page = try await writer.fetch(
      FetchRequest(context.topic, .after(start), limit: 1000), deadline: context.deadline)
    let verdict = checker.verdict(log: page.messages.map { HistoryChecker.Entry(id: $0.id, content: $0.content) })
    try context.expect(verdict.isClean, "\(verdict)")
    try context.expectEqual(verdict.delivered, 40, "messages that the follower got")
  }
}
