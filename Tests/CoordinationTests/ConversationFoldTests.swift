import ParleyRuntime
import Testing

@testable import ParleyCoordination

/// A conversation's log written by hand.
struct ConversationLog {
  let topic: Topic
  var fold: ConversationFold
  var messages: [Message] = []

  init(_ topic: Topic = Topic("~group.0123456789abcdef0123456789abcdef")) {
    self.topic = topic
    fold = ConversationFold(topic: topic)
  }

  @discardableResult
  mutating func add(
    _ event: ConversationEvent, by handle: String, account: String? = nil, late: Bool = false
  ) -> ConversationFold.Outcome? {
    let (content, attributes) = event.message(by: Handle(handle))
    return add(content, attributes, by: handle, account: account, late: late)
  }

  @discardableResult
  mutating func add(
    _ content: String, _ attributes: Attributes = [:], by handle: String, account: String? = nil,
    late: Bool = false
  ) -> ConversationFold.Outcome? {
    let number = messages.count + 1
    let message = Message(
      topic: topic, sender: Handle(handle), account: account, content: content, timestamp: "",
      storedAt: Int64(number), id: MessageID("m\(number)"), cursor: Cursor("\(number)"), attributes: attributes,
      isLate: late)
    messages.append(message)
    return ConversationFold.concerns(message) ? fold.apply(message) : nil
  }

  var members: [String] { fold.state?.members.keys.map(\.name).sorted() ?? [] }
}

extension ConversationFold.Outcome {
  var code: String? {
    if case .refused(let refusal) = self { refusal.code } else { nil }
  }
}

@Suite struct ConversationFoldTests {
  @Test func everyEventComesBackFromItsMessage() throws {
    let state = ConversationState(
      isDirect: false, name: "a \"b\"", creator: Handle("ada"), createdAt: 5,
      members: [
        Handle("ada"): .init(since: 5, message: MessageID("$1"), account: "@a:x"),
        Handle("b\u{e9}\u{1F600}"): .init(since: 9, message: MessageID("2")),
      ])
    let events: [ConversationEvent] = [
      .create(name: "release 2", with: nil), .create(name: nil, with: nil), .create(name: nil, with: Handle("bob")),
      .invite(Handle("carol")), .leave, .checkpoint(state, through: Cursor("c.1")),
    ]
    for original in events {
      let (content, attributes) = original.message(by: Handle("ada"))
      let message = Message(
        topic: Topic("~x"), sender: Handle("ada"), content: content, timestamp: "", storedAt: 1, id: MessageID("1"),
        cursor: Cursor("1"), attributes: attributes)
      #expect(try ConversationEvent(message) == original)
    }
  }

  @Test func noTwoPairsShareATopic() {
    let names = [
      "a", "b", "ab", "a:b", "b:a", "1:a", "1:a1:b", "a\u{1f}b", "\u{e9}", "e\u{301}", "A", " a", "", "~", "@a",
    ]
    var topics: [Topic: Set<String>] = [:]
    for one in names {
      for other in names where one.utf8.elementsEqual(other.utf8) == false {
        let topic = ConversationTopic.direct(Handle(one), Handle(other))
        #expect(topic == ConversationTopic.direct(Handle(other), Handle(one)))
        #expect(ConversationTopic.isDirect(topic) && topic.isReserved)
        let pair = [Handle(one), Handle(other)].sorted().map { Array($0.name.utf8).description }.joined(separator: "|")
        topics[topic, default: []].insert(pair)
      }
    }
    #expect(topics.values.allSatisfy { $0.count == 1 })
    #expect(topics.count == names.count * (names.count - 1) / 2)
  }

  @Test func aGroupIsBegunJoinedAndLeft() {
    var log = ConversationLog()
    #expect(log.add(.invite(Handle("bob")), by: "ada")?.code == "conversationUnknown")
    #expect(log.add(.create(name: "release", with: nil), by: "ada") == .accepted)
    #expect(log.add(.create(name: "other", with: nil), by: "bob")?.code == "conversationExists")
    #expect(log.add(.invite(Handle("bob")), by: "ada") == .accepted)
    #expect(log.add(.invite(Handle("bob")), by: "ada")?.code == "conversationIsMember")
    #expect(log.add(.invite(Handle("dora")), by: "carol")?.code == "conversationNotMember")
    #expect(log.add(.invite(Handle("carol")), by: "bob") == .accepted)
    #expect(log.add(.leave, by: "dora")?.code == "conversationNotMember")
    #expect(log.members == ["ada", "bob", "carol"])
    #expect(log.add(.leave, by: "ada") == .accepted)
    #expect(log.add(.leave, by: "ada")?.code == "conversationNotMember")
    #expect(log.add(.invite(Handle("ada")), by: "bob") == .accepted)
    for name in ["ada", "bob", "carol"] { #expect(log.add(.leave, by: name) == .accepted) }
    #expect(log.fold.state?.isArchived == true)
    #expect(log.add(.invite(Handle("ada")), by: "ada")?.code == "conversationNotMember")
  }

  @Test func twoStayTwo() {
    var log = ConversationLog(ConversationTopic.direct(Handle("ada"), Handle("bob")))
    #expect(log.add(.create(name: nil, with: Handle("carol")), by: "ada")?.code == "conversationUnknown")
    #expect(log.add(.create(name: nil, with: Handle("bob")), by: "mallory")?.code == "conversationUnknown")
    #expect(log.add(.create(name: "x", with: nil), by: "ada")?.code == "conversationUnknown")
    #expect(log.add(.create(name: nil, with: Handle("ada")), by: "bob") == .accepted)
    #expect(log.add(.create(name: nil, with: Handle("bob")), by: "ada")?.code == "conversationExists")
    #expect(log.add(.invite(Handle("carol")), by: "ada")?.code == "conversationDirect")
    #expect(log.add(.leave, by: "ada")?.code == "conversationDirect")
    #expect(log.members == ["ada", "bob"])
  }

  @Test func anotherAccountUnderTheSameHandleChangesNothing() {
    var log = ConversationLog()
    log.add(.create(name: nil, with: nil), by: "ada", account: "@ada:x")
    log.add(.invite(Handle("bob")), by: "ada", account: "@ada:x")
    #expect(log.add(.invite(Handle("eve")), by: "ada", account: "@eve:x")?.code == "conversationForged")
    #expect(log.add("hello", by: "bob", account: "@bob:x") == nil)
    #expect(log.add(.leave, by: "bob", account: "@eve:x")?.code == "conversationForged")
    #expect(log.add(.leave, by: "ada")?.code == "conversationForged")
    #expect(log.members == ["ada", "bob"])
    #expect(log.add(.leave, by: "bob", account: "@bob:x") == .accepted)
  }

  @Test(arguments: [
    ["kind": "conversation.create"], ["kind": "conversation.create", "type": "direct"],
    ["kind": "conversation.create", "type": "group", "with": "bob"],
    ["kind": "conversation.create", "type": "group", "name": "a\nb"],
    ["kind": "conversation.create", "type": "group", "name": " "],
    ["kind": "conversation.create", "type": "direct", "with": "all"],
    ["kind": "conversation.create", "type": "direct", "with": " "],
    ["kind": "conversation.create", "type": "group", "v": "2"],
    ["kind": "conversation.invite"], ["kind": "conversation.invite", "member": "sys\u{7}tem"],
    ["kind": "conversation.invite", "member": "system"], ["kind": "conversation.leave", "v": "9"],
    ["kind": "conversation.merge"], ["kind": "conversation.state", "through": "3"], ["kind": "conversation.state"],
  ])
  func whatIsNotUnderstoodChangesNothingAndIsCounted(_ attributes: Attributes) {
    for content in ["", "{", "[]", "{}", #"{"direct":false,"creator":"x","created_at":-1,"members":[]}"#] {
      var log = ConversationLog()
      log.add(.create(name: "g", with: nil), by: "ada")
      let before = log.fold.state
      #expect(log.add(content, attributes, by: "ada") == nil)
      #expect(log.fold.state == before && log.fold.ignoredEvents == 1)
    }
  }

  @Test func aLateEventChangesNothing() {
    var log = ConversationLog()
    log.add(.create(name: "g", with: nil), by: "ada")
    log.add(.leave, by: "ada", late: true)
    #expect(log.members == ["ada"])
  }

  /// Random histories: whoever begins at any checkpoint agrees with whoever read everything.
  @Test(arguments: 1...60 as ClosedRange<UInt64>)
  func aCheckpointStandsForWhatCameBefore(_ seed: UInt64) throws {
    var random = SplitMix(seed)
    let names = ["ada", "bob", "carol", "dora"]
    var log = ConversationLog()
    log.add(.create(name: "g", with: nil), by: "ada", account: "@ada:x")
    var checkpoints: [(text: EventText, place: Int)] = []
    for _ in 0..<80 {
      let name = names[random.below(4)]
      let account = random.below(4) == 0 ? "@eve:x" : "@\(name):x"
      switch random.below(6) {
      case 0: log.add(.leave, by: name, account: account)
      case 1, 2: log.add(.invite(Handle(names[random.below(4)])), by: name, account: account)
      case 3: log.add("hello", by: name, account: account)
      case 4: log.add("damaged", ["kind": "conversation.invite"], by: name)
      default:
        let through = Cursor("\(log.messages.count)")
        let text = try #require(log.fold.checkpoint(through: through))
        checkpoints.append((text, log.messages.count))
      }
    }
    for (text, place) in checkpoints {
      var fold = ConversationFold(topic: log.topic)
      fold.restore(
        from: Message(
          topic: log.topic, sender: Handle("bob"), content: text.content, timestamp: "", storedAt: 1_000,
          id: MessageID("c"), cursor: Cursor("c"), attributes: text.attributes))
      for message in log.messages[place...] { fold.apply(message) }
      #expect(fold.state == log.fold.state)
    }
  }
}

/// A small generator of the test's own, so that a seed gives the same history everywhere.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
