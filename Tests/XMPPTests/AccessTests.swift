import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// Rooms that do not let everybody in.
@Suite struct AccessTests {
  private func withStore(
    _ body: @escaping @Sendable (TestStore, EventLoop) async throws -> Void
  ) async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      try await body(store, loop)
      await store.end()
    }
  }

  private func connect(
    _ name: String, _ store: TestStore, _ loop: EventLoop, isolation: isolated (any Actor)? = #isolation,
    change: (inout Settings) -> Void = { _ in }
  ) async throws -> XMPPBackend {
    var settings = store.settings(name)
    change(&settings)
    let backend = XMPPBackend(loop: loop, options: try XMPPOptions(settings))
    try await backend.connect { _ in }
    return backend
  }

  private func expectForbidden(
    _ text: String, isolation: isolated (any Actor)? = #isolation, _ operation: () async throws -> Void
  ) async {
    do {
      try await operation()
      Issue.record("it was let in")
    } catch let error as SeamError {
      #expect(error.code == .forbidden && error.cause.contains(text), "\(error)")
      #expect(!error.description.contains("sesame"), "\(error)")
    } catch { Issue.record("\(error)") }
  }

  @Test func roomsForMembersAlone() async throws {
    try await withStore { store, loop in
      let soon = loop.now.advanced(by: .seconds(30))
      let topic = Topic("private")
      let alice = try await Person.connect("alice", to: store, loop: loop)
      try alice.session.send(XMLElement("presence", Namespace.client))
      let owner = try await connect("parley", store, loop) { settings in
        settings["room_members_only"] = .boolean(true)
        settings["invite"] = .strings(["alice@chat.test", "parley@chat.test"])
      }
      _ = try await owner.post(draft("secret", on: "private"), deadline: soon)
      // Whoever is invited hears of it, and may enter.
      let invitation = try await alice.wait {
        $0.child("x", Namespace.mucUser)?.child("invite", Namespace.mucUser) != nil
      }
      let room = try await alice.join(topic, as: "alice")
      #expect(invitation["from"] == room.description)
      // Nobody else writes, reads or follows.
      let stranger = try await connect("bob", store, loop)
      await expectForbidden("bob@chat.test is none") {
        _ = try await stranger.post(draft("let me in", on: "private"), deadline: soon)
      }
      await expectForbidden("bob@chat.test is none") {
        _ = try await stranger.fetch(FetchRequest(topic), deadline: soon)
      }
      await expectForbidden("bob@chat.test is none") {
        _ = try await stranger.subscribe(topic, after: LogPlace.start(0).cursor) { _ in .more }
      }
      // Until a member makes it one; other rooms are open to it.
      try await owner.admit("bob@chat.test", to: topic, deadline: soon)
      let page = try await stranger.fetch(FetchRequest(topic), deadline: soon)
      #expect(page.messages.map(\.content) == ["secret"])
      _ = try await stranger.post(draft("thanks", on: "private", by: "bob"), deadline: soon)
      _ = try await alice.body("thanks")
      // And dismissed, it is out again.
      try await owner.dismiss("bob@chat.test", from: topic, deadline: soon)
      await expectForbidden("bob@chat.test is none") {
        _ = try await stranger.post(draft("again", on: "private"), deadline: soon)
      }
      await stranger.disconnect()
      await owner.disconnect()
      alice.session.close()
    }
  }

  @Test func aTopicIsMadePrivate() async throws {
    try await withStore { store, loop in
      let soon = loop.now.advanced(by: .seconds(30))
      let owner = try await connect("parley", store, loop)
      let bob = try await connect("bob", store, loop)
      let carol = try await connect("alice", store, loop)
      // As a new room, and as one that everybody was in.
      for topic in [Topic("~d.parley.bob"), Topic("open")] {
        if topic == Topic("open") {
          for backend in [owner, bob, carol] {
            _ = try await backend.post(draft("hello", on: topic.name), deadline: soon)
          }
        }
        try await owner.restrict(topic, to: ["bob@chat.test"], deadline: soon)
        try await owner.restrict(topic, to: ["bob@chat.test"], deadline: soon)
        _ = try await owner.post(draft("for us", on: topic.name), deadline: soon)
        #expect(try await bob.fetch(FetchRequest(topic), deadline: soon).messages.last?.content == "for us")
        _ = try await bob.post(draft("indeed", on: topic.name, by: "bob"), deadline: soon)
        await expectForbidden("alice@chat.test is none") {
          _ = try await carol.post(draft("me too", on: topic.name), deadline: soon)
        }
        // A member brings her in, as anybody else in the room may.
        try await bob.restrict(topic, to: ["alice@chat.test"], deadline: soon)
        _ = try await carol.post(draft("me too", on: topic.name), deadline: soon)
      }
      // Rooms that are closed by configuration have their owner's list alone.
      let closed = try await connect("parley", store, loop) { $0["room_members_only"] = .boolean(true) }
      _ = try await closed.post(draft("for the list", on: "list"), deadline: soon)
      try await closed.admit("bob@chat.test", to: Topic("list"), deadline: soon)
      _ = try await bob.post(draft("I am on it", on: "list"), deadline: soon)
      await expectForbidden("the server answers") {
        try await bob.admit("alice@chat.test", to: Topic("list"), deadline: soon)
      }
      await closed.disconnect()
      await #expect(throws: SeamError.self) {
        try await owner.restrict(Topic("x"), to: ["nobody"], deadline: soon)
      }
      for backend in [owner, bob, carol] { await backend.disconnect() }
    }
  }

  /// Who is invited to everything is not in what two say to each other, nor called to what only programs read.
  @Test func theInvitedAreNoGuestsOfConversations() async throws {
    try await withStore { store, loop in
      let soon = loop.now.advanced(by: .seconds(30))
      let person = try await Person.connect("alice", to: store, loop: loop)
      try person.session.send(XMLElement("presence", Namespace.client))
      let owner = try await connect("parley", store, loop) { settings in
        settings["invite"] = .strings(["alice@chat.test"])
        settings["room_members_only"] = .boolean(true)
      }
      let alice = try await connect("alice", store, loop)
      let talk = Topic("~dm.0123456789abcdef0123456789abcdef")
      // Followed before it is closed, as whoever begins it does.
      _ = try await owner.subscribe(talk, after: LogPlace.start(0).cursor) { _ in .more }
      try await owner.restrict(talk, to: ["bob@chat.test"], deadline: soon)
      _ = try await owner.post(draft("between us", on: talk.name), deadline: soon)
      await expectForbidden("alice@chat.test is none") {
        _ = try await alice.fetch(FetchRequest(talk), deadline: soon)
      }
      // A member of the own topic's room, which others write to.
      _ = try await owner.post(draft("here", on: "@parley"), deadline: soon)
      _ = try await alice.post(draft("come", on: "@parley", by: "ann"), deadline: soon)
      _ = try await owner.post(draft("hello all", on: "all"), deadline: soon)
      func invites(_ stanza: XMLElement) -> Bool {
        stanza.child("x", Namespace.mucUser)?.child("invite", Namespace.mucUser) != nil
      }
      let first = try await person.wait(for: invites)
      #expect(first["from"] == "all@rooms.chat.test", "\(first)")
      for backend in [owner, alice] { await backend.disconnect() }
      person.session.close()
    }
  }

  @Test func roomsWithAPassword() async throws {
    try await withStore { store, loop in
      let soon = loop.now.advanced(by: .seconds(30))
      let owner = try await connect("parley", store, loop) { $0["room_password"] = .string("sesame") }
      _ = try await owner.post(draft("inside", on: "cave"), deadline: soon)
      let knows = try await connect("alice", store, loop) { $0["room_password"] = .string("sesame") }
      _ = try await knows.post(draft("open", on: "cave"), deadline: soon)
      let asks = try await connect("bob", store, loop)
      await expectForbidden("give backend_config.room_password") {
        _ = try await asks.post(draft("hm", on: "cave"), deadline: soon)
      }
      let errs = try await connect("bob", store, loop) { $0["room_password"] = .string("not sesame") }
      await expectForbidden("it is not backend_config.room_password") {
        _ = try await errs.post(draft("hm", on: "cave"), deadline: soon)
      }
      for backend in [owner, knows, asks, errs] { await backend.disconnect() }
    }
  }

  @Test func theBannedAreToldSo() async throws {
    try await withStore { store, loop in
      let soon = loop.now.advanced(by: .seconds(30))
      let carol = try await Person.connect("carol", to: store, loop: loop)
      let room = try await carol.join(Topic("general"), as: "carol")
      let item = XMLElement("item", Namespace.mucAdmin, ["jid": "bob@chat.test", "affiliation": "outcast"])
      _ = try await carol.session.request(
        "set", to: room, XMLElement("query", Namespace.mucAdmin, children: [item]), "ban", until: soon)
      let bob = try await connect("bob", store, loop)
      await expectForbidden("bob@chat.test is banned") { _ = try await bob.post(draft("hm"), deadline: soon) }
      await bob.disconnect()
      carol.session.close()
    }
  }
}
