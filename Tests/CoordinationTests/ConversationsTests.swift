import ParleyConformance
import ParleyRuntime
import Synchronization
import Testing

@testable import ParleyCoordination

extension Crowd {
  /// The conversations of one process, following.
  func conversations(_ process: Int, pageLimit: Int = 1000) async throws -> Conversations {
    let hub = hubs[process]
    let conversations = Conversations(hub: hub, own: OwnTopic(hub: hub, pageLimit: pageLimit), pageLimit: pageLimit)
    try await conversations.start()
    return conversations
  }

  func say(_ text: String, _ process: Int, in topic: Topic) async throws {
    _ = try await hubs[process].post(PostRequest(topic: topic, content: text))
  }
}

@Suite struct ConversationsTests {
  private static func code(_ body: () async throws -> Void) async -> String? {
    do {
      try await body()
      return nil
    } catch {
      return (error as? HubError)?.code
    }
  }

  @Test func aDirectOneBeginsByItselfAndIsOneForBoth() throws {
    try Crowd.play(["ada", "bob", "carol"]) { crowd in
      let (ada, bob) = (try await crowd.conversations(0), try await crowd.conversations(1))
      let told = Mutex<[String]>([])
      await bob.observe { topic, isIn in told.withLock { $0.append("\(topic) \(isIn)") } }
      let one = try await ada.direct(with: Handle("bob"))
      await crowd.settle()
      #expect(told.withLock { $0 } == ["\(one.topic) true"])
      let other = try await bob.direct(with: Handle("ada"))
      let again = try await ada.direct(with: Handle("bob"))
      #expect(one.topic == other.topic && again == one)
      #expect(one.other(than: Handle("ada")) == Handle("bob"))
      try await crowd.say("hello", 0, in: one.topic)
      try await crowd.say("hi", 1, in: one.topic)
      let page = try await bob.history(of: one.topic, limit: 2)
      #expect(page.messages.map(\.content) == ["hello", "hi"])
      // A third one may neither read nor write, and is told as little as of a conversation that is not.
      let carol = try await crowd.conversations(2)
      #expect(await Self.code { _ = try await carol.history(of: one.topic) } == "conversationUnknown")
      #expect(await Self.code { try await crowd.say("x", 2, in: one.topic) } == "topicNotAllowed")
      #expect(try await carol.list().isEmpty)
      #expect(crowd.store.history(of: Topic("@bob")).count == 1)
    }
  }

  @Test func bothBeginAtTheSameMoment() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let (ada, bob) = (try await crowd.conversations(0), try await crowd.conversations(1))
      async let one = ada.direct(with: Handle("bob"))
      async let other = bob.direct(with: Handle("ada"))
      let (a, b) = try await (one, other)
      #expect(a == b)
      await crowd.settle()
      #expect(try await ada.list() == bob.list())
    }
  }

  @Test func aGroupGrowsAndShrinks() throws {
    try Crowd.play(["ada", "bob", "carol"]) { crowd in
      let ada = try await crowd.conversations(0)
      let bob = try await crowd.conversations(1)
      let group = try await ada.create(name: "release", members: [Handle("bob"), Handle("bob"), Handle("ada")])
      #expect(group.state.members.keys.sorted() == [Handle("ada"), Handle("bob")])
      await crowd.settle()
      #expect(try await bob.list().map(\.state.name) == ["release"])
      _ = try await bob.invite(Handle("carol"), to: group.topic)
      let carol = try await crowd.conversations(2)
      #expect(try await carol.list().count == 1)
      try await ada.leave(group.topic)
      await crowd.settle()
      #expect(try await ada.list().isEmpty)
      #expect(await Self.code { try await crowd.say("x", 0, in: group.topic) } == "topicNotAllowed")
      #expect(await Self.code { _ = try await ada.invite(Handle("dora"), to: group.topic) } == "conversationUnknown")
      // Brought in again, it is told again.
      _ = try await carol.invite(Handle("ada"), to: group.topic)
      await crowd.settle()
      #expect(try await ada.list().map(\.topic) == [group.topic])
      let before = crowd.store.history(of: Topic("@ada")).count
      _ = try await carol.invite(Handle("ada"), to: group.topic)
      #expect(crowd.store.history(of: Topic("@ada")).count == before)
    }
  }

  @Test func aHandleResumesElsewhere() throws {
    try Crowd.play(["ada", "ada", "bob"]) { crowd in
      let here = OwnTopic(hub: crowd.hubs[0])
      try await here.setStatus("reviewing")
      try await here.set("notify", to: "off")
      try await here.set("colour", to: "red")
      try await here.set("colour", to: nil)
      let ada = try await crowd.conversations(0)
      let conversation = try await ada.direct(with: Handle("bob"))
      let there = OwnTopic(hub: crowd.hubs[1])
      try await there.load()
      let state = await there.state
      #expect(state.status == "reviewing" && state.settings == ["notify": "off"])
      let elsewhere = try await crowd.conversations(1)
      #expect(try await elsewhere.list().map(\.topic) == [conversation.topic])
      // Both processes hear of each other's changes.
      try await there.setStatus(nil)
      await crowd.settle()
      #expect(await here.state.status == nil)
    }
  }

  @Test func aKeyMakesOneGroup() throws {
    try Crowd.play(["ada", "ada", "bob"]) { crowd in
      let first = try await crowd.conversations(0).create(name: "g", members: [Handle("bob")], key: "k")
      let again = try await crowd.conversations(1).create(name: "g", members: [Handle("bob")], key: "k")
      let other = try await crowd.conversations(2).create(name: "g", members: [], key: "k")
      #expect(first.topic == again.topic && first.topic != other.topic)
      #expect(crowd.store.history(of: Topic("@bob")).count == 2)
    }
  }

  /// Random histories of four processes, with days between and restarts anywhere: whoever followed, and whoever begins at
  /// the end with any page size, agrees with the plain fold over the whole log.
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func everyReaderComesToTheSameState(_ seed: UInt64) throws {
    try Crowd.play(seed: seed, ["ada", "bob", "carol", "ada"]) { crowd in
      func random(_ bound: Int) -> Int { Int(crowd.loop.random() % UInt64(bound)) }
      var all: [Conversations] = []
      for process in 0..<4 { all.append(try await crowd.conversations(process)) }
      let group = try await all[0].create(name: "g", members: [Handle("bob")])
      let names = ["ada", "bob", "carol", "dora"]
      for _ in 0..<60 {
        let process = random(4)
        do {
          switch random(8) {
          case 0: try await all[process].leave(group.topic)
          case 1, 2: _ = try await all[process].invite(Handle(names[random(4)]), to: group.topic)
          case 3: _ = try await all[process].direct(with: Handle(names[random(4)]))
          case 4: await crowd.loop.sleep(for: .seconds(40_000 * (1 + random(3))))
          case 5:
            await all[process].stop()
            all[process] = try await crowd.conversations(process, pageLimit: [1, 3, 1000][random(3)])
          default: try await crowd.say("words", process, in: group.topic)
          }
        } catch let error as HubError {
          let codes = [
            "conversationUnknown", "conversationNotMember", "invalidRequest", "topicNotAllowed", "conversationDirect",
          ]
          #expect(codes.contains(error.code), "\(error.code)")
        }
      }
      await crowd.settle(5)
      var whole = ConversationFold(topic: group.topic)
      var page = try await crowd.hubs[0].fetchUnchecked(FetchRequest(group.topic, .latest, limit: 1000))
      #expect(page.previous == nil)
      for message in page.messages { whole.apply(message) }
      let expected = try #require(whole.state)
      for process in 0..<4 {
        let isIn = expected.members[crowd.hubs[process].setup.author.handle] != nil
        #expect(try await all[process].list().contains { $0.topic == group.topic } == isIn)
        if isIn { #expect(try await all[process].conversation(group.topic).state == expected) }
        for pageLimit in [1, 7, 1000] {
          let fresh = try await crowd.conversations(process, pageLimit: pageLimit)
          #expect(try await fresh.list() == all[process].list())
          if isIn { #expect(try await fresh.conversation(group.topic).state == expected) }
          await fresh.stop()
        }
      }
      page = try await crowd.hubs[1].fetchUnchecked(FetchRequest(Topic("@bob"), .latest, limit: 1000))
      var own = OwnFold(owner: Handle("bob"))
      for message in page.messages where OwnFold.concerns(message) { own.apply(message) }
      for pageLimit in [1, 5, 1000] {
        let fresh = OwnTopic(hub: crowd.hubs[1], pageLimit: pageLimit)
        try await fresh.load()
        #expect(await fresh.state == own.state)
      }
    }
  }

  @Test func refusalsAreToldAndLeaveNoTrace() throws {
    try Crowd.play(["ada", "bob"]) { crowd in
      let ada = try await crowd.conversations(0)
      let direct = try await ada.direct(with: Handle("bob"))
      let before = crowd.store.history(of: direct.topic).count
      let codes = [
        await Self.code { _ = try await ada.direct(with: Handle("ada")) },
        await Self.code { _ = try await ada.direct(with: Handle("all")) },
        await Self.code { _ = try await ada.direct(with: Handle("system")) },
        await Self.code { _ = try await ada.direct(with: Handle(" ")) },
        await Self.code { _ = try await ada.direct(with: Handle("a\u{202e}b")) },
        await Self.code { _ = try await ada.direct(with: Handle(String(repeating: "x", count: 200))) },
        await Self.code { _ = try await ada.create(name: "two\nlines", members: []) },
        await Self.code { _ = try await ada.create(name: nil, members: (0..<1000).map { Handle("m\($0)") }) },
        await Self.code { _ = try await ada.create(name: nil, members: [], key: "") },
        await Self.code { _ = try await ada.invite(Handle("carol"), to: direct.topic) },
        await Self.code { try await ada.leave(direct.topic) },
        await Self.code { _ = try await ada.history(of: Topic("general")) },
        await Self.code { _ = try await ada.history(of: Topic("~dm.zz")) },
        await Self.code { try await OwnTopic(hub: crowd.hubs[0]).set("Not a name", to: "x") },
        await Self.code { try await OwnTopic(hub: crowd.hubs[0]).set("n", to: String(repeating: "x", count: 3000)) },
        await Self.code { try await OwnTopic(hub: crowd.hubs[0]).setStatus(String(repeating: "x", count: 300)) },
      ]
      #expect(
        codes == [
          "invalidRequest", "invalidRequest", "invalidRequest", "invalidRequest", "invalidRequest", "tooLarge",
          "invalidRequest", "invalidRequest", "invalidRequest", "conversationDirect", "conversationDirect",
          "conversationUnknown", "conversationUnknown", "invalidRequest", "tooLarge", "invalidRequest",
        ])
      #expect(crowd.store.history(of: direct.topic).count == before)
    }
  }

  @Test func whatOthersWriteIntoAnOwnTopicChangesNothingButInvitations() throws {
    try Crowd.play(["ada", "mallory"]) { crowd in
      let ada = try await crowd.conversations(0)
      let own = Topic("@ada")
      let stranger = ConversationTopic.direct(Handle("ada"), Handle("bob"))
      let group = ConversationTopic.group(random: (1, 2))
      for event: OwnEvent in [
        .status("pwned"), .setting("a", "b"), .left(group), .invitation(stranger, name: nil),
        .invitation(group, name: "not begun"), .checkpoint(OwnState(), through: Cursor("1")),
      ] {
        let (content, attributes) = event.message(by: Handle("mallory"))
        _ = try await crowd.hubs[1].postUnchecked(
          PostRequest(topic: own, content: content, attributes: attributes))
      }
      await crowd.settle()
      #expect(try await ada.list().isEmpty)
      let topic = OwnTopic(hub: crowd.hubs[0])
      try await topic.load()
      #expect(await topic.state.conversations.keys.sorted() == [group])
      #expect(await topic.state.status == nil)
      #expect(await topic.ignoredEvents == 5)
    }
  }

  /// 90 days on a store that keeps a week: members, status and settings are there at the end, however they are read.
  @Test(arguments: [1, 9, 1000])
  func stateOutlivesRetention(_ pageLimit: Int) throws {
    try Crowd.play(["ada", "bob", "bob"]) { crowd in
      let ada = try await crowd.conversations(0)
      let bob = try await crowd.conversations(1)
      let group = try await ada.create(name: "long", members: [Handle("bob"), Handle("carol")])
      let direct = try await bob.direct(with: Handle("ada"))
      let own = OwnTopic(hub: crowd.hubs[1])
      try await own.setStatus("on leave")
      try await own.set("notify", to: "off")
      await crowd.settle()
      let expected = try await bob.list()
      let topics = [group.topic, direct.topic, Topic("@ada"), Topic("@bob"), Topic("@carol")]
      for day in 0..<90 {
        await crowd.loop.sleep(for: .seconds(86_400))
        if day % 10 == 0 { try await crowd.say("day \(day)", 0, in: group.topic) }
        for topic in topics { crowd.store.expire(topic, olderThan: .seconds(7 * 86_400)) }
      }
      #expect(crowd.store.history(of: group.topic).count { !$0.isRemoved } < 20)
      let later = try await crowd.conversations(2, pageLimit: pageLimit)
      #expect(try await later.list() == expected)
      let resumed = OwnTopic(hub: crowd.hubs[2], pageLimit: pageLimit)
      try await resumed.load()
      #expect(await resumed.state.status == "on leave")
      #expect(await resumed.state.settings == ["notify": "off"])
    }
  }
}
