import ParleyRuntime
import Testing

@testable import ParleyRemote

/// The records that several hosts share: one step for each change, nothing of others, nothing forgotten.
@Suite struct SharedStoreTests {
  /// A cell in memory, with as many hops between its caller and the text as a server has. Confined to the loop.
  private final class Shelf: RecordCell, @unchecked Sendable {
    let loop: EventLoop
    let location = "memory"
    var content: RecordCell.Content = (0, "")
    var isAway = false
    private let changed: Waiters<Void>

    init(loop: EventLoop) {
      self.loop = loop
      changed = Waiters(loop: loop)
    }

    private func reach() async throws(SeamError) {
      await loop.sleep(for: .microseconds(50))
      if isAway { throw SeamError(.unavailable, operation: "reach the cell", cause: "it is away") }
    }

    func connect() async throws(SeamError) { try await reach() }
    func disconnect() async { changed.resumeAll(()) }

    func read() async throws(SeamError) -> RecordCell.Content {
      try await reach()
      return content
    }

    func newer(than number: Int, waits: Bool) async throws(SeamError) -> RecordCell.Content? {
      try await reach()
      if content.number <= number, waits {
        _ = await changed.wait(changed.ticket(), until: loop.now.advanced(by: .seconds(1)))
        try await reach()
      }
      return content.number > number ? content : nil
    }

    func replace(_ number: Int, with text: String) async throws(SeamError) -> Bool {
      try await reach()
      guard number == content.number else { return false }
      put(text)
      return true
    }

    func put(_ text: String) {
      content = (content.number + 1, text)
      changed.resumeAll(())
    }

    func leave() {
      isAway = true
      changed.resumeAll(())
    }
  }

  /// Some processes on one cell.
  private struct Replicas: @unchecked Sendable {  // confined to the loop
    let loop: EventLoop
    let shelf: Shelf
    let stores: [SharedAuthStore]
    let lifetimes = AuthState.Lifetimes()

    func consent(code: String) async throws {
      let client = ClientRecord(id: "c", shortID: "c", name: "", kind: .pinned, created: 1, lastUse: 1)
      try await stores[0].change(on: loop) { [lifetimes] in
        $0.consent(
          AuthState.Consent(
            client: client, scopes: .all, handle: Handle("ada"), resource: "r", redirectURI: "u", challenge: "h"),
          grant: "g", code: code, now: 1, lifetimes)
      }
    }

    func exchange(_ code: String, at place: Int, access: String, refresh: String) async -> Bool {
      let exchange = AuthState.Exchange(
        code: code, client: "c", redirectURI: "u", challenge: "h", resource: nil, access: access, refresh: refresh)
      let outcome = try? await stores[place].change(on: loop) { [lifetimes] in
        $0.exchange(exchange, now: 2, lifetimes)
      }
      if case .success? = outcome { return true }
      return false
    }

    func rotate(_ token: String, at place: Int, access: String, refresh: String, now: WallTime) async
      -> Result<AuthState.Issued, AuthState.Refusal>?
    {
      let rotation = AuthState.Rotation(
        token: token, named: "g", client: "c", scopes: nil, resource: nil, access: access, refresh: refresh)
      return try? await stores[place].change(on: loop) { [lifetimes] in $0.rotate(rotation, now: now, lifetimes) }
    }

    /// All do the same at once.
    func each<Value: Sendable>(_ body: @escaping @Sendable (Int) async -> Value) async -> [Value] {
      let tasks = stores.indices.map { place in loop.spawn { await body(place) } }
      var values: [Value] = []
      for task in tasks { values.append(await task.value) }
      return values
    }
  }

  private static let key = ServerKey([UInt8](repeating: 7, count: 32))

  private func withReplicas(
    _ count: Int = 4, seed: UInt64 = 1, _ body: @escaping @Sendable (Replicas) async throws -> Void
  ) throws {
    let loop = try EventLoop(name: "replicas", seed: seed)
    try loop.run { () async -> Result<Void, any Error> in
      do {
        let shelf = Shelf(loop: loop)
        let stores = (0..<count).map { _ in SharedAuthStore(loop: loop, cell: shelf, key: Self.key) }
        for store in stores { try await store.start() }
        try await body(Replicas(loop: loop, shelf: shelf, stores: stores))
        for store in stores { await store.stop() }
        return .success(())
      } catch { return .failure(error) }
    }.get()
  }

  @Test func aCodeCountsOnceForAllProcesses() throws {
    try withReplicas { replicas async throws in
      try await replicas.consent(code: "code")
      let outcomes = await replicas.each { place in
        await replicas.exchange("code", at: place, access: "a\(place)", refresh: "r\(place)")
      }
      #expect(outcomes.count { $0 } == 1)
      // The others were replays: nothing that was given out counts, at none of them.
      for store in replicas.stores {
        try await store.refresh()
        #expect(store.state().grants.isEmpty && store.state().access.isEmpty)
      }
    }
  }

  @Test func refreshTokensRotateAcrossProcesses() throws {
    try withReplicas { replicas async throws in
      try await replicas.consent(code: "code")
      #expect(await replicas.exchange("code", at: 0, access: "a0", refresh: "r0"))
      // Each of them by another process than the one before, at once after it.
      for step in 1..<8 {
        let issued = await replicas.rotate(
          "r\(step - 1)", at: step % 4, access: "a\(step)", refresh: "r\(step)", now: WallTime(step * 40_000))
        guard case .success? = issued else { return #expect(Bool(false), "\(step): \(String(describing: issued))") }
      }
      // A thief with an old one, at yet another process: everything is taken back everywhere.
      let theft = await replicas.rotate("r2", at: 3, access: "x", refresh: "y", now: 400_000)
      #expect(theft == .failure(.reused(grant: "g")))
      for store in replicas.stores {
        try await store.refresh()
        #expect(store.state().grants.isEmpty && store.state().refresh.isEmpty)
      }
    }
  }

  @Test func changesOfAllAreKept() throws {
    try withReplicas(5) { replicas async throws in
      let tried = await replicas.each { place in
        for number in 0..<20 {
          let record = TokenRecord(
            id: "\(place)-\(number)", name: "", scopes: .reading, handle: nil, created: 1, expires: nil)
          guard
            (try? await replicas.stores[place].change(on: replicas.loop) { $0.tokens["\(place)-\(number)"] = record })
              != nil
          else { return false }
        }
        return true
      }
      #expect(tried.allSatisfy { $0 })
      for store in replicas.stores {
        try await store.refresh()
        #expect(store.state().tokens.count == 100)
      }
    }
  }

  @Test func recordsOfOthersDoNotCount() throws {
    try withReplicas { replicas async throws in
      let store = replicas.stores[0]
      try await store.change(on: replicas.loop) {
        for name in ["d", "e"] {
          $0.tokens[name] = TokenRecord(id: name, name: "", scopes: .reading, handle: nil, created: 1, expires: nil)
        }
      }
      let text = replicas.shelf.content.text
      replicas.shelf.put(text.replacing("parley:read", with: "parley:post", maxReplacements: 1))
      try await store.refresh()
      #expect(store.state().tokens.keys.sorted() == ["e"])
      // All of another key, or of another version: nothing is written over them.
      let other = ServerKey([UInt8](repeating: 8, count: 32))
      for foreign in [
        String(decoding: SealedRecords.bytes(of: store.state(), key: other), as: UTF8.self), "parley auth 2\n",
      ] {
        replicas.shelf.put(foreign)
        _ = try? await store.refresh()
        #expect(store.state().tokens.isEmpty)
        await #expect(throws: AuthStoreError.self) { try await store.change(on: replicas.loop) { $0.owner = "x" } }
        #expect(replicas.shelf.content.text == foreign)
        let late = SharedAuthStore(loop: replicas.loop, cell: replicas.shelf, key: Self.key)
        await #expect(throws: AuthStoreError.self) { try await late.start() }
      }
    }
  }

  @Test func whatIsKnownGoesOnForAWhileWithoutTheStore() throws {
    try withReplicas(2) { replicas async throws in
      let (store, loop) = (replicas.stores[1], replicas.loop)
      let token = TokenRecord(id: "d", name: "", scopes: .reading, handle: nil, created: 1, expires: nil)
      try await replicas.stores[0].change(on: loop) { $0.tokens[Secret.digest("t")] = token }
      try await store.refresh()
      replicas.shelf.leave()
      await loop.sleep(for: .seconds(20))
      #expect(store.state().tokens.count == 1)
      await #expect(throws: AuthStoreError.self) { try await store.refresh() }
      await loop.sleep(for: .seconds(20))
      #expect(store.state() == AuthState())
      replicas.shelf.isAway = false
      await loop.sleep(for: .seconds(5))
      #expect(store.state().tokens.count == 1)
    }
  }
}
