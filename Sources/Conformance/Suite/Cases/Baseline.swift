import ParleyRuntime

extension ConformanceSuite {
  /// The eight cases of the TypeScript Parley's shared suite; the seventh (waiting) and the eighth (many writers) go
  /// through the supervisor and the history checker here.
  static let baseline: [ConformanceCase] = [
    ConformanceCase("S3", "posts come back in order with unique ids and cursors") { context in
      let backend = try await context.connect()
      let receipts = try await context.post(["a", "b", "c"], to: backend)
      let page = try await context.fetch(from: backend)
      try context.expectEqual(page.messages.map(\.content), ["a", "b", "c"], "contents")
      try context.expectEqual(page.messages.map(\.id), receipts.map(\.id), "ids read and ids posted")
      try context.expectEqual(Set(page.messages.map(\.id)).count, 3, "distinct ids")
      try context.expectEqual(Set(page.messages.map(\.cursor)).count, 3, "distinct cursors")
      try context.expectEqual(page.next, page.messages[2].cursor, "the page's next cursor and the last message's")
      try context.expectEqual(page.messages.map(\.cursor), receipts.map(\.cursor), "cursors read and cursors posted")
    },
    ConformanceCase("S3", "a fetch after a cursor returns exactly what came later") { context in
      let backend = try await context.connect()
      try await context.post(["a", "b"], to: backend)
      let first = try await context.fetch(from: backend)
      try await context.post(["c", "d"], to: backend)
      let second = try await context.fetch(.after(first.next), from: backend)
      try context.expectEqual(second.messages.map(\.content), ["c", "d"], "contents after the cursor")
      try context.expectEqual(second.next, second.messages[1].cursor, "the page's next cursor")
      try context.expect(second.gap == nil && !second.hasMore, "neither a gap nor more was expected: \(second)")
    },
    ConformanceCase("S3", "a fetch at the end is empty and keeps the cursor") { context in
      let backend = try await context.connect()
      try await context.post(["only"], to: backend)
      let tail = try await context.end(from: backend)
      let page = try await context.fetch(.after(tail), from: backend)
      try context.expectEqual(page, Page(messages: [], next: tail, previous: page.previous, hasMore: false), "page")
    },
    ConformanceCase("S3", "a topic that was never posted to is empty, and its cursor can be replayed") { context in
      let backend = try await context.connect()
      let page = try await context.fetch(from: backend)
      try context.expect(page.messages.isEmpty && page.gap == nil && !page.hasMore, "an empty page, not \(page)")
      let again = try await context.fetch(.after(page.next), from: backend)
      try context.expect(again.messages.isEmpty && again.gap == nil, "an empty page, not \(again)")
      try context.expectEqual(again.next, page.next, "the replayed cursor")
      try await context.post(["first"], to: backend)
      let found = try await context.readAll(after: page.next, from: backend)
      try context.expectEqual(found.map(\.content), ["first"], "the first message after the empty topic's cursor")
    },
    ConformanceCase("S5", "a subscriber gets a post once, the same by push and by fetch") { context in
      let backend = try await context.connect()
      let tail = try await context.end(from: backend)
      let (recorder, _) = try await context.subscribe(after: tail, on: backend)
      let receipts = try await context.post(["x"], to: backend)
      try await context.wait(for: 1, in: recorder)
      await context.watchQuietly()
      let page = try await context.fetch(.after(tail), from: backend)
      try context.expectEqual(recorder.deliveries, page.messages.map(Delivery.message), "pushed and fetched")
      try context.expectEqual(page.messages.map(\.id), receipts.map(\.id), "fetched and posted ids")
    },
    ConformanceCase("S10", "topics are isolated") { context in
      let backend = try await context.connect()
      let other = context.topic("other")
      let (recorder, _) = try await context.subscribe(after: context.end(from: backend), on: backend)
      try await context.post(["theirs"], to: backend, on: other)
      try await context.post(["ours"], to: backend)
      try await context.wait(for: 1, in: recorder)
      try context.expectEqual(recorder.messages.map(\.content), ["ours"], "pushed on our topic")
      try context.expectEqual(try await context.fetch(from: backend).messages.map(\.content), ["ours"], "our topic")
      try context.expectEqual(
        try await context.fetch(of: other, from: backend).messages.map(\.content), ["theirs"], "the other topic")
    },
  ]
}
