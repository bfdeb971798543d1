import ParleyConformance
import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// What servers leave out, and what broken ones answer.
@Suite struct AuditTests {
  private func run(
    _ body: @escaping @Sendable (EventLoop, FakeHomeserver, MatrixBackend) async throws -> Void
  ) async throws {
    let loop = try EventLoop.thread(named: "matrix audit")
    defer { loop.stop() }
    let result: Result<Void, any Error> = await loop.spawn {
      do {
        let server = try await FakeHomeserver(loop: loop)
        let backend = MatrixBackend(loop: loop, options: server.options)
        try await backend.connect { _ in }
        let result: Result<Void, any Error>
        do { result = .success(try await body(loop, server, backend)) } catch { result = .failure(error) }
        await backend.disconnect()
        return result
      } catch { return .failure(error) }
    }.value
    try result.get()
  }

  private let topic = Topic("t")

  private func follow(
    _ loop: EventLoop, _ server: FakeHomeserver, _ backend: MatrixBackend
  ) async throws -> DeliveryRecorder {
    try await server.order("say first")
    let start = try await backend.fetch(FetchRequest(topic), deadline: loop.now.advanced(by: .seconds(10))).next
    let recorder = DeliveryRecorder(loop: loop)
    _ = try await backend.subscribe(topic, after: start, sink: recorder.sink)
    try await server.order("say second")
    #expect(await recorder.wait(until: loop.now.advanced(by: .seconds(10))) { $0.messages.count == 1 })
    return recorder
  }

  @Test func whatSyncPassedOverIsDeliveredLateOnce() async throws {
    try await run { loop, server, backend in
      let recorder = try await follow(loop, server, backend)
      try await server.order("say third")
      try await server.order("sneak hidden")
      try await server.order("say fourth")
      #expect(await recorder.wait(until: loop.now.advanced(by: .seconds(20))) { $0.messages.count == 4 })
      #expect(recorder.messages.map(\.content) == ["second", "third", "fourth", "hidden"])
      #expect(recorder.messages.map(\.isLate) == [false, false, false, true])
      // Going on from the late one neither repeats nor leaves out anything.
      #expect(recorder.messages[3].cursor == recorder.messages[2].cursor)
      try await server.order("say fifth")
      await loop.sleep(for: .seconds(3))
      #expect(recorder.messages.map(\.content) == ["second", "third", "fourth", "hidden", "fifth"])
    }
  }

  @Test func anOAuthNativeServersTokensAreRenewedAtItsEndpoint() async throws {
    try await run { loop, server, _ in
      let folder = try TemporaryDirectory()
      var options = server.options
      options.login = .token(access: "t", refresh: "r 0&")
      options.clientID = "client 1"
      options.tokenFile = folder.path("tokens.json")
      let backend = MatrixBackend(loop: loop, options: options)
      try await backend.connect { _ in }
      try await server.order("expire t")
      let deadline = loop.now.advanced(by: .seconds(10))
      // Many requests meet the refusal at once; one of them renews.
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<5 { group.addTask { _ = try await backend.fetch(FetchRequest(topic), deadline: deadline) } }
        try await group.waitForAll()
      }
      try await server.order("expire t1")
      _ = try await backend.fetch(FetchRequest(topic), deadline: deadline)
      await backend.disconnect()
      // Another process goes on with what the first one left.
      let successor = MatrixBackend(loop: loop, options: options)
      try await successor.connect { _ in }
      await successor.disconnect()
      let form = "grant_type=refresh_token&refresh_token="
      #expect(
        try await server.renewals()
          == [form + "r%200%26&client_id=client%201", form + "r1&client_id=client%201"])
    }
  }

  @Test func aTimelineThatIsCutShortIsFilledInOrder() async throws {
    try await run { loop, server, backend in
      let recorder = try await follow(loop, server, backend)
      try await server.order("limit")
      try await server.order("hide third")
      try await server.order("hide fourth")
      try await server.order("say fifth")
      #expect(await recorder.wait(until: loop.now.advanced(by: .seconds(20))) { $0.messages.count == 4 })
      #expect(recorder.messages.map(\.content) == ["second", "third", "fourth", "fifth"])
      #expect(recorder.messages.allSatisfy { !$0.isLate } && recorder.gaps.isEmpty)
    }
  }

  @Test(arguments: [
    "null", "[]", "{}", "\"text\"", "{\"chunk\":5}", "{\"chunk\":[1,null,{}],\"end\":7}", "nonsense", "{\"a\":",
    "{\"chunk\":[{\"type\":\"m.room.message\",\"event_id\":\"\",\"sender\":1}]}",
  ]) func answersThatMakeNoSenseAreErrorsOrEmpty(_ answer: String) async throws {
    try await run { loop, server, backend in
      _ = try await follow(loop, server, backend)
      try await server.order("answer \(answer)")
      let deadline = loop.now.advanced(by: .seconds(3))
      do throws(SeamError) {
        let page = try await backend.fetch(FetchRequest(topic), deadline: deadline)
        #expect(page.messages.isEmpty)
      } catch { #expect(error.code == .unavailable, "\(error)") }
      let draft = Draft(
        topic: topic, author: Author(handle: Handle("ada"), instance: "i"), content: "x", key: .generated("k"))
      do throws(SeamError) {
        _ = try await backend.post(draft, deadline: loop.now.advanced(by: .seconds(3)))
        Issue.record("a post was acknowledged by \(answer)")
      } catch {
        // What a server that answers nonsense has done with a post is not known.
        #expect(error.code == .outcomeUnknown, "\(error)")
      }
    }
  }

  @Test(arguments: [
    "{\"next_batch\":\"s2\",\"rooms\":5}", "{\"next_batch\":\"s2\",\"rooms\":{\"join\":[]}}",
    "{\"next_batch\":\"s2\",\"rooms\":{\"join\":{\"!room:fake\":{\"timeline\":{\"events\":[null,5,{}]}}}}}",
    "{\"next_batch\":\"s2\",\"rooms\":{\"leave\":{\"!other:fake\":{}},\"invite\":{\"!x:fake\":{}}}}",
  ]) func aSyncThatMakesLittleSenseIsSurvived(_ answer: String) async throws {
    try await run { loop, server, backend in
      let recorder = try await follow(loop, server, backend)
      try await server.order("sync \(answer)")
      try await server.order("say still here")
      #expect(await recorder.wait(until: loop.now.advanced(by: .seconds(10))) { $0.messages.count == 2 })
    }
  }
}
