import Glibc
import ParleyConformance
import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// What goes wrong with servers and networks while people and agents talk.
@Suite(.serialized) struct FaultTests {
  private static let shared = TestHomeserver.Shared()
  /// PARLEY_SOAK: the long forms, far beyond every watchdog.
  private static let isSoak = Environment.value("PARLEY_SOAK") != nil

  private func run(_ body: @escaping @Sendable (MatrixWorld) async throws -> Void) async throws {
    try await MatrixWorld.run(try await Self.shared.value(), body)
  }

  /// Four writers post while `disturb` does its worst; two followers and a late reader must agree with the log.
  private func history(
    _ world: MatrixWorld, posts: Int, options: MatrixOptions, disturb: () async throws -> Void
  ) async throws {
    let writers = ["w0", "w1", "w2", "w3"]
    let supervisors = writers.map { _ in world.supervise(options) }
    let start = try await supervisors[0].fetch(FetchRequest(world.topic), deadline: world.deadline).next
    var recorders: [DeliveryRecorder] = []
    for supervisor in supervisors.prefix(2) {
      let recorder = DeliveryRecorder(loop: world.loop)
      _ = await supervisor.follow(world.topic, after: start, sink: recorder.sink)
      recorders.append(recorder)
    }
    let deadline = world.loop.now.advanced(by: .seconds(180))
    let posting = zip(writers, supervisors).map { writer, supervisor in
      let drafts = (0..<posts).map { world.draft("\(writer) says \($0)", by: writer) }
      return world.loop.spawn { () -> [(Draft, Result<Receipt, SeamError>)] in
        var outcomes: [(Draft, Result<Receipt, SeamError>)] = []
        for draft in drafts {
          do throws(SeamError) {
            outcomes.append((draft, .success(try await supervisor.post(draft, deadline: deadline))))
          } catch { outcomes.append((draft, .failure(error))) }
        }
        return outcomes
      }
    }
    try await disturb()
    var checker = HistoryChecker()
    var expected = 0
    for task in posting {
      for (draft, outcome) in await task.value {
        let post = checker.attempt(writer: draft.author.handle.name, key: draft.key.text, content: draft.content)
        switch outcome {
        case .success(let receipt):
          expected += 1
          checker.acknowledge(post, id: receipt.id)
        case .failure(let error): Issue.record("\(draft.content): \(error)")
        }
      }
    }
    for recorder in recorders {
      let isComplete = await recorder.wait(until: world.deadline) { $0.messages.count >= expected }
      #expect(isComplete, "\(recorder.messages.count) of \(expected)")
    }
    for (number, recorder) in recorders.enumerated() {
      let reader = checker.addReader("follower \(number)")
      for delivery in recorder.deliveries { checker.deliver(delivery, to: reader) }
      checker.expectComplete(reader)
    }
    var log: [HistoryChecker.Entry] = []
    var place = start
    while true {
      let page = try await supervisors[3].fetch(
        FetchRequest(world.topic, .after(place), limit: 50), deadline: world.deadline)
      log += page.messages.map { HistoryChecker.Entry(id: $0.id, content: $0.content) }
      place = page.next
      if !page.hasMore { break }
    }
    let verdict = checker.verdict(log: log)
    #expect(verdict.isClean, "\(verdict)")
    #expect(log.count == expected)
  }

  @Test func killingTheServerLosesAndDoublesNothing() async throws {
    try await run { world in
      try await history(world, posts: 25, options: world.options) {
        for _ in 0..<2 {
          await world.loop.sleep(for: .milliseconds(700))
          world.homeserver.server.process.kill()
          await world.loop.sleep(for: .milliseconds(300))
          try await world.homeserver.server.process.start()
        }
      }
    }
  }

  @Test func aStoppedServerIsNoticedAndLosesNothing() async throws {
    try await run { world in
      var options = world.options
      options.requestTimeout = .seconds(1)
      options.syncTimeout = .seconds(1)
      try await history(world, posts: 10, options: options) {
        await world.loop.sleep(for: .milliseconds(500))
        world.homeserver.server.process.pause()
        await world.loop.sleep(for: .seconds(Self.isSoak ? 15 : 3))
        world.homeserver.server.process.resume()
      }
    }
  }

  @Test func cutAndHalfOpenConnectionsLoseNothing() async throws {
    try await run { world in
      let proxy = try await FaultProxy.start(to: world.homeserver.server.port)
      var options = world.homeserver.options(port: proxy.port)
      options.requestTimeout = .seconds(2)
      options.syncTimeout = .seconds(2)
      try await history(world, posts: 15, options: options) {
        for _ in 0..<3 {
          await world.loop.sleep(for: .milliseconds(300))
          // In the middle of a request, then of an answer.
          await proxy.cut(after: 700, .toServer)
          _ = await cutHappened(proxy)
          await proxy.cut(after: 120, .toClient)
          _ = await cutHappened(proxy)
        }
        await proxy.setFlow(.swallow)
        await world.loop.sleep(for: .seconds(1))
        await proxy.cutAll()
        await proxy.setFlow(.pass)
      }
      await proxy.close()
    }
  }

  /// Nothing arrives on either side, and nobody is told; what was on its way comes through in the end, long after it was
  /// given up and sent again.
  @Test func aPartitionLosesNothing() async throws {
    try await run { world in
      let proxy = try await FaultProxy.start(to: world.homeserver.server.port)
      var options = world.homeserver.options(port: proxy.port)
      options.requestTimeout = .seconds(1)
      options.syncTimeout = .seconds(1)
      try await history(world, posts: 10, options: options) {
        await world.loop.sleep(for: .milliseconds(400))
        await proxy.setFlow(.stall)
        await world.loop.sleep(for: .seconds(Self.isSoak ? 30 : 3))
        await proxy.setFlow(.pass)
      }
      await proxy.close()
    }
  }

  @Test func whatWasMissedWhileAwayIsReadWhole() async throws {
    try await run { world in
      let proxy = try await FaultProxy.start(to: world.homeserver.server.port)
      let reader = world.supervise(world.homeserver.options(port: proxy.port))
      let writer = try await world.backend()
      let first = try await writer.post(world.draft("first"), deadline: world.deadline)
      let recorder = DeliveryRecorder(loop: world.loop)
      _ = await reader.follow(world.topic, after: first.cursor, sink: recorder.sink)
      _ = try await writer.post(world.draft("second"), deadline: world.deadline)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 1 })
      try await proxy.setWelcome(.refuse)
      await proxy.cutAll()
      let contents = (0..<(Self.isSoak ? 2000 : 200)).map { "missed \($0)" }
      for content in contents { _ = try await writer.post(world.draft(content), deadline: world.deadline) }
      try await proxy.setWelcome(.pass)
      let deadline = world.loop.now.advanced(by: .seconds(300))
      #expect(await recorder.wait(until: deadline) { $0.messages.count == contents.count + 1 })
      #expect(recorder.messages.map(\.content) == ["second"] + contents)
      #expect(recorder.gaps.isEmpty)
      await proxy.close()
    }
  }

  @Test func aTimelineThatTheServerCutsShortIsReadWhole() async throws {
    try await run { world in
      let proxy = try await FaultProxy.start(to: world.homeserver.server.port)
      let reader = try await world.backend(world.homeserver.options(port: proxy.port))
      let writer = try await world.backend()
      let first = try await writer.post(world.draft("first"), deadline: world.deadline)
      let recorder = try await world.subscribe(after: first.cursor, on: reader)
      _ = try await writer.post(world.draft("second"), deadline: world.deadline)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 1 })
      // The session lives on, but hears nothing until far more has been said than one /sync tells.
      await proxy.setFlow(.stall)
      let contents = (0..<120).map { "behind \($0)" }
      for content in contents { _ = try await writer.post(world.draft(content), deadline: world.deadline) }
      await proxy.setFlow(.pass)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 121 })
      #expect(recorder.messages.map(\.content) == ["second"] + contents)
      await proxy.close()
    }
  }

  @Test func afterAnUnknownOutcomeANewDeviceFindsTheMessage() async throws {
    try await run { world in
      let proxy = try await FaultProxy.start(to: world.homeserver.server.port)
      var options = world.homeserver.options(port: proxy.port)
      options.requestTimeout = .seconds(2)
      options.deviceID = "PARLEY\(UInt32.random(in: 0 ... .max))"
      let backend = try await world.backend(options)
      _ = try await backend.post(world.draft("first"), deadline: world.deadline)
      let draft = world.draft("only once")
      // The request arrives, its answer does not; nor can it be asked again.
      try await proxy.setWelcome(.refuse)
      await proxy.cut(after: 1, .toClient)
      await expectError(.outcomeUnknown) { _ = try await backend.post(draft, deadline: world.deadline) }
      try await proxy.setWelcome(.pass)
      // With the device the server forgets its transactions.
      let device = "/_synapse/admin/v2/users/\(Person.escape(TestHomeserver.account))/devices/\(options.deviceID ?? "")"
      _ = try await world.homeserver.server.request("DELETE", device, token: world.homeserver.admin)
      try await backend.connect { _ in }
      let receipt = try await backend.post(draft, deadline: world.deadline)
      #expect(try await world.fetch(from: backend).map(\.content) == ["first", "only once"])
      #expect(receipt.isDuplicate)
      await proxy.close()
    }
  }

  /// The room goes away under writers and readers; the first post that finds it gone makes the next one.
  @Test func aDeletedRoomIsToldAndMadeAnew() async throws {
    try await run { world in
      var options = world.options
      options.syncTimeout = .seconds(1)
      let reader = world.supervise(options)
      let writer = world.supervise(options)
      let first = try await writer.post(world.draft("first"), deadline: world.deadline)
      let recorder = DeliveryRecorder(loop: world.loop)
      _ = await reader.follow(world.topic, after: first.cursor, sink: recorder.sink)
      _ = try await writer.post(world.draft("second"), deadline: world.deadline)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 1 })
      let old = try #require(await world.homeserver.room(of: world.topic))
      try await world.homeserver.delete(world.topic)
      let third = try await writer.post(world.draft("third"), deadline: world.deadline)
      #expect(try await world.homeserver.room(of: world.topic) != old)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 2 })
      #expect(recorder.messages.map(\.content) == ["second", "third"] && recorder.messages.last?.id == third.id)
      #expect(recorder.gaps.count == 1, "\(recorder.gaps)")
      guard case .gap = recorder.deliveries.dropFirst().first else { return #expect(Bool(false), "no gap between") }
    }
  }

  @Test func cursorsOutliveTheProcess() async throws {
    try await run { world in
      let first = try await world.backend()
      var receipts: [Receipt] = []
      for number in 0..<5 { receipts.append(try await first.post(world.draft("\(number)"), deadline: world.deadline)) }
      await first.disconnect()
      let second = try await world.backend()
      let recorder = try await world.subscribe(after: receipts[1].cursor, on: second)
      #expect(await recorder.wait(until: world.deadline) { $0.messages.count == 3 })
      #expect(recorder.messages.map(\.content) == ["2", "3", "4"])
      #expect(recorder.messages.map(\.cursor) == receipts[2...].map(\.cursor))
    }
  }
}

/// `FaultProxy.waitForCut`, from a task of the proxy's own loop, where its waiters live.
private func cutHappened(_ proxy: FaultProxy) async -> Bool {
  await proxy.loop.spawn { await proxy.waitForCut() }.value
}
