import ParleyCoordination
import ParleyMatrix
import ParleyRuntime
import ParleyTestKit
import Testing

/// Processes with one Matrix account, and one with another that takes their handle, in the same rooms: what counts is
/// what the account says.
@Suite(.serialized) struct SharedHandleTests {
  /// One process of a participant.
  private struct Member: Sendable {
    let hub: Hub
    let tasks: Tasks
    let conversations: Conversations

    init(_ handle: String, instance: String, _ options: MatrixOptions, _ world: MatrixWorld) throws {
      let author = Author(handle: Handle(handle), instance: instance)
      var setup = Hub.Setup(author: author, topics: [world.topic])
      setup.patience = .seconds(30)
      // The server is other tests' too.
      setup.presenceTopic = Topic("presence-" + world.topic.name)
      hub = try Hub(setup: setup, supervisor: world.supervise(options))
      tasks = Tasks(hub: hub)
      conversations = Conversations(hub: hub, own: OwnTopic(hub: hub))
    }

    func stop() async {
      await tasks.stop()
      await conversations.stop()
    }
  }

  /// Two processes of `ada` with the account that tests share, and `mallory`: a process that calls itself ada too, with
  /// the account of bob's process. All are in the room of the world's topic.
  private struct Cast: Sendable {
    let ada: Member
    let other: Member
    let mallory: Member
    let bob: Member
    let handle: String
    /// A plain client of bob's account.
    let guest: Person

    init(_ world: MatrixWorld) async throws {
      guest = try await world.person("bob")
      handle = "ada-" + world.topic.name
      var (own, theirs) = (world.options, world.options)
      own.invite = [guest.id]
      theirs.invite = [TestHomeserver.account]
      theirs.login = .token(access: guest.token, refresh: nil)
      ada = try Member(handle, instance: "one", own, world)
      other = try Member(handle, instance: "two", own, world)
      mallory = try Member(handle, instance: "three", theirs, world)
      bob = try Member("bob-" + world.topic.name, instance: "four", theirs, world)
      for member in [ada, bob] { _ = try await member.hub.post(PostRequest(topic: world.topic, content: "hello")) }
    }

    func stop() async { for member in [ada, other, mallory, bob] { await member.stop() } }
  }

  private func run(_ body: @escaping @Sendable (MatrixWorld, Cast) async throws -> Void) async throws {
    try await MatrixWorld.run(try await TestHomeserver.peaceful.value()) { world in
      let cast = try await Cast(world)
      try await body(world, cast)
      await cast.stop()
    }
  }

  private static func code(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws(HubError) -> Void
  ) async -> String? {
    do throws(HubError) {
      try await body()
      return nil
    } catch {
      return error.code
    }
  }

  @Test func theOwnTopicIsTheAccounts() async throws {
    try await run { world, cast in
      let (marks, forged) = (ReadMarks(hub: cast.ada.hub), ReadMarks(hub: cast.mallory.hub))
      let elsewhere = Topic("elsewhere")
      try await marks.load()
      try await marks.mark(world.topic, at: Cursor("matrix.a.read"), storedAt: 1000)
      try await OwnTopic(hub: cast.ada.hub).set("mood", to: "good")
      try await forged.load()
      #expect(await forged.marks.isEmpty)
      try await forged.mark(world.topic, at: Cursor("matrix.a.skipped"), storedAt: 2_000_000_000_000)
      try await OwnTopic(hub: cast.mallory.hub).set("mood", to: "bad")
      // Another process of the account goes on where the first was.
      let again = ReadMarks(hub: cast.other.hub)
      try await again.load()
      try await again.mark(elsewhere, at: Cursor("matrix.b.read"), storedAt: 2000)
      let (own, first) = (OwnTopic(hub: cast.other.hub), ReadMarks(hub: cast.ada.hub))
      try await own.load()
      try await first.load()
      let expected = [world.topic: Cursor("matrix.a.read"), elsewhere: Cursor("matrix.b.read")]
      #expect(await again.marks == expected)
      #expect(await first.marks == expected)
      #expect(await own.state.settings == ["mood": "good"])
      #expect(await own.ignoredEvents == 1)
      #expect(await again.ignoredEvents == 1)
    }
  }

  @Test func aTaskIsItsHoldersAndItsPostersAccounts() async throws {
    try await run { world, cast in
      let (task, _) = try await cast.ada.tasks.post(TaskPost(topic: world.topic, title: "build"))
      let held = try await cast.ada.tasks.claim(task.id.text, on: world.topic)
      let fence = try #require(held.claim?.fence.text)
      func update(_ member: Member, _ update: TaskUpdate) async -> String? {
        await Self.code { () async throws(HubError) in
          _ = try await member.tasks.update(task.id.text, on: world.topic, fence: fence, update)
        }
      }
      #expect(await update(cast.mallory, .done(result: "forged")) == "taskNotHolder")
      #expect(await update(cast.mallory, .release(reason: "forged")) == "taskNotHolder")
      #expect(await update(cast.mallory, .cancel(reason: "forged")) == "taskNotPoster")
      let board = try await cast.ada.tasks.board(of: world.topic)
      #expect(board.live.first?.heldClaim(at: board.now)?.fence.text == fence, "\(board)")
      #expect(await update(cast.other, .done(result: "built")) == nil)
      let seen = try await cast.bob.tasks.settled(
        [task.id.text], on: world.topic, until: world.loop.now.advanced(by: .seconds(10)))
      #expect(seen.areOver && seen.tasks.first?.ending?.text == "built")
    }
  }

  @Test func aMemberIsItsAccount() async throws {
    try await run { world, cast in
      let bob = Handle("bob-" + world.topic.name)
      for member in [cast.ada, cast.bob] { try await member.conversations.start() }
      let topic = try await cast.ada.conversations.create(name: "us", members: [bob]).topic
      #expect(try await cast.bob.conversations.list().map(\.topic) == [topic])
      // In the room since bob's account is, but not ada.
      #expect(
        await Self.code { () async throws(HubError) in try await cast.mallory.conversations.leave(topic) }
          == "conversationForged")
      let invited = await Self.code { () async throws(HubError) in
        _ = try await cast.mallory.conversations.invite(Handle("@admin:chat.test"), to: topic)
      }
      #expect(invited == "conversationForged")
      let state = try await cast.ada.conversations.conversation(topic).state
      #expect(state.members.keys.sorted() == [Handle(cast.handle), bob])
      // The same account in another process is ada: it finds the conversation, and leaves it for her.
      try await cast.other.conversations.start()
      #expect(try await cast.other.conversations.list().map(\.topic) == [topic])
      try await cast.other.conversations.leave(topic)
      #expect(try await cast.ada.conversations.list().isEmpty)
    }
  }

  @Test func noAgentApprovesItself() async throws {
    try await run { world, cast in
      let request = try #require(
        PermissionRequest(code: "abcde", tool: "Bash", purpose: "Delete it", preview: "rm -rf build"))
      func rules(_ approvers: [String]) -> ApprovalRules {
        ApprovalRules(topic: world.topic, approvers: approvers.map { Handle($0) }, lifetime: .seconds(60))
      }
      func texts() async throws -> [String] {
        try await cast.ada.hub.fetch(FetchRequest(world.topic)).messages.map(\.content)
      }
      let before = try await texts()
      let own = rules([TestHomeserver.account])
      let reason = await own.ownApprovers(on: cast.ada.hub.supervisor, until: world.deadline)
      #expect(reason?.areAll == true && reason?.reason.contains("never approves itself") == true)
      let alone = Approvals(hub: cast.ada.hub, rules: own, host: "host")
      await alone.ask(request)
      #expect(try await texts() == before)
      await alone.stop()
      // Beside others it is passed over, as is bob's account, which a process posts with too.
      let alice = try await world.person("alice")
      let room = try #require(await world.homeserver.room(of: world.topic))
      let bot = try await world.bot()
      try await bot.request("POST", "rooms/\(Person.escape(room))/invite", ["user_id": .string(alice.id)])
      try await alice.request("POST", "join/\(Person.escape(room))", [:])
      let several = rules([TestHomeserver.account, cast.guest.id, alice.id])
      #expect(await several.ownApprovers(on: cast.ada.hub.supervisor, until: world.deadline)?.areAll == false)
      let approvals = Approvals(hub: cast.ada.hub, rules: several, host: "host")
      let verdicts = Waiters<Approval>(loop: world.loop)
      let ticket = verdicts.ticket()
      await approvals.onVerdict { _, approval in verdicts.resumeAll(approval) }
      await approvals.ask(request)
      try await bot.say("no abcde", in: room)
      try await cast.guest.say("no abcde", in: room)
      try await alice.say("yes abcde", in: room)
      let heard = await verdicts.wait(ticket, until: world.deadline)
      if case .value(.allow) = heard {} else { Issue.record("\(heard)") }
      await approvals.stop()
    }
  }

  /// Whoever is in a topic's room is a person, unless a process has the account; also before a word was said.
  @Test func whoIsInTheRoomIsListed() async throws {
    try await run { world, cast in
      let quiet = try await world.person("quiet")
      let room = try #require(await world.homeserver.room(of: world.topic))
      try await world.bot().request("POST", "rooms/\(Person.escape(room))/invite", ["user_id": .string(quiet.id)])
      let reader = RosterReader(hub: cast.ada.hub, lifetime: .seconds(600))
      func people() async throws -> [Participant] {
        try await reader.read(RosterQuery()).participants.filter { $0.handle == Handle(quiet.id) }
      }
      #expect(try await people().isEmpty)
      try await quiet.request("POST", "join/\(Person.escape(room))", [:])
      let listed = try await people()
      #expect(listed.map(\.party) == [.person] && listed.first?.topics == [world.topic.name], "\(listed)")
      #expect(listed.first?.isOnline == true)
      // Bob's process spoke, and says so by its presence: its account is nobody else.
      _ = try await cast.bob.hub.postUnchecked(
        PostRequest(topic: cast.bob.hub.setup.presenceTopic, content: "here"))
      let handles = try await reader.read(RosterQuery()).participants.map(\.handle)
      #expect(!handles.contains(Handle(cast.guest.id)) && !handles.contains(Handle(TestHomeserver.account)))
      try await quiet.request("POST", "rooms/\(Person.escape(room))/leave", [:])
      #expect(try await people().isEmpty)
    }
  }
}
