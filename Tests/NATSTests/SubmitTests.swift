import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyNATS

/// Posts that are answered instead of waited for.
@Suite(.serialized) struct SubmitTests {
  /// Submits all at once and returns how each ended, in the same order.
  static func outcomes(
    of drafts: [Draft], on backend: NATSBackend, deadline: LoopInstant
  ) async -> [Result<Receipt, SeamError>] {
    await withTaskGroup(of: (Int, Result<Receipt, SeamError>).self) { group in
      for (index, draft) in drafts.enumerated() {
        group.addTask {
          (
            index,
            await withCheckedContinuation { continuation in
              backend.loop.execute {
                backend.assumeIsolated { $0.submit(draft, deadline: deadline) { continuation.resume(returning: $0) } }
              }
            }
          )
        }
      }
      return await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  @Test func manyAtOnce() async throws {
    let store = try await TestStore()
    try await withBackends(store.options) { _, backends in
      let drafts = (0..<3000).map { draft("\($0)") }
      let receipts = try await Self.outcomes(of: drafts, on: backends[0], deadline: backends[0].soon()).map {
        try $0.get()
      }
      #expect(Set(receipts.map(\.id)).count == 3000)
      var found: [String: MessageID] = [:]
      var cursor = Cursor("0")
      for _ in 0..<3 {
        let page = try await backends[0].fetch(FetchRequest(general, .after(cursor), limit: 1000))
        for message in page.messages { found[message.content] = message.id }
        cursor = page.next
      }
      #expect(zip(drafts, receipts).allSatisfy { found[$0.content] == $1.id })
    }
    await store.end()
  }

  @Test func everythingThatIsNotPlain() async throws {
    let store = try await TestStore()
    try await withBackends(store.options) { _, backends in
      try await backends[0].post(draft("makes the stream"))
      var once = draft("once", key: .chosen("k"))
      let first = await Self.outcomes(of: [once], on: backends[0], deadline: backends[0].soon())
      let again = await Self.outcomes(of: [once], on: backends[0], deadline: backends[0].soon())
      #expect(try first[0].get().id == again[0].get().id)
      #expect(try again[0].get().isDuplicate && !first[0].get().isDuplicate)
      once.content = "other"
      let limit = await backends[0].traits.contentLimit ?? 0
      let refused = await Self.outcomes(
        of: [once, draft("a\0b"), draft(String(repeating: "x", count: limit + 1))], on: backends[0],
        deadline: backends[0].soon())
      let codes = refused.map { result -> String in
        if case .failure(let error) = result { error.code.name } else { "none" }
      }
      #expect(codes == ["keyReused", "invalidRequest", "tooLarge"])
      let late = await Self.outcomes(
        of: [draft("late")], on: backends[0], deadline: backends[0].loop.now.advanced(by: .milliseconds(-1)))
      #expect(await failure { try late[0].get() }?.code == .timedOut)
      // The stream goes, and nobody told us yet.
      try await store.delete(general)
      let anew = await Self.outcomes(of: [draft("anew")], on: backends[0], deadline: backends[0].soon())
      #expect(try anew[0].get().id == MessageID("1"))
    }
    await store.end()
  }

  @Test func aServerThatDoesNotAnswer() async throws {
    let store = try await TestStore()
    try await withBackends(store.options) { loop, backends in
      try await backends[0].post(draft("makes the stream"))
      await store.proxy.setFlow(.stall)
      let began = loop.now
      let stuck = draft("stuck")
      let outcome = await Self.outcomes(
        of: [stuck], on: backends[0], deadline: loop.now.advanced(by: .milliseconds(700)))
      // Not sent at all where the server's word of the new stream came just before, so that it has to be looked up.
      let codes: [SeamError.Code?] = [.outcomeUnknown, .timedOut]
      #expect(codes.contains(await failure { try outcome[0].get() }?.code), "\(outcome)")
      #expect(began.duration(to: loop.now) < .seconds(4))
      await store.proxy.setFlow(.pass)
      // The same key is one message, whether it was stored or not.
      let receipt = try await backends[0].post(stuck)
      let page = try await backends[0].fetch(FetchRequest(general))
      #expect(page.messages.map(\.content) == ["makes the stream", "stuck"] && page.next == receipt.cursor)
    }
    await store.end()
  }

  @Test func disconnectingAnswersAll() async throws {
    let store = try await TestStore()
    try await withBackends(store.options) { loop, backends in
      try await backends[0].post(draft("makes the stream"))
      let drafts = (0..<100).map { draft("\($0)") }
      let deadline = loop.now.advanced(by: .seconds(10))
      let posting = loop.spawn { await Self.outcomes(of: drafts, on: backends[0], deadline: deadline) }
      await loop.sleep(for: .milliseconds(1))
      await backends[0].disconnect()
      let outcomes = await posting.value
      try await backends[0].connect { _ in }
      let stored = Set(try await backends[0].fetch(FetchRequest(general, limit: 1000)).messages.map(\.content))
      for (draft, outcome) in zip(drafts, outcomes) {
        switch outcome {
        case .success: #expect(stored.contains(draft.content))
        case .failure(let error) where error.code == .outcomeUnknown: break
        case .failure(let error): #expect(error.code == .unavailable && !stored.contains(draft.content))
        }
      }
    }
    await store.end()
  }
}
