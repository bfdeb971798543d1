import ParleyRuntime

extension ConformanceSuite {
  /// S3: places in the log.
  static let cursors: [ConformanceCase] = [
    ConformanceCase("S3", "pages in either direction meet the whole log once") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      try await context.post((0..<23).map(String.init), to: backend)
      let all = try await context.fetch(.after(start), from: backend).messages
      try context.expectEqual(all.map(\.content), (0..<23).map(String.init), "the log")
      for size in [1, 5, 22, 23, 24] {
        let forward = try await context.readAll(after: start, pageSize: size, from: backend)
        try context.expectEqual(forward, all, "forward by \(size)")
        var backward: [Message] = []
        var page = try await context.fetch(.latest, limit: size, from: backend)
        backward = page.messages
        while let previous = page.previous {
          page = try await context.fetch(.before(previous), limit: size, from: backend)
          try context.expect(!page.messages.isEmpty, "a page before \(previous) is empty although one was promised")
          backward = page.messages + backward
        }
        try context.expectEqual(backward, all, "backward by \(size)")
        try context.expect(!page.hasMore, "nothing is older than the oldest page")
      }
    },
    ConformanceCase("S3", "before is exclusive and ascending, and can stop at a time") { context in
      let backend = try await context.connect()
      try await context.post(["a", "b", "c", "d"], to: backend)
      let all = try await context.messages(4, from: backend)
      let page = try await context.fetch(.before(all[3].cursor), limit: 2, from: backend)
      try context.expectEqual(page.messages, [all[1], all[2]], "two messages before the last")
      try context.expect(page.hasMore && page.previous != nil, "there is an older one: \(page)")
      let none = try await context.fetch(.before(all[0].cursor), from: backend)
      try context.expect(none.messages.isEmpty && none.previous == nil && !none.hasMore, "nothing before: \(none)")
      let since = all[3].storedAt + 1
      let recent = try await context.fetch(.before(all[3].cursor, storedSince: since), from: backend)
      try context.expect(recent.messages.allSatisfy { $0.storedAt >= since }, "older than asked for: \(recent)")
    },
    ConformanceCase("S3", "latest is the newest n, ascending") { context in
      let backend = try await context.connect()
      try await context.post((0..<10).map(String.init), to: backend)
      let page = try await context.fetch(.latest, limit: 3, from: backend)
      try context.expectEqual(page.messages.map(\.content), ["7", "8", "9"], "the newest three")
      try context.expectEqual(page.next, page.messages[2].cursor, "the next cursor")
      let rest = try await context.fetch(.after(page.next), from: backend)
      try context.expect(rest.messages.isEmpty, "nothing follows the newest")
      let one = try await context.fetch(.latest, limit: 1, from: backend)
      try context.expectEqual(one.messages.map(\.content), ["9"], "the newest one")
    },
    ConformanceCase("S3", "hasMore is told exactly, and limits out of range are refused") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      try await context.post(["a", "b", "c"], to: backend)
      try context.expect(try await context.fetch(.after(start), limit: 2, from: backend).hasMore, "two of three: more")
      let exact = try await context.fetch(.after(start), limit: 3, from: backend)
      let rest = try await context.fetch(.after(exact.next), limit: 3, from: backend)
      try context.expect(!exact.hasMore, "three of three: no more")
      try context.expect(rest.messages.isEmpty && !rest.hasMore, "nothing after the third")
      for limit in [0, -1, 1001] {
        try await context.expectError("invalidRequest", during: "fetch with limit \(limit)") {
          _ = try await context.fetch(.after(start), limit: limit, from: backend)
        }
      }
    },
    ConformanceCase("S3", "a page ends at 1 MiB but holds at least one message") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      let text = String(repeating: "x", count: context.capabilities.largeContent)
      let count = (1 << 20) / text.utf8.count + 3
      try await context.post((0..<count).map { "\($0)" + text }, to: backend)
      let page = try await context.fetch(.after(start), from: backend)
      try context.expect(!page.messages.isEmpty && page.hasMore, "a page of \(page.messages.count) of \(count)")
      try context.expect(
        page.messages.reduce(0) { $0 + $1.content.utf8.count } <= 1 << 20, "the page is over 1 MiB of content")
      try context.expectEqual(try await context.readAll(after: start, from: backend).count, count, "over all pages")
    },
    ConformanceCase("S3", "a cursor stays good for another process and another session") { context in
      let backend = try await context.connect()
      try await context.post(["a", "b"], to: backend)
      let cursor = try await context.messages(2, from: backend)[0].cursor
      await backend.disconnect()
      let other = try await context.connect()
      let found = try await context.fetch(.after(Cursor(cursor.text)), from: other)
      try context.expect(found.gap == nil, "no gap: \(found)")
      try context.expectEqual(found.messages.map(\.content), ["b"], "after the cursor of an earlier process")
    },
    ConformanceCase("S3", "a bare native id is accepted as a cursor") { context in
      guard context.capabilities.acceptsBareIDs else { throw NotApplicable("ids are no places on this backend") }
      let backend = try await context.connect()
      let receipts = try await context.post(["a", "b", "c"], to: backend)
      let after = try await context.fetch(.after(Cursor(receipts[0].id.text)), from: backend)
      try context.expectEqual(after.messages.map(\.content), ["b", "c"], "after the bare id")
      let before = try await context.fetch(.before(Cursor(receipts[2].id.text)), from: backend)
      try context.expectEqual(before.messages.map(\.content), ["a", "b"], "before the bare id")
    },
    ConformanceCase("S4", "malformed, empty and foreign cursors are cursorInvalid everywhere") { context in
      let backend = try await context.connect()
      try await context.post(["a"], to: backend)
      let own = await backend.traits.name
      let foreign = Cursor.backends.subtracting([own, "parley"]).sorted().map { "\($0).5f1c09ab.17" }
      for text in foreign + ["", "\(own).", "\(own)..", "\(own).zz.not-a-place"] {
        let cursor = Cursor(text)
        try await context.expectError("cursorInvalid", during: "fetch after '\(text)'") {
          _ = try await context.fetch(.after(cursor), from: backend)
        }
        try await context.expectError("cursorInvalid", during: "fetch before '\(text)'") {
          _ = try await context.fetch(.before(cursor), from: backend)
        }
        try await context.expectError("cursorInvalid", during: "subscribe after '\(text)'") {
          _ = try await context.subscribe(after: cursor, on: backend)
        }
      }
    },
  ]

  /// S4: what is gone is told.
  static let gaps: [ConformanceCase] = [
    ConformanceCase("S4", "a cursor before trimmed messages is answered with a gap, then the oldest there is") {
      context in
      guard let trim = context.store.trim else { throw NotApplicable("no trim hook") }
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      try await context.post((0..<10).map(String.init), to: backend)
      let all = try await context.messages(10, .after(start), from: backend)
      try await trim(context.topic, 4)
      for (name, cursor) in [("the start", start), ("a trimmed message", all[2].cursor)] {
        let page = try await context.fetch(.after(cursor), from: backend)
        try context.expect(page.gap != nil, "a gap after \(name)")
        try context.expectEqual(page.gap?.from, cursor, "where the gap begins")
        try context.expectEqual(page.messages.map(\.content), ["6", "7", "8", "9"], "what follows the gap")
        let again = try await context.fetch(.after(page.gap?.to ?? start), from: backend)
        try context.expect(again.gap == nil, "the gap is not told again after its end")
        try context.expectEqual(again.messages.map(\.content), ["6", "7", "8", "9"], "what follows the gap's end")
      }
    },
    ConformanceCase("S4", "a cursor that the trimming did not touch knows no gap") { context in
      guard let trim = context.store.trim else { throw NotApplicable("no trim hook") }
      let backend = try await context.connect()
      try await context.post((0..<10).map(String.init), to: backend)
      let all = try await context.messages(10, from: backend)
      try await trim(context.topic, 4)
      let page = try await context.fetch(.after(all[6].cursor), from: backend)
      try context.expect(page.gap == nil, "no gap: \(String(describing: page.gap))")
      try context.expectEqual(page.messages, Array(all[7...]), "what follows")
    },
    ConformanceCase("S4", "a subscription after a trimmed cursor delivers the gap first") { context in
      guard let trim = context.store.trim else { throw NotApplicable("no trim hook") }
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      try await context.post((0..<10).map(String.init), to: backend)
      try await trim(context.topic, 2)
      let (recorder, _) = try await context.subscribe(after: start, on: backend)
      try await context.wait(for: 2, in: recorder)
      guard case .gap? = recorder.deliveries.first else { throw ConformanceFailure("no gap: \(recorder.deliveries)") }
      try context.expectEqual(recorder.gaps.count, 1, "gaps")
      try context.expectEqual(recorder.messages.map(\.content), ["8", "9"], "messages")
    },
    ConformanceCase("S4", "trimming under a paused subscription is told when it goes on") { context in
      guard let trim = context.store.trim else { throw NotApplicable("no trim hook") }
      let backend = try await context.connect()
      let recorder = DeliveryRecorder(loop: context.loop)
      recorder.pausesAt = 1
      let start = try await context.end(from: backend)
      let (_, id) = try await context.subscribe(after: start, on: backend, recorder: recorder)
      try await context.post((0..<10).map(String.init), to: backend)
      try await context.wait(for: 1, in: recorder)
      try await trim(context.topic, 2)
      await backend.resume(id)
      try await context.wait(for: 3, in: recorder)
      try context.expectEqual(recorder.messages.map(\.content), ["0", "8", "9"], "messages")
      try context.expectEqual(recorder.gaps.count, 1, "gaps between them")
    },
    ConformanceCase("S4", "ids and cursors of trimmed messages are never used again") { context in
      guard let trim = context.store.trim else { throw NotApplicable("no trim hook") }
      let backend = try await context.connect()
      let old = try await context.post((0..<5).map(String.init), to: backend)
      try await trim(context.topic, 0)
      let new = try await context.post((5..<10).map(String.init), to: backend)
      try context.expect(Set(old.map(\.id)).isDisjoint(with: new.map(\.id)), "an id was used again")
      try context.expect(Set(old.map(\.cursor)).isDisjoint(with: new.map(\.cursor)), "a cursor was used again")
      let page = try await context.fetch(.after(old[4].cursor), from: backend)
      try context.expectEqual(page.messages.map(\.content), (5..<10).map(String.init), "what follows the last trimmed")
    },
    ConformanceCase("S4", "a topic that was deleted and made anew is told as a gap") { context in
      guard let delete = context.store.deleteTopic else { throw NotApplicable("no deleteTopic hook") }
      let backend = try await context.connect()
      let old = try await context.post(["a", "b", "c"], to: backend)
      try await delete(context.topic)
      try await context.post(["d"], to: backend)
      let page = try await context.fetch(.after(old[1].cursor), from: backend)
      try context.expect(page.gap != nil, "a gap after a cursor of the deleted log")
      try context.expectEqual(page.messages.map(\.content), ["d"], "what follows the gap")
    },
  ]
}
