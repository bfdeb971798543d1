import ParleyCoordination
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// Conversations as rooms for members alone, and what a participant's own topic believes: each participant has an
/// account of its own.
@Suite struct ConversationTests {
  /// One process of a participant.
  private struct Member: Sendable {
    let hub: Hub
    let conversations: Conversations
    private let life: Task<Void, Never>

    init(_ handle: String, account: String, _ store: TestStore, _ loop: EventLoop, isTied: Bool = true) throws {
      var settings = store.settings(account)
      if isTied { settings["accounts"] = .strings(["ann=alice@chat.test", "bob=bob@chat.test"]) }
      let supervisor = Supervisor(
        loop: loop, backend: XMPPBackend(loop: loop, options: try XMPPOptions(settings)))
      let author = Author(handle: Handle(handle), instance: "instance-\(account)")
      hub = try Hub(setup: Hub.Setup(author: author, topics: [Topic("general")]), supervisor: supervisor)
      conversations = Conversations(hub: hub, own: OwnTopic(hub: hub))
      life = loop.spawn { await supervisor.run() }
    }

    func say(_ text: String, in topic: Topic) async throws(HubError) {
      _ = try await hub.post(PostRequest(topic: topic, content: text))
    }

    func texts(of topic: Topic) async throws(HubError) -> [String] {
      try await conversations.history(of: topic).messages.filter { $0.kind == nil }.map(\.content)
    }

    func end() async {
      await conversations.stop()
      life.cancel()
      await life.value
    }
  }

  @Test func aGroupIsForItsMembersAndAnyOfThemBringsOthersIn() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let ada = try Member("ada", account: "parley", store, loop)
      let bob = try Member("bob", account: "bob", store, loop)
      let ann = try Member("ann", account: "alice", store, loop)
      for member in [ada, bob, ann] { try await member.conversations.start() }
      let topic = try await ada.conversations.create(name: "release", members: [Handle("bob")]).topic
      try await ada.say("shall we?", in: topic)
      // The invited finds it, reads and answers.
      #expect(try await bob.conversations.list().map(\.topic) == [topic])
      try await bob.say("tomorrow", in: topic)
      #expect(try await bob.texts(of: topic) == ["shall we?", "tomorrow"])
      // Whoever is not cannot read it, not even past Parley's own rules.
      let refused = await failure {
        _ = try await ann.hub.supervisor.fetch(FetchRequest(topic), deadline: loop.now.advanced(by: .seconds(10)))
      }
      #expect(refused?.code == .forbidden, "\(String(describing: refused))")
      // A member that did not begin it brings her in, and she leaves it again.
      _ = try await bob.conversations.invite(Handle("ann"), to: topic)
      try await ann.say("here I am", in: try #require(await ann.conversations.list().first).topic)
      #expect(try await ada.texts(of: topic) == ["shall we?", "tomorrow", "here I am"])
      try await ann.conversations.leave(topic)
      #expect(try await ann.conversations.list().isEmpty)
      let members = try await ada.conversations.conversation(topic).state.members.keys.map(\.name)
      #expect(members.sorted() == ["ada", "bob"])
      for member in [ada, bob, ann] { await member.end() }
      await store.end()
    }
  }

  @Test func whoTakesAHandleDoesNotSpeakForIt() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let ada = try Member("ada", account: "parley", store, loop)
      let mallory = try Member("ada", account: "bob", store, loop)
      let (general, ops) = (Topic("general"), Topic("ops"))
      let marks = ReadMarks(hub: ada.hub)
      try await marks.load()
      try await marks.mark(general, at: Cursor("xmpp.a.read"), storedAt: 1000)
      let forged = ReadMarks(hub: mallory.hub)
      try await forged.load()
      #expect(await forged.marks.isEmpty)
      try await forged.mark(general, at: Cursor("xmpp.a.skipped"), storedAt: 2_000_000_000_000)
      try await forged.mark(ops, at: Cursor("xmpp.a.skipped"), storedAt: 1000)
      try await OwnTopic(hub: mallory.hub).set("mood", to: "bad")
      let again = ReadMarks(hub: ada.hub)
      try await again.load()
      #expect(await again.marks == [general: Cursor("xmpp.a.read")])
      #expect(await again.ignoredEvents == 2)
      let own = OwnTopic(hub: ada.hub)
      try await own.load()
      #expect(await own.state.settings.isEmpty)
      #expect(await own.ignoredEvents == 1)
      for member in [ada, mallory] { await member.end() }
      await store.end()
    }
  }

  /// Read marks and replies under the recipient's handle count from its account alone; it is known by configuration, or
  /// since the recipient announced itself.
  @Test(arguments: [true, false])
  func aReceiptIsTheRecipientsOwn(isTied: Bool) async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let bob = try Member("bob", account: "bob", store, loop)
      let mallory = try Member("bob", account: "alice", store, loop)
      let general = Topic("general")
      _ = try await bob.hub.postUnchecked(PostRequest(topic: bob.hub.setup.presenceTopic, content: "here"))
      let ada = try Member("ada", account: "parley", store, loop, isTied: isTied)
      let receipts = Receipts(hub: ada.hub)
      let posted = try await ada.hub.post(PostRequest(topic: general, content: "read this", to: Handle("bob")))
      func wait(_ stage: ReceiptStage, seconds: Int) async -> ReceiptStage {
        await receipts.wait(
          for: stage, of: posted, on: general, recipient: Handle("bob"),
          until: loop.now.advanced(by: .seconds(seconds)))
      }
      /// Reads, notes and answers it.
      func react(_ member: Member) async throws {
        let page = try await member.hub.fetch(FetchRequest(general))
        let message = try #require(page.messages.last { $0.id == posted.id })
        let marks = ReadMarks(hub: member.hub)
        try await marks.load()
        try await marks.mark(general, at: message.cursor, storedAt: message.storedAt)
        _ = try await member.hub.post(
          PostRequest(topic: general, content: "done", inReplyTo: posted.id))
      }
      let waiting = loop.spawn { await wait(.acted, seconds: 3) }
      try await react(mallory)
      #expect(await waiting.value == .stored)
      // Untied, a handle is whose who went by it last.
      _ = try await bob.hub.post(PostRequest(topic: general, content: "it is me"))
      _ = try await ada.hub.fetch(FetchRequest(general))
      let acted = loop.spawn { await wait(.acted, seconds: 20) }
      try await react(bob)
      #expect(await acted.value == .acted)
      for member in [ada, bob, mallory] { await member.end() }
      await store.end()
    }
  }

  /// Whoever is in a topic's room is a person, unless a process has the account; also before a word was said.
  @Test func whoIsInTheRoomIsListed() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let ada = try Member("ada", account: "parley", store, loop)
      let bob = try Member("bob", account: "bob", store, loop)
      let general = Topic("general")
      let reader = RosterReader(hub: ada.hub, lifetime: .seconds(600))
      func listed() async throws -> [String: Participant] {
        let all = try await reader.read(RosterQuery()).participants
        return Dictionary(uniqueKeysWithValues: all.map { ($0.handle.name, $0) })
      }
      for member in [ada, bob] { try await member.say("hello", in: general) }
      _ = try await bob.hub.postUnchecked(PostRequest(topic: bob.hub.setup.presenceTopic, content: "here"))
      let alice = try await Person.connect("alice", to: store, loop: loop)
      let carol = try await Person.connect("carol", to: store, loop: loop)
      let room = try await alice.join(general, as: "Al")
      _ = try await carol.join(general, as: "Carol")
      _ = try await alice.wait { $0.name == "presence" && $0["from"] == "\(room)/Carol" }
      let there = try await listed()
      // Tied to an account by configuration, by the nickname, and whoever spoke.
      #expect(Set(there.keys) == ["ada", "bob", "ann", "Carol"], "\(there.keys)")
      #expect(there["ann"]?.party == .person && there["ann"]?.isOnline == true && there["ann"]?.topics == ["general"])
      carol.session.close()
      _ = try await alice.wait { $0["from"] == "\(room)/Carol" && $0["type"] == "unavailable" }
      #expect(try await listed()["Carol"] == nil)
      alice.session.close()
      for member in [ada, bob] { await member.end() }
      await store.end()
    }
  }

  /// A verdict is the listed account's, by a word or by a reply to the request; a nickname makes nobody an approver.
  @Test func aListedAccountGivesLeave() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let ada = try Member("ada", account: "parley", store, loop)
      let general = Topic("general")
      let rules = ApprovalRules(topic: general, approvers: [Handle("ann"), Handle("carol@chat.test")])
      #expect(await rules.ownApprovers(on: ada.hub.supervisor, until: loop.now.advanced(by: .seconds(10))) == nil)
      try await ada.say("good morning", in: general)
      let alice = try await Person.connect("alice", to: store, loop: loop)
      let carol = try await Person.connect("carol", to: store, loop: loop)
      let bob = try await Person.connect("bob", to: store, loop: loop)
      let room = try await alice.join(general, as: "phone")
      _ = try await carol.join(general, as: "Carol")
      _ = try await bob.join(general, as: "ann")
      let approvals = Approvals(hub: ada.hub, rules: rules, host: "host")
      let verdicts = Waiters<String>(loop: loop)
      await approvals.onVerdict { code, approval in verdicts.resumeAll("\(code) \(approval.rawValue)") }
      func ask(_ code: String) async throws -> XMLElement {
        await approvals.ask(
          try #require(PermissionRequest(code: code, tool: "Bash", purpose: "Delete it", preview: "rm -rf build")))
        return try await alice.wait { $0.child("body", Namespace.client)?.text.contains("yes \(code)") == true }
      }
      func expect(_ verdict: String, _ ticket: UInt64) async {
        let heard = await verdicts.wait(ticket, until: loop.now.advanced(by: .seconds(15)))
        if case .value(verdict) = heard {} else { Issue.record("\(heard)") }
      }
      // Bob goes by a nickname that is listed as a handle; alice's account has that handle.
      _ = try await ask("abcde")
      var ticket = verdicts.ticket()
      try bob.say("no abcde", in: room)
      _ = try await alice.body("no abcde")
      try alice.say("yes abcde", in: room)
      await expect("abcde allow", ticket)
      // A reply needs no letters.
      let request = try await ask("fghij")
      let id = try #require(request.child("stanza-id", Namespace.stanzaID)?["id"])
      ticket = verdicts.ticket()
      let reply = XMLElement("reply", Namespace.reply, ["to": request["from"] ?? "", "id": id])
      try bob.say("yes", in: room, reply)
      _ = try await alice.body("yes")
      try carol.say("no", in: room, reply)
      await expect("fghij deny", ticket)
      await approvals.stop()
      for person in [alice, carol, bob] { person.session.close() }
      await ada.end()
      await store.end()
    }
  }
}
