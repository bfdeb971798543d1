import Glibc
import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyNATS

/// Four writers and two readers, while something happens to the server, the network or the stream.
@Suite(.serialized) struct FaultTests {
  /// What a disturbance has to work with.
  struct Scene: Sendable {
    let store: TestStore
    let loop: EventLoop
    let readers: [Supervisor]
  }

  /// Every writer posts `count` messages, one after the other; the disturbance begins when a third of them are in.
  private func run(
    count: Int = 60, options change: @Sendable (inout NATSOptions) -> Void = { _ in },
    disturb: @escaping @Sendable (Scene) async throws -> Void
  ) async throws -> Arena.Aftermath {
    let store = try await TestStore()
    var changed = store.watchful
    change(&changed)
    let options = changed
    let loop = try EventLoop.thread(named: "nats-faults")
    defer { loop.stop() }
    let result: Result<Arena.Aftermath, any Error> = await loop.spawn {
      let course = Arena.Course(topic: general, origin: Cursor("0"), pace: .milliseconds(10), precedes: Self.precedes)
      let arena = Arena(loop: loop, course) { NATSBackend(loop: loop, options: options) }
      let scene = Scene(store: store, loop: loop, readers: arena.readers)
      do { return .success(try await arena.run(each: count) { try await disturb(scene) }) } catch {
        return .failure(error)
      }
    }.value
    await store.end()
    return try result.get()
  }

  /// By stream, and then by number: a stream that is made anew counts from 1 again.
  private static func precedes(_ first: Cursor, _ second: Cursor) -> Bool {
    guard let first = try? LogPlace(first), let second = try? LogPlace(second) else { return false }
    return (first.generation ?? "", first.sequence) < (second.generation ?? "", second.sequence)
  }

  // MARK: The server

  @Test func serverKilledAndStarted() async throws {
    let after = try await run { scene in
      scene.store.server.process.kill()
      try await scene.store.server.process.start()
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.verdict.acknowledged == 242 && after.gaps.allSatisfy(\.isEmpty))
    #expect(after.recovery < .seconds(2), "live again after \(after.recovery)")
    #expect(after.reconnects >= 6)
  }

  @Test func serverAwayForAWhile() async throws {
    let after = try await run { scene in
      scene.store.server.process.kill()
      await scene.loop.sleep(for: .seconds(2))
      try await scene.store.server.process.start()
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.recovery < .seconds(2), "live again after \(after.recovery)")
  }

  @Test func serverStopped() async throws {
    let after = try await run { scene in
      scene.store.server.process.pause()
      // PARLEY_SOAK: the long form, far beyond every watchdog.
      await scene.loop.sleep(for: .seconds(Environment.value("PARLEY_SOAK") == nil ? 3 : 15))
      // The watchdog has noticed meanwhile.
      for reader in scene.readers { #expect(await reader.health.state != .live) }
      scene.store.server.process.resume()
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.recovery < .seconds(2), "live again after \(after.recovery)")
  }

  // MARK: The network

  @Test func connectionsCut() async throws {
    let after = try await run { scene in
      for _ in 0..<3 {
        await scene.store.proxy.cutAll()
        await scene.loop.sleep(for: .milliseconds(300))
      }
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.recovery < .seconds(2), "live again after \(after.recovery)")
  }

  @Test(arguments: [FaultProxy.Direction.toServer, .toClient])
  func connectionCutInTheMiddle(_ direction: FaultProxy.Direction) async throws {
    let after = try await run { scene in
      for place in [1, 77, 500] {
        await scene.store.proxy.cut(after: place, direction)
        #expect(await scene.store.waitForCut())
      }
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.recovery < .seconds(2), "live again after \(after.recovery)")
  }

  @Test func halfOpenConnections() async throws {
    let after = try await run { scene in
      await scene.store.proxy.setFlow(.swallow)
      await scene.loop.sleep(for: .seconds(2))
      for reader in scene.readers { #expect(await reader.health.state != .live) }
      await scene.store.proxy.setFlow(.pass)
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.recovery < .seconds(2), "live again after \(after.recovery)")
  }

  @Test func slowNetwork() async throws {
    let after = try await run(count: 10) { scene in
      await scene.store.proxy.setDelay(.milliseconds(200))
      await scene.loop.sleep(for: .seconds(3))
      await scene.store.proxy.setDelay(.zero)
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.gaps.allSatisfy(\.isEmpty) && after.reconnects == 0)
  }

  // MARK: The administrator

  @Test func consumersDeleted() async throws {
    let after = try await run { scene in
      for _ in 0..<3 {
        for name in try await scene.store.consumers(general) {
          _ = try? await scene.store.admin.ask("$JS.API.CONSUMER.DELETE.PARLEY_general.\(name)")
        }
        await scene.loop.sleep(for: .milliseconds(100))
      }
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.gaps.allSatisfy(\.isEmpty) && after.reconnects == 0)
    #expect(after.recovery < .seconds(2), "live again after \(after.recovery)")
  }

  @Test func connectionsClosedByTheServer() async throws {
    let after = try await run { scene in
      // As an administrator does it: the server says why and closes.
      let page = try await scene.store.server.monitor("/connz")
      #expect((page.object?["connections"]?.array?.count ?? 0) >= 6)
      try await scene.store.server.process.restart()
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.recovery < .seconds(2), "live again after \(after.recovery)")
  }

  @Test func purgedUnderReaders() async throws {
    let after = try await run { scene in
      for _ in 0..<3 {
        try await scene.store.trim(general, keep: 0)
        await scene.loop.sleep(for: .milliseconds(50))
      }
    }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.verdict.acknowledged == 242)
  }

  @Test func deletedUnderWritersAndReaders() async throws {
    let after = try await run { scene in try await scene.store.delete(general) }
    #expect(after.verdict.isClean, "\(after.verdict)")
    #expect(after.verdict.acknowledged == 242 && after.verdict.removed > 0)
    #expect(after.gaps.allSatisfy { !$0.isEmpty }, "\(after.gaps)")
    #expect(after.recovery < .seconds(2), "live again after \(after.recovery)")
  }

  @Test func deletedAndMadeAnew() async throws {
    let store = try await TestStore()
    try await withBackends(store.options, count: 2) { loop, backends in
      let log = DeliveryLog(loop)
      for number in 0..<5 { try await backends[0].post(draft("old \(number)")) }
      _ = try await backends[1].subscribe(general, after: Cursor("0"), sink: log.sink)
      #expect(await log.wait(for: 5))
      try await store.delete(general)
      for number in 0..<5 { try await backends[0].post(draft("new \(number)")) }
      #expect(await log.wait(for: 10, seconds: 3))
      #expect(log.recorder.messages.suffix(5).map(\.content) == (0..<5).map { "new \($0)" })
      #expect(log.recorder.gaps.count == 1 && log.recorder.gaps.first?.isCertain == false)
      // The receipts belong to the new stream.
      let page = try await backends[1].fetch(FetchRequest(general))
      let receipt = try await backends[0].post(draft("last"))
      #expect(
        try await backends[1].fetch(FetchRequest(general, .after(page.next))).messages.map(\.cursor) == [receipt.cursor]
      )
    }
    await store.end()
  }

  /// A server that tells us nothing of streams that come and go, and somebody who may delete them.
  private func withoutWord() async throws -> (server: NATSServer, options: NATSOptions, administrator: OtherProgram) {
    var options = NATSServer.Options()
    options.authorization =
      "users: [{user: u, password: u, permissions: {subscribe: [\"_INBOX.>\"], publish: [\">\"]}}, {user: a, password: a}]"
    let server = try await NATSServer.start(options)
    var plain = NATSOptions()
    plain.servers = ["127.0.0.1:\(server.port)"]
    plain.credentials = .user("u", password: "u")
    // From files that are still being deleted, the server sometimes fills a stream made anew with the old messages.
    plain.storage = .memory
    var administrator = OtherProgram(port: server.port)
    administrator.credentials = "\"user\":\"a\",\"pass\":\"a\""
    return (server, plain, administrator)
  }

  @Test("a post to a stream that another made anew unnoticed is told of the new one")
  func madeAnewUnnoticed() async throws {
    let (server, options, administrator) = try await withoutWord()
    defer { withExtendedLifetime(server) {} }
    try await withBackends(options, count: 2) { loop, backends in
      for number in 0..<5 { try await backends[0].post(draft("old \(number)")) }
      try await administrator.ask("$JS.API.STREAM.DELETE.PARLEY_general")
      try await backends[1].post(draft("new"))
      // Once by a task, once without; the number that the new stream gives is beyond the one of the first look.
      let first = try await backends[0].post(draft("first"))
      let page = try await backends[1].fetch(FetchRequest(general))
      #expect(page.messages.map(\.content) == ["new", "first"])
      #expect(first.cursor == page.next && !first.isDuplicate)

      try await administrator.ask("$JS.API.STREAM.DELETE.PARLEY_general")
      try await backends[1].post(draft("newer"))
      let second = try await SubmitTests.outcomes(
        of: [draft("second")], on: backends[0], deadline: backends[0].soon()
      )[0].get()
      let last = try await backends[1].fetch(FetchRequest(general))
      #expect(last.messages.map(\.content) == ["newer", "second"])
      #expect(second.cursor == last.next && !second.isDuplicate)
    }
  }

  @Test("a post to a stream that vanished unnoticed is stored anew at once")
  func vanishedStream() async throws {
    let (server, options, administrator) = try await withoutWord()
    defer { withExtendedLifetime(server) {} }
    try await withBackends(options) { loop, backends in
      try await backends[0].post(draft("old"))
      try await administrator.ask("$JS.API.STREAM.DELETE.PARLEY_general")
      let began = loop.now
      let receipts = try await withThrowingTaskGroup(of: Receipt.self) { group in
        for number in 0..<20 { group.addTask { try await backends[0].post(draft("new \(number)")) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(began.duration(to: loop.now) < .seconds(4))
      #expect(Set(receipts.map(\.id)).count == 20)
      #expect(try await backends[0].fetch(FetchRequest(general)).messages.count == 20)
    }
  }

  @Test("a rolled back stream is told, not waited for")
  func rolledBack() async throws {
    let store = try await TestStore()
    try await withBackends(store.options) { loop, backends in
      for number in 0..<3 { try await backends[0].post(draft("\(number)")) }
      let page = try await backends[0].fetch(FetchRequest(general))
      let generation = page.next.text.split(separator: ".")[1]
      let beyond = Cursor("nats.\(generation).40")
      let found = try await backends[0].fetch(FetchRequest(general, .after(beyond)))
      #expect(found.gap?.isCertain == true && found.gap?.reason.contains("rolled back") == true)
      #expect(found.messages.map(\.content) == ["0", "1", "2"])
      let log = DeliveryLog(loop)
      _ = try await backends[0].subscribe(general, after: beyond, sink: log.sink)
      #expect(await log.wait(for: 3))
      #expect(log.recorder.gaps.count == 1)
    }
    await store.end()
  }

  @Test func messagesDeletedInside() async throws {
    let store = try await TestStore()
    try await withBackends(store.options) { loop, backends in
      for number in 1...9 { try await backends[0].post(draft("\(number)")) }
      for number in [3, 4, 9] {
        try await store.admin.ask("$JS.API.STREAM.MSG.DELETE.PARLEY_general", "{\"seq\":\(number)}")
      }
      var gaps: [Gap] = []
      var texts: [String] = []
      var cursor = Cursor("0")
      for _ in 0..<5 {
        let page = try await backends[0].fetch(FetchRequest(general, .after(cursor)))
        page.gap.map { gaps.append($0) }
        texts += page.messages.map(\.content)
        cursor = page.next
        if !page.hasMore { break }
      }
      #expect(texts == ["1", "2", "5", "6", "7", "8"])
      #expect(gaps.count == 2 && gaps.allSatisfy(\.isCertain))
      let log = DeliveryLog(loop)
      _ = try await backends[0].subscribe(general, after: Cursor("0"), sink: log.sink)
      try await backends[0].post(draft("10"))
      #expect(await log.wait(for: 7))
      #expect(log.recorder.messages.map(\.content) == texts + ["10"])
      #expect(log.recorder.gaps.count == 2)
      let latest = try await backends[0].fetch(FetchRequest(general, limit: 4))
      #expect(latest.messages.map(\.content) == ["6", "7", "8", "10"])
    }
    await store.end()
  }

  @Test("a server that is about to go is left for another one")
  func lameDuck() async throws {
    let first = try await NATSServer.start()
    let second = try await NATSServer.start()
    var options = NATSOptions()
    options.servers = ["127.0.0.1:\(first.port)", "127.0.0.1:\(second.port)"]
    let lost = Lost()
    let loop = try EventLoop.thread(named: "lame-duck")
    defer { loop.stop() }
    let chosen = options
    try await loop.spawn { () async -> Result<Void, any Error> in
      do {
        let backend = NATSBackend(loop: loop, options: chosen)
        try await backend.connect { lost.add($0) }
        let isFirst = try await first.monitor("/connz").object?["num_connections"] == .int(1)
        (isFirst ? first : second).process.signal(SIGUSR2)
        let deadline = loop.now.advanced(by: .seconds(5))
        while lost.errors.isEmpty, loop.now < deadline { await loop.sleep(for: .milliseconds(5)) }
        #expect(lost.errors.first?.cause.contains("about to shut down") == true)
        try await backend.connect { _ in }
        try await backend.post(draft("on the other one"))
        #expect(try await (isFirst ? second : first).monitor("/connz").object?["num_connections"] == .int(1))
        await backend.disconnect()
        return .success(())
      } catch { return .failure(error) }
    }.value.get()
  }
}
