import ParleyCoordination
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyMCP

/// The folds of the tool sets of other systems, over logs made by hand.
@Suite struct CompatFoldTests {
  /// A log as a store gives it out.
  private struct Log {
    var messages: [Message] = []

    mutating func add(
      _ content: String, from sender: String = "ada", to: String? = nil, _ attributes: Attributes = [:],
      account: String? = nil
    ) {
      let number = messages.count + 1
      messages.append(
        Message(
          topic: Topic("room"), sender: Handle(sender), account: account, instance: "i-\(sender)", content: content,
          timestamp: Timestamp.text(Int64(number) * 1_000), storedAt: Int64(number) * 1_000,
          id: MessageID("m\(number)"), cursor: Cursor("sim.x.\(number)"), to: to.map { Handle($0) },
          attributes: attributes))
    }

    /// A summary of topic `t` for everyone.
    mutating func addSummary() {
      var attributes = ChatEvent.summary(topic: "t").message.attributes
      attributes["scope"] = "all"
      add("so far", attributes)
    }

    mutating func add(_ event: ChatEvent) {
      let (content, attributes) = event.message
      add(content, attributes)
    }
  }

  private static func fold(_ messages: some Sequence<Message>) -> ChatroomFold {
    var fold = ChatroomFold()
    for message in messages { fold.apply(message) }
    return fold
  }

  @Test func numbersFollowTheLog() {
    var log = Log()
    log.add(.open(topic: "t", title: "T"))
    log.add("one", ChatEvent.say(topic: "t").message.attributes)
    log.add("plain, from a person", from: "ann")
    log.add("someone's task", ["kind": "task.post"])
    log.add(.close(topic: "t"))
    log.add("too late", ChatEvent.say(topic: "t").message.attributes)
    log.add("after", to: "bob")
    let fold = Self.fold(log.messages)
    #expect(fold.entries.map(\.content) == ["one", "plain, from a person", "after"])
    #expect(fold.entries.map(\.id) == [1, 2, 3] && fold.messageCount == 3)
    #expect(fold.latestID(in: "t") == 1 && fold.latestID(in: nil) == 3)
    #expect(fold.messages(in: nil, after: 0, for: "carol", limit: 9).map(\.id) == [2])
    #expect(fold.unread("bob", in: nil) == 2)
  }

  /// Whoever reads only what is left of the log comes to the same numbers, wherever it was cut.
  @Test(arguments: [0, 3, 9, 10, 14, 19, 20, 21])
  func aTrimmedLogKeepsItsNumbers(_ trimmed: Int) {
    var log = Log()
    log.add(.open(topic: "t", title: "T"))
    log.add(.cursor(name: "bob", topic: "t", from: nil, id: 0))
    for number in 0..<8 { log.add("m\(number)", ChatEvent.say(topic: number % 2 == 0 ? "t" : nil).message.attributes) }
    log.addSummary()
    log.add(.cursor(name: "bob", topic: "t", from: 0, id: 3))
    for number in 8..<12 { log.add("m\(number)", ChatEvent.say(topic: "t").message.attributes) }
    let state = Self.fold(log.messages).state
    // Others speak between the look at the state and its place in the log.
    for number in 12..<16 { log.add("m\(number)", ChatEvent.say(topic: "t").message.attributes) }
    log.add(.state(state))
    log.add(.state(Self.fold(log.messages).state))
    for number in 16..<20 { log.add("m\(number)", ChatEvent.say(topic: nil).message.attributes) }
    let whole = Self.fold(log.messages)
    let part = Self.fold(log.messages.dropFirst(trimmed))
    #expect(whole.entries.map(\.id) == Array(1...20))
    #expect(part.entries.map(\.id) == whole.entries.suffix(part.entries.count).map(\.id))
    #expect(part.messageCount == 20 && part.latestID(in: "t") == 16 && part.latestID(in: nil) == 20)
    #expect(part.rooms["t"]?.title == "T" && part.cursor(of: "bob", in: "t") == 3)
    #expect(part.latestSummary(in: "t", for: nil)?.text == "so far" && part.summaryCount == 1)
  }

  /// States that stand on states alone: each was said by somebody who read no more than the one before.
  @Test func numbersOutliveTheirMessages() {
    var log = Log()
    log.add(.open(topic: "t", title: "T"))
    for number in 0..<3 { log.add("m\(number)", ChatEvent.say(topic: number == 1 ? "t" : nil).message.attributes) }
    let first = Self.fold(log.messages)
    var state = first.state
    for _ in 0..<3 {
      log.add(.state(state))
      let next = Self.fold(log.messages.suffix(1))
      #expect(next.messageCount == 3 && next.latestID(in: "t") == 2 && next.latestID(in: nil) == 3)
      state = next.state
    }
    // Who was there all the time is told nothing new.
    #expect(Self.fold(log.messages).entries.map(\.id) == [1, 2, 3] && Self.fold(log.messages).messageCount == 3)
    log.add("m3")
    #expect(Self.fold(log.messages.suffix(2)).entries.map(\.id) == [4])
    #expect(Self.fold(log.messages).entries.map(\.id) == [1, 2, 3, 4])
  }

  /// A room in which nobody spoke yet keeps its topics, too.
  @Test func topicsOutliveTheLogWithoutAMessage() {
    var log = Log()
    log.add(.open(topic: "t", title: "T"))
    log.addSummary()
    let state = Self.fold(log.messages).state
    log.add(.state(state))
    let part = Self.fold(log.messages.suffix(1))
    #expect(part.rooms["t"]?.title == "T" && part.latestSummary(in: "t", for: nil)?.text == "so far")
    #expect(part.messageCount == 0 && part.summaryCount == 1)
  }

  @Test func aHundredThousandEventsFoldQuickly() {
    var log = Log()
    log.add(.open(topic: "t", title: "T"))
    for number in 1..<100_000 {
      if number % 5 == 0 {
        log.add(.cursor(name: "reader-\(number % 40)", topic: "t", from: nil, id: number / 2))
      } else {
        log.add("a line of talk", ChatEvent.say(topic: number % 2 == 0 ? "t" : nil).message.attributes)
      }
    }
    let (short, long) = (log.messages.prefix(10_000), log.messages)
    let few = processorTime { #expect(Self.fold(short).messageCount == 8_000) }
    let many = processorTime { #expect(Self.fold(long).messageCount == 80_000) }
    #expect(many < few * 40, "\(few) and \(many)")
    #if !DEBUG
      // The goal is half a second; only twice that fails, since other tests share the processor and its caches.
      #expect(many < .seconds(1), "\(many)")
    #endif
  }

  @Test func aNameHasOneHolder() {
    var names = NameTable()
    let taken = names.take("a", session: "1", account: nil, detail: "", at: 0, until: 10)
    let refused = names.take("a", session: "2", account: nil, detail: "", at: 9, until: 20)
    let renewed = names.take("a", session: "1", account: nil, detail: "x", at: 9, until: 15)
    #expect(taken && !refused && renewed)
    let foreignDrop = names.drop("a", session: "2", account: nil, at: 12)
    #expect(!foreignDrop && names.holder(of: "a", at: 14)?.detail == "x" && names.holder(of: "a", at: 15) == nil)
    let after = names.take("a", session: "2", account: nil, detail: "", at: 15, until: 30)
    #expect(after && names.held(at: 16).map(\.session) == ["2"])
  }

  /// Where senders have accounts, the name of a session is not enough to speak for it.
  @Test func anotherAccountSpeaksForNoSession() {
    var log = Log()
    func say(_ text: EventText, _ account: String) { log.add(text.content, text.attributes, account: account) }
    let (own, foreign) = ("@ada:x", "@eve:x")
    say(ChatEvent.join(name: "a", role: "lead", session: "s", lifetime: 60_000).message, own)
    say(ChatEvent.join(name: "a", role: "spy", session: "s", lifetime: 60_000).message, foreign)
    say(ChatEvent.leave(name: "a", session: "s").message, foreign)
    #expect(Self.fold(log.messages).names.holder(of: "a", at: 10_000)?.detail == "lead")
    say(ChatEvent.leave(name: "a", session: "s").message, own)
    #expect(Self.fold(log.messages).names.holder(of: "a", at: 10_000) == nil)

    log = Log()
    let card = PartnerEvent.Card(name: "Ada")
    say(PartnerEvent.register(id: "a", session: "s", lifetime: 60_000, card: card).message, own)
    say(PartnerEvent.status(id: "a", text: "hacked", session: "s").message, foreign)
    say(PartnerEvent.listening(id: "a", isOn: true, session: "s").message, foreign)
    say(PartnerEvent.unregister(id: "a", session: "s").message, foreign)
    say(
      PartnerEvent.register(id: "a", session: "s", lifetime: 60_000, card: .init(name: "Eve")).message, foreign)
    var partners = PartnerFold()
    for message in log.messages { partners.apply(message) }
    #expect(partners.isOnline("a", at: 10_000) && !partners.isListening("a", at: 10_000))
    #expect(partners.partners["a"]?.name == "Ada" && partners.partners["a"]?.account == own)
    #expect(partners.partners["a"]?.status == "")

    log = Log()
    say(AgentEvent.arrive(name: nil, session: "s", lifetime: 60_000).message, own)
    say(AgentEvent.rename(to: "eve", session: "s", lifetime: 60_000).message, foreign)
    say(AgentEvent.arrive(name: "eve", session: "s", lifetime: 60_000).message, foreign)
    say(AgentEvent.depart(session: "s").message, foreign)
    var agents = AgentFold()
    let outcomes = log.messages.map { agents.apply($0) }
    #expect(outcomes == [.named("agent-1"), .taken, .taken, .gone] && agents.name(of: "s", at: 10_000) == "agent-1")
  }

  /// Numbers of agents are the log's, and none is given twice.
  @Test func agentsAreNumbered() {
    var log = Log()
    func arrive(_ session: String, _ name: String? = nil) -> Attributes {
      AgentEvent.arrive(name: name, session: session, lifetime: 60_000).message.attributes
    }
    for session in ["s1", "s2", "s3"] { log.add("", arrive(session)) }
    log.add("", AgentEvent.rename(to: "agent-5", session: "s2", lifetime: 60_000).message.attributes)
    log.add("", AgentEvent.depart(session: "s1").message.attributes)
    log.add("", arrive("s4"))
    log.add("", AgentEvent.rename(to: "agent-3", session: "s4", lifetime: 60_000).message.attributes)
    var fold = AgentFold()
    let outcomes = log.messages.map { fold.apply($0) }
    #expect(
      outcomes == [
        .named("agent-1"), .named("agent-2"), .named("agent-3"), .named("agent-5"), .gone, .named("agent-6"), .taken,
      ])
    #expect(fold.names.held(at: 10_000).map(\.name) == ["agent-3", "agent-5", "agent-6"])
  }
}
