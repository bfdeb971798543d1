import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleySQLite

/// Exactly once by key (S2).
struct KeyTests {
  @Test func sameKeySameContentIsOneMessage() throws {
    let folder = try TestFolder()
    try withBackends(folder.options, count: 2) { loop, backends in
      let first = try await backends[0].post(draft("text", key: .chosen("k")))
      for backend in backends {
        let again = try await backend.post(draft("text", key: .chosen("k")))
        #expect(again.isDuplicate)
        #expect(again.id == first.id)
        #expect(again.cursor == first.cursor)
        #expect(again.storedAt == first.storedAt)
      }
      #expect(try await backends[0].fetch(FetchRequest(general)).messages.count == 1)
    }
  }

  /// A generated key has no index; it is looked for after an outcome that was unknown, and found among the newest.
  @Test func aGeneratedKeyIsFoundByARetry() async throws {
    let folder = try TestFolder()
    let loop = try EventLoop()
    var session = try WriterSession.open(folder.options)
    func post(_ order: PostOrder) async throws -> Receipt {
      try await withCheckedContinuation { continuation in
        var rest = [PostCall(order, deadline: loop.now) { continuation.resume(returning: $0) }][...]
        for (call, result) in session.commit(&rest, now: 1).results { call.answer(result) }
      }.get()
    }
    let first = draft("text", key: .generated("g-1"))
    let stored = try await post(PostOrder(draft: first, isRetry: false))
    _ = try await post(PostOrder(draft: draft("other", key: .generated("g-2")), isRetry: false))
    let again = try await post(PostOrder(draft: first, isRetry: true))
    #expect(again.isDuplicate && again.id == stored.id && again.cursor == stored.cursor)
    let lost = try await post(PostOrder(draft: draft("lost", key: .generated("g-3")), isRetry: true))
    #expect(!lost.isDuplicate)
    #expect(try OtherProgram(folder.database).text("SELECT count(*) FROM messages") == "3")
  }

  @Test func otherContentIsRefused() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      let composed = draft("\u{e9}", key: .chosen("k"))
      try await backend.post(composed)
      var other = composed
      other.to = Handle("bob")
      var decomposed = composed
      // Canonically equivalent, but other bytes.
      decomposed.content = "e\u{301}"
      var attributed = composed
      attributed.attributes = ["a": "b"]
      var reply = composed
      reply.inReplyTo = MessageID("1")
      for wrong in [other, decomposed, attributed, reply] {
        let error = await failure { try await backend.post(wrong) }
        #expect(error?.code == .keyReused)
      }
      #expect(try await backend.fetch(FetchRequest(general)).messages.count == 1)
    }
  }

  @Test func keysAreScopedToTopicAndAuthor() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      try await backend.post(draft("a", key: .chosen("k")))
      #expect(try await !backend.post(draft("b", topic: Topic("other"), key: .chosen("k"))).isDuplicate)
      var stranger = draft("c", key: .chosen("k"))
      stranger.author = Author(handle: Handle("bob"), instance: "instance-2")
      #expect(try await !backend.post(stranger).isDuplicate)
      var restarted = draft("a", key: .chosen("k"))
      restarted.author = Author(handle: Handle("coder"), instance: "another process")
      #expect(try await backend.post(restarted).isDuplicate)
    }
  }

  @Test func oneReusedKeyFailsItsCallerAlone() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      try await backend.post(draft("first", key: .chosen("k")))
      // Made in one turn, so that they are one batch.
      async let before = failure { try await backend.post(draft("before")) }
      async let reused = failure { try await backend.post(draft("other", key: .chosen("k"))) }
      async let twin = failure { try await backend.post(draft("first", key: .chosen("k"))) }
      async let after = failure { try await backend.post(draft("after")) }
      let outcomes = await [before, reused, twin, after]
      #expect(outcomes.map { $0?.code } == [nil, .keyReused, nil, nil])
      #expect(try await backend.fetch(FetchRequest(general)).messages.count == 3)
    }
  }

  @Test func nulIsRefused() throws {
    let folder = try TestFolder()
    try withBackends(folder.options) { loop, backends in
      let backend = backends[0]
      var attributed = draft("x")
      attributed.attributes = ["a": "\0"]
      for bad in [draft("a\0b"), draft("x", topic: Topic("t\0")), attributed] {
        let error = await failure { try await backend.post(bad) }
        #expect(error?.code == .invalidRequest)
      }
    }
  }
}
