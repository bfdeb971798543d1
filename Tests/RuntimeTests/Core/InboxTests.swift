import ParleyConformance
import ParleyRuntime
import Synchronization
import Testing

/// Two participants on one simulated store: `ada` posts, `bob` has the inbox under test.
private struct Room: Sendable {
  let loop: EventLoop
  let store: SimulatedStore
  let ada: Hub
  let bob: Hub
  let events = Events()

  final class Events: Sendable {
    private let items = Mutex<[PushEvent]>([])
    func take(_ event: PushEvent) { items.withLock { $0.append(event) } }
    var all: [PushEvent] { items.withLock { $0 } }
    var contents: [String] { all.compactMap { if case .message(let message) = $0 { message.content } else { nil } } }
  }

  static func play<T: Sendable>(_ body: @escaping @Sendable (Room) async throws -> T) throws -> T {
    let loop = try EventLoop(seed: 7)
    let store = SimulatedStore(loop: loop)
    let supervisors = [0, 1].map { _ in Supervisor(loop: loop, backend: SimulatedBackend(store: store)) }
    let room = Room(
      loop: loop, store: store, ada: try hub("ada", supervisors[0]), bob: try hub("bob", supervisors[1]))
    return try loop.run { () async -> Result<T, any Error> in
      let lives = supervisors.map { supervisor in loop.spawn { await supervisor.run() } }
      let result: Result<T, any Error>
      do { result = .success(try await body(room)) } catch { result = .failure(error) }
      for life in lives {
        life.cancel()
        await life.value
      }
      return result
    }.get()
  }

  private static func hub(_ name: String, _ supervisor: Supervisor) throws -> Hub {
    let author = Author(handle: Handle(name), instance: "instance-\(name)")
    return try Hub(setup: Hub.Setup(author: author, topics: [Topic("a"), Topic("b")]), supervisor: supervisor)
  }

  @discardableResult
  func post(_ content: String, on topic: String = "a", to: String? = nil) async throws -> Receipt {
    try await ada.post(PostRequest(topic: Topic(topic), content: content, to: to.map(Handle.init)))
  }

  func inbox(
    catchesUp: Bool = true, limit: Int = 100, pushes: Bool = true,
    _ adjust: (inout PushFilter) -> Void = { _ in }
  ) -> Inbox {
    var filter = PushFilter(author: bob.setup.author)
    adjust(&filter)
    var options = Inbox.Options(filter: filter)
    options.catchesUp = catchesUp
    options.catchUpLimit = limit
    if pushes { options.push = { [events] in events.take($0) } }
    return Inbox(hub: bob, options: options)
  }

  func settle() async { await loop.sleep(for: .seconds(1)) }
}

@Suite struct InboxTests {
  @Test func whatCameSinceTheMarkIsCountedAndPushedOldestFirst() throws {
    try Room.play { room in
      let mark = try await room.post("read").cursor
      for number in 0..<5 { try await room.post("\(number)") }
      try await room.post("elsewhere", on: "b")
      let inbox = room.inbox(limit: 3)
      await inbox.start(marks: [Topic("a"): mark])
      #expect(room.events.contents == ["0", "1", "2"])
      guard case .backlog(let rest)? = room.events.all.last else { Issue.record("no backlog line"); return }
      #expect(rest[Topic("a")]?.count == 2 && rest[Topic("b")]?.count == 1)
      #expect(
        await inbox.unread == [
          Topic("a"): Unread(count: 5), Topic("b"): Unread(count: 1, isCapped: false),
        ])
      try await room.post("live")
      await room.settle()
      #expect(room.events.contents.last == "live")
      #expect(await inbox.unread[Topic("a")]?.count == 6)
    }
  }

  @Test func aNewcomerIsToldThatThereIsMore() throws {
    try Room.play { room in
      for number in 0..<5 { try await room.post("\(number)") }
      let inbox = room.inbox(limit: 2)
      await inbox.start(marks: [:])
      #expect(room.events.contents == ["3", "4"])
      #expect(room.events.all.last == .backlog([Topic("a"): Unread(count: 1, isCapped: true)]))
    }
  }

  @Test func withoutCatchUpItBeginsNow() throws {
    try Room.play { room in
      try await room.post("old")
      let inbox = room.inbox(catchesUp: false)
      await inbox.start(marks: [:])
      #expect(await inbox.unread.isEmpty)
      try await room.post("new")
      await room.settle()
      #expect(room.events.contents == ["new"])
      #expect(await inbox.unread[Topic("a")]?.count == 1)
    }
  }

  @Test func ownMessagesAndThoseForOthersAreNeitherCountedNorPushed() throws {
    try Room.play { room in
      let inbox = room.inbox()
      await inbox.start(marks: [:])
      _ = try await room.bob.post(PostRequest(topic: Topic("a"), content: "mine"))
      try await room.post("for eve", to: "eve")
      try await room.post("for bob", to: "bob")
      await room.settle()
      #expect(room.events.contents == ["for bob"])
      #expect(await inbox.unread[Topic("a")]?.count == 1)
    }
  }

  @Test func theFilterLimitsPushesButNotCounts() throws {
    try Room.play { room in
      let inbox = room.inbox {
        $0.mentionsOnly = true
        $0.senders = [Handle("ada")]
      }
      await inbox.start(marks: [:])
      for text in ["plain", "hi @bob", "hi @bobby"] { try await room.post(text) }
      try await room.post("directed", to: "bob")
      await room.settle()
      #expect(room.events.contents == ["hi @bob", "directed"])
      #expect(await inbox.unread[Topic("a")]?.count == 4)
    }
  }

  @Test func whatWasFetchedIsNotPushed() throws {
    try Room.play { room in
      let inbox = room.inbox()
      await inbox.start(marks: [:])
      let receipt = try await room.post("x")
      // As if the fetch's answer had come before the push: only the id is known.
      let request = FetchRequest(Topic("a"))
      let page = try await room.ada.fetch(request)
      #expect(page.messages.map(\.id) == [receipt.id])
      await inbox.noteGiven(page, of: request)
      await room.settle()
      #expect(room.events.contents.isEmpty)
    }
  }

  @Test func aWaitReturnsWhatIsNewOnceOverSeveralTopics() throws {
    try Room.play { room in
      let inbox = room.inbox(pushes: false)
      await inbox.start(marks: [:])
      @Sendable func wait(_ seconds: Int) async -> [String] {
        let deadline = room.loop.now.advanced(by: .seconds(seconds))
        let news = await inbox.wait(on: [Topic("a"), Topic("b")], limit: 10, until: deadline) { _ in true }
        return news.sorted { $0.key < $1.key }.flatMap { $0.value.messages.map(\.content) }
      }
      #expect(await wait(1) == [])
      let waiting = room.loop.spawn { await wait(10) }
      await room.settle()
      try await room.post("b1", on: "b")
      #expect(await waiting.value == ["b1"])
      _ = try await room.bob.post(PostRequest(topic: Topic("a"), content: "mine"))
      try await room.post("a1")
      try await room.post("a2")
      await room.settle()
      #expect(await wait(10) == ["a1", "a2"])
      #expect(await wait(1) == [])
    }
  }

  @Test func aMovedMarkCountsAnew() throws {
    try Room.play { room in
      let inbox = room.inbox(pushes: false)
      await inbox.start(marks: [:])
      var cursors: [Cursor] = []
      for number in 0..<5 { cursors.append(try await room.post("\(number)").cursor) }
      await room.settle()
      #expect(await inbox.unread[Topic("a")]?.count == 5)
      await inbox.markMoved(Topic("a"), to: cursors[2])
      #expect(await inbox.unread[Topic("a")]?.count == 2)
      await inbox.markMoved(Topic("a"), to: cursors[4])
      #expect(await inbox.unread[Topic("a")] == nil)
    }
  }

  @Test func aGapIsPushed() throws {
    try Room.play { room in
      let mark = try await room.post("read").cursor
      for number in 0..<5 { try await room.post("\(number)") }
      room.store.trim(Topic("a"), keeping: 2)
      let inbox = room.inbox()
      await inbox.start(marks: [Topic("a"): mark])
      guard case .gap(let gap)? = room.events.all.first else { Issue.record("no gap"); return }
      #expect(gap.topic == Topic("a") && gap.from == mark && gap.isCertain)
      #expect(room.events.contents == ["3", "4"])
    }
  }

  @Test func nothingIsLostOrDoubledWhileSessionsAreCut() throws {
    let contents = try Room.play { room in
      let inbox = room.inbox()
      await inbox.start(marks: [:])
      for number in 0..<20 {
        try await room.post("\(number)")
        if number % 5 == 2 { room.store.cutAll() }
      }
      await room.loop.sleep(for: .seconds(60))
      return room.events.contents
    }
    #expect(contents == (0..<20).map(String.init))
  }
}

@Suite struct HubTests {
  @Test func whatIsOverALimitOrNotAllowedIsRefusedBeforeTheBackend() throws {
    try Room.play { room in
      func refusal(_ request: PostRequest) async -> HubError? {
        do throws(HubError) {
          _ = try await room.ada.post(request)
          return nil
        } catch { return error }
      }
      let topic = Topic("a")
      #expect(await refusal(PostRequest(topic: Topic("zzz"), content: "")) == .topicNotAllowed(Topic("zzz")))
      #expect(await refusal(PostRequest(topic: Topic("@ada"), content: ""))?.code == "topicNotAllowed")
      let long = String(repeating: "x", count: 256 * 1024 + 1)
      #expect(await refusal(PostRequest(topic: topic, content: long))?.code == "tooLarge")
      #expect(await refusal(PostRequest(topic: topic, content: "a\0b"))?.code == "invalidRequest")
      #expect(
        await refusal(PostRequest(topic: topic, content: "", attributes: ["parley.x": "1"]))?.code == "invalidRequest")
      let big: Attributes = ["k": String(repeating: "v", count: 4096)]
      #expect(await refusal(PostRequest(topic: topic, content: "", attributes: big))?.code == "tooLarge")
      #expect(await refusal(PostRequest(topic: topic, content: "", to: Handle("")))?.code == "invalidRequest")
      #expect(
        await refusal(PostRequest(topic: topic, content: "", key: String(repeating: "k", count: 256)))?.code
          == "tooLarge")
      #expect(await refusal(PostRequest(topic: topic, content: "")) == nil)
    }
  }

  @Test func aPageLimitIsKept() throws {
    try Room.play { room in
      for limit in [0, -1, 1001] {
        let error = await #expect(throws: HubError.self) {
          try await room.ada.fetch(FetchRequest(Topic("a"), .latest, limit: limit))
        }
        #expect(error?.code == "invalidRequest")
      }
    }
  }

  @Test func aPageIsCutAtItsBytesAndPagingReachesTheRest() throws {
    try Room.play { room in
      for number in 0..<10 { try await room.post(String(repeating: "\(number)", count: 100)) }
      var setup = room.bob.setup
      setup.limits.pageBytes = 250
      let hub = try Hub(setup: setup, supervisor: room.bob.supervisor)
      var forward: [Character] = []
      var cursor = try await hub.fetch(FetchRequest(Topic("a"), .latest, limit: 1)).previous
      while let place = cursor {
        let page = try await hub.fetch(FetchRequest(Topic("a"), .before(place)))
        #expect((1...2).contains(page.messages.count))
        forward = page.messages.compactMap(\.content.first) + forward
        cursor = page.previous
      }
      #expect(String(forward) == "012345678")
      let first = try await hub.fetch(FetchRequest(Topic("a"), .latest, limit: 1)).messages[0].cursor
      let newest = try await hub.fetch(FetchRequest(Topic("a")))
      #expect(newest.messages.map(\.content.first) == ["8", "9"] && newest.next == first && newest.previous != nil)
      let start = try await room.bob.fetch(FetchRequest(Topic("a"), .latest, limit: 10)).messages[0].cursor
      let after = try await hub.fetch(FetchRequest(Topic("a"), .after(start)))
      #expect(after.messages.map(\.content.first) == ["1", "2"] && after.hasMore)
      let small = try await hub.fetch(FetchRequest(Topic("a"), .after(after.next)))
      #expect(small.messages.map(\.content.first) == ["3", "4"])
    }
  }
}
