import Glibc
import ParleyConformance
import ParleyRelay
import ParleyRuntime
import ParleyTestKit
import Testing

/// What is particular to a conversation behind another Parley's door.
@Suite struct RelayTests {
  private static let general = Topic("general")

  private static func use(
    http: String = "token: \(common)", _ body: @escaping @Sendable (DoorServer, EventLoop) async throws -> Void
  ) async throws {
    try await onLoop { loop in
      let door = try await DoorServer(loop: loop, http: http)
      try await body(door, loop)
      await door.stop(SIGKILL)
    }
  }

  private static let common = "0123456789abcdef0123456789abcdef"

  private static func draft(_ content: String, by handle: String) -> Draft {
    Draft(
      topic: general, author: Author(handle: Handle(handle), instance: "i-\(handle)"), content: content,
      key: .generated(UUIDv4.make()))
  }

  @Test func aTokenPostsAsItsHandleAlone() async throws {
    try await Self.use { door, loop async throws in
      let token = try #require(
        try await door.run(["token", "create", "--scope", "parley:relay", "--handle", "ada"]).first)
      let backend = ParleyBackend(loop: loop, options: ParleyOptions(url: door.url, token: token))
      try await backend.connect { _ in }
      let soon = loop.now.advanced(by: .seconds(10))
      _ = try await backend.post(Self.draft("mine", by: "ada"), deadline: soon)
      #expect(
        await failure { _ = try await backend.post(Self.draft("not mine", by: "eve"), deadline: soon) }?.code.name
          == "forbidden"
      )
      let page = try await backend.fetch(FetchRequest(Self.general), deadline: soon)
      #expect(page.messages.map(\.content) == ["mine"])
      #expect(page.messages.first?.provenance == .verified)
      await backend.disconnect()
    }
  }

  @Test func whoLacksTheScopeOrTheTokenIsToldSo() async throws {
    try await Self.use { door, loop async throws in
      let posting = try #require(try await door.run(["token", "create", "--scope", "parley:post"]).first)
      for (token, expected) in [(posting, "forbidden"), ("parley_st_nothing", "unauthorized")] {
        let backend = ParleyBackend(loop: loop, options: ParleyOptions(url: door.url, token: token))
        #expect(await failure { try await backend.connect { _ in } }?.code.name == expected)
        await backend.disconnect()
      }
    }
  }

  @Test func topicsThatTheDoorDoesNotCarryAreRefused() async throws {
    try await Self.use { door, loop async throws in
      let backend = ParleyBackend(loop: loop, options: ParleyOptions(url: door.url, token: Self.common))
      try await backend.connect { _ in }
      let soon = loop.now.advanced(by: .seconds(10))
      let request = FetchRequest(Topic("secret"))
      #expect(await failure { _ = try await backend.fetch(request, deadline: soon) }?.code.name == "forbidden")
      for name in ["@ada", "~conversation", "parley-presence"] {
        let page = try await backend.fetch(FetchRequest(Topic(name)), deadline: soon)
        #expect(page.messages.isEmpty)
      }
      await backend.disconnect()
    }
  }

  @Test func newsComeLiveAndGoOnWhenTheDoorComesBack() async throws {
    try await Self.use(http: "insecure: true") { door, loop async throws in
      let policy = RestartPolicy(
        initialDelay: .milliseconds(20), maximumDelay: .milliseconds(200), settledAfter: .seconds(1))
      let supervisor = Supervisor(
        loop: loop, backend: ParleyBackend(loop: loop, options: ParleyOptions(url: door.url)), policy: policy)
      let life = loop.spawn { await supervisor.run() }
      let start = try await supervisor.fetch(FetchRequest(Self.general), deadline: loop.now.advanced(by: .seconds(20)))
        .next
      let recorder = DeliveryRecorder(loop: loop)
      _ = await supervisor.follow(Self.general, after: start, sink: recorder.sink)
      _ = try await supervisor.post(Self.draft("before", by: "ada"), deadline: loop.now.advanced(by: .seconds(20)))
      #expect(await recorder.wait(until: loop.now.advanced(by: .seconds(20))) { $0.messages.count == 1 })
      await door.stop(SIGKILL)
      let late = loop.spawn { () async -> Result<Receipt, SeamError> in
        do throws(SeamError) {
          return .success(
            try await supervisor.post(
              Self.draft("while away", by: "ada"), deadline: loop.now.advanced(by: .seconds(20))))
        } catch { return .failure(error) }
      }
      try await door.start()
      _ = try await late.value.get()
      _ = try await supervisor.post(Self.draft("after", by: "ada"), deadline: loop.now.advanced(by: .seconds(20)))
      #expect(await recorder.wait(until: loop.now.advanced(by: .seconds(20))) { $0.messages.count >= 3 })
      #expect(recorder.messages.map(\.content) == ["before", "while away", "after"])
      #expect(recorder.gaps.isEmpty)
      life.cancel()
      await life.value
    }
  }

  /// An answer that is lost on its way leaves the message there once.
  @Test func aLostAnswerIsNoSecondMessage() async throws {
    try await Self.use(http: "insecure: true") { door, loop async throws in
      let proxy = try await FaultProxy.start(to: door.port.number)
      let supervisor = Supervisor(
        loop: loop,
        backend: ParleyBackend(loop: loop, options: ParleyOptions(url: "http://127.0.0.1:\(proxy.port)")))
      let life = loop.spawn { await supervisor.run() }
      let soon = loop.now.advanced(by: .seconds(20))
      _ = try await supervisor.fetch(FetchRequest(Self.general), deadline: soon)
      await proxy.cut(after: 20, .toClient)
      let receipt = try await supervisor.post(Self.draft("once", by: "ada"), deadline: soon)
      #expect(await proxy.waitForCut())
      let page = try await supervisor.fetch(FetchRequest(Self.general), deadline: soon)
      #expect(page.messages.map(\.id) == [receipt.id])
      life.cancel()
      await life.value
      await proxy.close()
    }
  }
}
