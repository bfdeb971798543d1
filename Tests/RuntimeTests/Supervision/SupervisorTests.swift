import ParleyConformance
import ParleyRuntime
import Synchronization
import Testing

/// Passes everything on to a simulated backend and counts what the backend is asked for.
actor CountingBackend: Backend {
  nonisolated let loop: EventLoop
  private let inner: SimulatedBackend
  private(set) var fetches = 0
  private(set) var subscriptions = 0
  private(set) var deliveries = 0
  private(set) var connects = 0
  private(set) var resumes = 0
  private(set) var demands: [Demand] = []

  init(_ store: SimulatedStore) {
    loop = store.loop
    inner = SimulatedBackend(store: store)
  }

  private func count(_ demand: Demand) {
    deliveries += 1
    demands.append(demand)
  }

  var traits: BackendTraits { inner.assumeIsolated { $0.traits } }

  func connect(lost: @escaping @Sendable (SeamError) -> Void) async throws(SeamError) {
    connects += 1
    try await inner.connect(lost: lost)
  }

  func disconnect() async { await inner.disconnect() }

  func subscribe(_ topic: Topic, after cursor: Cursor, sink: @escaping Sink) async throws(SeamError) -> SubscriptionID {
    subscriptions += 1
    return try await inner.subscribe(topic, after: cursor) { delivery in
      let demand = sink(delivery)
      self.assumeIsolated { $0.count(demand) }
      return demand
    }
  }

  func resume(_ subscription: SubscriptionID) {
    resumes += 1
    inner.assumeIsolated { $0.resume(subscription) }
  }
  func unsubscribe(_ subscription: SubscriptionID) { inner.assumeIsolated { $0.unsubscribe(subscription) } }

  func post(_ draft: Draft, deadline: LoopInstant) async throws(SeamError) -> Receipt {
    try await inner.post(draft, deadline: deadline)
  }

  func fetch(_ request: FetchRequest, deadline: LoopInstant) async throws(SeamError) -> Page {
    fetches += 1
    return try await inner.fetch(request, deadline: deadline)
  }

  func resolveIdentity(_ handle: Handle) async throws(SeamError) -> ResolvedIdentity {
    try await inner.resolveIdentity(handle)
  }
}

/// A supervised simulated backend on a virtual loop.
private struct Scene: Sendable {
  let loop: EventLoop
  let store: SimulatedStore
  let backend: CountingBackend
  let supervisor: Supervisor
  let topic = Topic("t")

  static func play<T: Sendable>(
    seed: UInt64 = 1, _ body: @escaping @Sendable (Scene) async throws -> T
  ) throws -> T {
    let loop = try EventLoop(seed: seed)
    let store = SimulatedStore(loop: loop)
    let backend = CountingBackend(store)
    let supervisor = Supervisor(loop: loop, backend: backend)
    let scene = Scene(loop: loop, store: store, backend: backend, supervisor: supervisor)
    let result = try loop.run { () async -> Result<T, any Error> in
      let life = loop.spawn { await supervisor.run() }
      let result: Result<T, any Error>
      do { result = .success(try await body(scene)) } catch { result = .failure(error) }
      life.cancel()
      await life.value
      return result
    }
    return try result.get()
  }

  @discardableResult
  func post(_ content: String, patience: Duration = .seconds(120)) async throws(SeamError) -> Receipt {
    let author = Author(handle: Handle("ada"), instance: "i")
    let draft = Draft(topic: topic, author: author, content: content, key: .generated("i-\(content)"))
    return try await supervisor.post(draft, deadline: loop.now.advanced(by: patience))
  }

  func tail(of topic: Topic = Topic("t")) async throws(SeamError) -> Cursor {
    try await supervisor.fetch(FetchRequest(topic), deadline: loop.now.advanced(by: .seconds(5))).next
  }
}

/// What a follower was given.
private final class Inbound: Sendable {
  private let items = Mutex<[Delivery]>([])
  var contents: [String] {
    items.withLock { $0.map { if case .message(let message) = $0 { message.content } else { "gap" } } }
  }
  func take(_ delivery: Delivery) { items.withLock { $0.append(delivery) } }
}

@Suite struct SupervisorTests {
  @Test func whatWaitedForTheBackendIsStoredBeforeWhatCameLater() throws {
    let contents = try Scene.play { scene in
      let deadline = scene.loop.now.advanced(by: .seconds(60))
      let author = Author(handle: Handle("ada"), instance: "i")
      let (stored, answers) = AsyncStream.makeStream(of: Bool.self)
      let submit: @Sendable (isolated Supervisor, String) -> Void = { supervisor, content in
        let draft = Draft(topic: scene.topic, author: author, content: content, key: .generated("i-\(content)"))
        supervisor.submit(draft, deadline: deadline) { answers.yield((try? $0.get()) != nil) }
      }
      scene.store.restart(downtime: .seconds(3))
      while await scene.supervisor.health.state == .live { await scene.loop.sleep(for: .milliseconds(1)) }
      await { (supervisor: isolated Supervisor) in
        // The moment it is live, before anybody who waits for that has had a turn.
        supervisor.observeHealth { if $0.state == .live { supervisor.assumeIsolated { submit($0, "late") } } }
        for number in 1...5 { submit(supervisor, "\(number)") }
      }(scene.supervisor)
      var left = 6
      for await success in stored {
        #expect(success)
        left -= 1
        if left == 0 { break }
      }
      let request = FetchRequest(scene.topic, .latest)
      return try await scene.supervisor.fetch(request, deadline: deadline).messages.map(\.content)
    }
    #expect(contents == ["1", "2", "3", "4", "5", "late"])
  }

  @Test func oneBackendReadFeedsPushAndAWaitingFetch() throws {
    let (pushed, fetched, reads) = try Scene.play { scene in
      let start = try await scene.tail()
      let inbound = Inbound()
      _ = await scene.supervisor.follow(scene.topic, after: start) {
        inbound.take($0)
        return .more
      }
      let waiting = scene.loop.spawn { () async -> [String] in
        let request = FetchRequest(scene.topic, .after(start))
        let page = try? await scene.supervisor.fetch(
          request, wait: .seconds(10), deadline: scene.loop.now.advanced(by: .seconds(20)))
        return page?.messages.map(\.content) ?? []
      }
      await scene.loop.sleep(for: .milliseconds(100))
      let before = await (scene.backend.fetches, scene.backend.deliveries)
      try await scene.post("news")
      let fetched = await waiting.value
      let after = await (scene.backend.fetches, scene.backend.deliveries)
      #expect(await scene.backend.subscriptions == 1)
      return (inbound.contents, fetched, (after.0 - before.0, after.1 - before.1))
    }
    #expect(pushed == ["news"])
    #expect(fetched == ["news"])
    #expect(reads == (0, 1))
  }

  @Test func aFollowerOutlivesLostSessions() throws {
    let (contents, connects) = try Scene.play { scene in
      let inbound = Inbound()
      _ = await scene.supervisor.follow(scene.topic, after: try await scene.tail()) {
        inbound.take($0)
        return .more
      }
      for number in 0..<10 {
        try await scene.post("before \(number)")
        scene.store.cutAll()
        try await scene.post("after \(number)")
      }
      await scene.loop.sleep(for: .seconds(120))
      return (inbound.contents, await scene.backend.connects)
    }
    #expect(contents == (0..<10).flatMap { ["before \($0)", "after \($0)"] })
    #expect(connects == 11)
  }

  @Test func aPausedFollowerStallsNobodyAndMissesNothing() throws {
    let (slow, fast) = try Scene.play { scene in
      let start = try await scene.tail()
      let (slow, fast) = (Inbound(), Inbound())
      let paused = await scene.supervisor.follow(scene.topic, after: start) {
        slow.take($0)
        return .pause
      }
      _ = await scene.supervisor.follow(scene.topic, after: start) {
        fast.take($0)
        return .more
      }
      for number in 0..<20 { try await scene.post("\(number)") }
      await scene.loop.sleep(for: .seconds(1))
      #expect(slow.contents == ["0"])
      #expect(fast.contents.count == 20)
      for _ in 0..<30 {
        await scene.supervisor.resume(paused)
        await scene.loop.sleep(for: .milliseconds(50))
      }
      return (slow.contents, fast.contents)
    }
    #expect(slow == fast)
  }

  @Test func aPausedOnlyFollowerHoldsTheSubscription() throws {
    let contents = try Scene.play { scene in
      let inbound = Inbound()
      let id = await scene.supervisor.follow(scene.topic, after: try await scene.tail()) {
        inbound.take($0)
        return .pause
      }
      for number in 0..<5 { try await scene.post("\(number)") }
      await scene.loop.sleep(for: .seconds(1))
      #expect(await scene.backend.deliveries == 1)
      for _ in 0..<5 {
        await scene.supervisor.resume(id)
        await scene.loop.sleep(for: .milliseconds(100))
      }
      return inbound.contents
    }
    #expect(contents == ["0", "1", "2", "3", "4"])
  }

  /// The backend may let deliveries gather only as long as no follower, of whatever topic, waits for one.
  @Test func deliveriesArePutOffUntilSomebodyWaits() throws {
    try Scene.play { scene in
      let (supervisor, backend) = (scene.supervisor, scene.backend)
      _ = await supervisor.follow(scene.topic, after: try await scene.tail(), isUrgent: false) { _ in .more }
      await scene.loop.sleep(for: .seconds(1))
      try await scene.post("a")
      await scene.loop.sleep(for: .seconds(1))
      #expect(await backend.demands == [.moreLater])
      let resumes = await backend.resumes

      let urgent = await supervisor.follow(scene.topic, after: try await scene.tail()) { _ in .more }
      #expect(await backend.resumes == resumes + 1)
      let place = try await scene.tail(of: Topic("elsewhere"))
      let elsewhere = await supervisor.follow(Topic("elsewhere"), after: place) { _ in .more }
      await supervisor.unfollow(urgent)
      try await scene.post("b")
      await scene.loop.sleep(for: .seconds(1))
      #expect(await backend.demands == [.moreLater, .more])

      await supervisor.unfollow(elsewhere)
      try await scene.post("c")
      await scene.loop.sleep(for: .seconds(1))
      #expect(await backend.demands == [.moreLater, .more, .moreLater])
    }
  }

  @Test func aFollowerBehindTheFeedCatchesUpAndThenSharesIt() throws {
    let (early, late, fetches) = try Scene.play { scene in
      let start = try await scene.tail()
      let (early, late) = (Inbound(), Inbound())
      _ = await scene.supervisor.follow(scene.topic, after: start) {
        early.take($0)
        return .more
      }
      for number in 0..<5 { try await scene.post("\(number)") }
      await scene.loop.sleep(for: .seconds(1))
      _ = await scene.supervisor.follow(scene.topic, after: start) {
        late.take($0)
        return .more
      }
      await scene.loop.sleep(for: .seconds(1))
      let before = await scene.backend.fetches
      for number in 5..<10 { try await scene.post("\(number)") }
      await scene.loop.sleep(for: .seconds(1))
      return (early.contents, late.contents, await scene.backend.fetches - before)
    }
    #expect(early == (0..<10).map(String.init))
    #expect(late == early)
    #expect(fetches == 0)
  }

  @Test func theLastUnfollowEndsTheSubscription() throws {
    let deliveries = try Scene.play { scene in
      let id = await scene.supervisor.follow(scene.topic, after: try await scene.tail()) { _ in .more }
      try await scene.post("heard")
      await scene.loop.sleep(for: .seconds(1))
      await scene.supervisor.unfollow(id)
      try await scene.post("unheard")
      await scene.loop.sleep(for: .seconds(1))
      return await scene.backend.deliveries
    }
    #expect(deliveries == 1)
  }

  @Test func callsWaitForABackendThatIsAwayAndThenFailWithItsCause() throws {
    try Scene.play { scene in
      _ = try await scene.tail()
      scene.store.restart(downtime: .seconds(3))
      let started = scene.loop.now
      try await scene.post("patient")
      #expect(started.duration(to: scene.loop.now) >= .seconds(2))
      scene.store.restart(downtime: .seconds(3600))
      let failed = await #expect(throws: SeamError.self) { try await scene.post("impatient", patience: .seconds(5)) }
      #expect(failed?.code == .unavailable || failed?.code == .outcomeUnknown)
      #expect(failed?.cause.contains("away") == true || failed?.code == .outcomeUnknown)
      #expect(await scene.supervisor.health.state != .live)
      #expect(await scene.supervisor.health.cause != nil)
    }
  }

  @Test func aWaitingFetchEndsAtItsTimeAndAtOnceWhenCancelled() throws {
    try Scene.play { scene in
      let request = FetchRequest(scene.topic, .after(try await scene.tail()))
      let started = scene.loop.now
      let far = scene.loop.now.advanced(by: .seconds(100))
      let page = try await scene.supervisor.fetch(request, wait: .seconds(7), deadline: far)
      #expect(page.messages.isEmpty)
      #expect(started.duration(to: scene.loop.now) == .seconds(7))
      let cancelled = scene.loop.spawn { () async -> SeamError.Code? in
        do throws(SeamError) {
          _ = try await scene.supervisor.fetch(request, wait: .seconds(7), deadline: far)
          return nil
        } catch { return error.code }
      }
      await scene.loop.sleep(for: .seconds(1))
      let at = scene.loop.now
      cancelled.cancel()
      #expect(await cancelled.value == .cancelled)
      #expect(at.duration(to: scene.loop.now) < .milliseconds(1))
    }
  }

  /// After a long outage the backoff is long, too; a call does not wait for it.
  @Test func aCallCutsTheBackoffShort() throws {
    try Scene.play { scene in
      _ = try await scene.tail()
      scene.store.restart(downtime: .seconds(300))
      await scene.loop.sleep(for: .seconds(301))
      let started = scene.loop.now
      try await scene.post("back", patience: .seconds(10))
      #expect(started.duration(to: scene.loop.now) < .seconds(2))
    }
  }
}
