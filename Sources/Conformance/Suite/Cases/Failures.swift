import ParleyRuntime

extension ConformanceSuite {
  /// S9: honest failure.
  static let failures: [ConformanceCase] = [
    ConformanceCase("S9", "a post whose deadline has passed is timedOut and not stored") { context in
      let backend = try await context.connect()
      let past = context.loop.now.advanced(by: .milliseconds(-1))
      let draft = context.draft("late")
      try await context.expectError("timedOut", during: "post with a past deadline") {
        _ = try await backend.post(draft, deadline: past)
      }
      await context.watchQuietly()
      try context.expect(try await context.fetch(from: backend).messages.isEmpty, "it was stored")
    },
    ConformanceCase("S9", "a fetch whose deadline has passed is timedOut") { context in
      let backend = try await context.connect()
      let request = FetchRequest(context.topic)
      let past = context.loop.now.advanced(by: .milliseconds(-1))
      try await context.expectError("timedOut", during: "fetch with a past deadline") {
        _ = try await backend.fetch(request, deadline: past)
      }
    },
    ConformanceCase("S9", "after disconnect everything is unavailable, and connecting again heals it") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      let (recorder, id) = try await context.subscribe(after: start, on: backend)
      await backend.disconnect()
      await backend.disconnect()
      await backend.unsubscribe(id)
      await backend.resume(id)
      let (draft, deadline) = (context.draft("while away"), context.deadline)
      try await context.expectError("unavailable", during: "post after disconnect") {
        _ = try await backend.post(draft, deadline: deadline)
      }
      try await context.expectError("unavailable", during: "fetch after disconnect") {
        _ = try await context.fetch(from: backend)
      }
      try await context.expectError("unavailable", during: "subscribe after disconnect") {
        _ = try await context.subscribe(after: start, on: backend)
      }
      try await backend.connect { _ in }
      try await context.post(["back"], to: backend)
      await context.watchQuietly()
      try context.expectEqual(try await context.fetch(from: backend).messages.map(\.content), ["back"], "the log")
      try context.expect(recorder.deliveries.isEmpty, "a subscription of an ended session delivered")
    },
    ConformanceCase("S9", "posts that a disconnect overtakes are either acknowledged and stored, or failed honestly") {
      context in
      let backend = try await context.connect()
      let drafts = (0..<50).map { context.draft("\($0)") }
      let deadline = context.deadline
      let posting = drafts.map { draft in
        context.loop.spawn {
          await ConformanceContext.outcome { () throws(SeamError) in try await backend.post(draft, deadline: deadline) }
        }
      }
      await backend.disconnect()
      var outcomes: [Result<Receipt, SeamError>] = []
      for task in posting { outcomes.append(await task.value) }
      let stored = Set(try await context.fetch(from: try await context.connect()).messages.map(\.content))
      for (draft, outcome) in zip(drafts, outcomes) {
        switch outcome {
        case .success: try context.expect(stored.contains(draft.content), "\(draft.content) acknowledged, not stored")
        case .failure(let error) where error.code == .outcomeUnknown: break
        case .failure(let error):
          try context.expectEqual(error.code, .unavailable, "the code for \(draft.content)")
          try context.expect(!stored.contains(draft.content), "\(draft.content) is stored in spite of \(error)")
        }
      }
    },
    ConformanceCase("S9", "a retry with the same key after any failure is safe") { context in
      let backend = try await context.connect()
      let draft = context.draft("retried", key: .chosen("retried"))
      let first = context.deadline
      _ = await ConformanceContext.outcome { () throws(SeamError) in
        try await backend.post(draft, deadline: context.loop.now.advanced(by: .microseconds(200)))
      }
      _ = try await backend.post(draft, deadline: first)
      let again = try await backend.post(draft, deadline: first)
      let log = try await context.fetch(from: backend).messages
      try context.expectEqual(log.map(\.id), [again.id], "the log after three attempts")
    },
    ConformanceCase("S9", "a cancelled post is either stored or said not to be") { context in
      let backend = try await context.connect()
      let (draft, deadline) = (context.draft("cancelled"), context.deadline)
      let posting = context.loop.spawn {
        await ConformanceContext.outcome { () throws(SeamError) in try await backend.post(draft, deadline: deadline) }
      }
      posting.cancel()
      let outcome = await posting.value
      await context.watchQuietly()
      let isStored = try await !context.fetch(from: backend).messages.isEmpty
      switch outcome {
      case .success: try context.expect(isStored, "acknowledged, not stored")
      case .failure(let error) where error.code == .outcomeUnknown: break
      case .failure(let error):
        try context.expectEqual(error.code, .cancelled, "the code")
        try context.expect(!isStored, "stored in spite of \(error)")
      }
    },
    ConformanceCase("S9", "a lost session is reported once, with a reason, and its subscriptions are over") { context in
      guard let cut = context.store.cut else { throw NotApplicable("no cut hook") }
      let losses = LossRecorder()
      let backend = try await context.connect { losses.add($0) }
      let (recorder, _) = try await context.subscribe(after: context.end(from: backend), on: backend)
      try await cut()
      let until = context.deadline
      while losses.errors.isEmpty, context.loop.now < until { await context.loop.sleep(for: .milliseconds(5)) }
      await context.watchQuietly()
      try context.expectEqual(losses.errors.count, 1, "losses reported")
      try await backend.connect { _ in }
      try await context.post(["after"], to: backend)
      await context.watchQuietly()
      try context.expect(recorder.deliveries.isEmpty, "a subscription of a lost session delivered")
    },
  ]

  /// S10: nobody waits for another's trouble.
  static let sharing: [ConformanceCase] = [
    ConformanceCase("S10", "a paused subscriber delays neither its topic's others nor other topics") { context in
      let backend = try await context.connect()
      let other = context.topic("other")
      let start = try await context.end(from: backend)
      let stuck = DeliveryRecorder(loop: context.loop)
      stuck.pausesAt = 1
      _ = try await context.subscribe(after: start, on: backend, recorder: stuck)
      let (beside, _) = try await context.subscribe(after: start, on: backend)
      let (elsewhere, _) = try await context.subscribe(
        to: other, after: context.end(of: other, from: backend), on: backend)
      try await context.post((0..<20).map(String.init), to: backend)
      try await context.post((0..<20).map(String.init), to: backend, on: other)
      try await context.wait(for: 20, in: beside)
      try await context.wait(for: 20, in: elsewhere)
      try context.expectEqual(stuck.deliveries.count, 1, "deliveries to the paused one")
    },
    ConformanceCase("S10", "a bad request on one topic leaves subscriptions and posts of others alone") { context in
      let backend = try await context.connect()
      let other = context.topic("other")
      let (recorder, _) = try await context.subscribe(
        to: other, after: context.end(of: other, from: backend), on: backend)
      let deadline = context.deadline
      let bad = context.draft("a\0b")
      for _ in 0..<5 {
        _ = await ConformanceContext.outcome { () throws(SeamError) in try await backend.post(bad, deadline: deadline) }
        _ = try? await context.fetch(.after(Cursor("nowhere")), from: backend)
        try await context.post(["good"], to: backend, on: other)
      }
      try await context.wait(for: 5, in: recorder)
    },
    ConformanceCase("S11", "many posts at once from one process are each stored once") { context in
      let backend = try await context.connect()
      let start = try await context.end(from: backend)
      let drafts = (0..<200).map { context.draft("\($0)") }
      let deadline = context.deadline
      let receipts = try await withThrowingTaskGroup(of: Receipt.self) { group in
        for draft in drafts { group.addTask { try await backend.post(draft, deadline: deadline) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      let log = try await context.readAll(after: start, pageSize: 64, from: backend)
      try context.expectEqual(log.map(\.content).sorted(), drafts.map(\.content).sorted(), "contents")
      try context.expectEqual(Set(receipts.map(\.id)), Set(log.map(\.id)), "ids")
    },
  ]

  /// S12 and S13: who.
  static let identities: [ConformanceCase] = [
    ConformanceCase("S12", "accounts and provenance say what the backend knows") { context in
      let backend = try await context.connect()
      try await context.post(["hello"], to: backend)
      let message = try await context.messages(1, from: backend)[0]
      if await backend.traits.authenticatesSenders {
        try context.expect(message.account?.isEmpty == false, "an authenticating backend names the account")
      } else {
        try context.expectEqual(message.account, nil, "account")
        try context.expectEqual(message.provenance, .claimed, "provenance")
      }
    },
    ConformanceCase("S13", "resolveIdentity names the account, or says that it does not know") { context in
      let backend = try await context.connect()
      try await context.post(["hello"], to: backend)
      let identity = try await backend.resolveIdentity(Handle("ada"))
      if let expected = context.capabilities.knownAccount {
        guard case .account(expected, _) = identity else {
          throw ConformanceFailure("expected the account \(expected), got \(identity)")
        }
      } else {
        try context.expectEqual(identity, .unknown, "identity")
      }
      try context.expectEqual(
        try await backend.resolveIdentity(Handle("nobody-\(context.topic)")), .unknown, "a handle never seen")
    },
  ]
}

/// Remembers what a backend reported as lost.
//
// @unchecked: `lost` is called on the loop, where the case runs too.
private final class LossRecorder: @unchecked Sendable {
  private(set) var errors: [SeamError] = []

  func add(_ error: SeamError) { errors.append(error) }
}
