import ParleyRuntime
import Testing

@testable import ParleyCoordination

@Suite struct PresenceFoldTests {
  private struct Log {
    var fold = PresenceFold()
    var number = 0

    mutating func add(
      _ handle: String, _ instance: String, _ phase: PresenceRecord.Phase, at storedAt: Int64,
      topics: [String] = ["general"], lifetime: Int64? = nil, holds: Bool = false, account: String? = nil
    ) {
      var record = PresenceRecord(phase: phase, at: storedAt, topics: topics, postTopics: [], instance: instance)
      record.lifetime = lifetime
      record.holds = holds
      number += 1
      fold.apply(
        Message(
          topic: Topic("parley-presence"), sender: Handle(handle), account: account, content: record.text,
          timestamp: "",
          storedAt: storedAt, id: MessageID("\(number)"), cursor: Cursor("\(number)")))
    }
  }

  @Test func theLastRecordOfAProcessCounts() {
    var log = Log()
    log.add("ada", "1", .hello, at: 0)
    log.add("bob", "2", .hello, at: 10)
    log.add("ada", "1", .heartbeat, at: 100, topics: ["ops"])
    log.add("bob", "2", .goodbye, at: 120)
    let roster = log.fold.roster(at: 150, lifetime: 100, since: 1000)
    #expect(roster.map(\.handle.name) == ["bob", "ada"])
    #expect(roster.map(\.isOnline) == [false, true])
    #expect(roster.map(\.lastSeen) == [120, 100])
    #expect(roster[1].topics == ["ops"])
  }

  @Test func silenceEndsAProcessAndItsMemoryALater() {
    var log = Log()
    log.add("ada", "1", .hello, at: 0)
    #expect(log.fold.roster(at: 99, lifetime: 100, since: 1000).first?.isOnline == true)
    #expect(log.fold.roster(at: 100, lifetime: 100, since: 1000).first?.isOnline == false)
    #expect(log.fold.roster(at: 1000, lifetime: 100, since: 1000).isEmpty)
  }

  @Test func aRecordsOwnLifetimeComesFirst() {
    var log = Log()
    log.add("ada", "1", .hello, at: 0, lifetime: 500)
    #expect(log.fold.roster(at: 400, lifetime: 100, since: 1000).first?.isOnline == true)
  }

  @Test func severalProcessesOfAHandleAreOneParticipant() {
    var log = Log()
    log.add("ada", "1", .hello, at: 0, topics: ["a", "b"])
    log.add("ada", "2", .hello, at: 10, topics: ["b", "c"])
    let both = log.fold.roster(at: 20, lifetime: 100, since: 1000)
    #expect(both.map(\.instances) == [2])
    #expect(both.first?.topics == ["b", "c", "a"])
    log.add("ada", "2", .goodbye, at: 30)
    let one = log.fold.roster(at: 40, lifetime: 100, since: 1000)
    #expect(one.first?.instances == 1 && one.first?.isOnline == true)
    #expect(one.first?.topics == ["a", "b"] && one.first?.lastSeen == 30)
  }

  @Test func theFirstToSayHelloHoldsTheHandle() {
    var log = Log()
    func holder(_ now: Int64) -> String? { log.fold.holder(of: Handle("ada"), at: now)?.instance }
    log.add("ada", "1", .hello, at: 0, lifetime: 100)
    log.add("ada", "2", .hello, at: 10, lifetime: 100)
    log.add("ada", "2", .heartbeat, at: 60, lifetime: 100)
    log.add("ada", "1", .heartbeat, at: 90, lifetime: 100, holds: true)
    #expect(holder(150) == "1")
    // Silence for the lease's time ends it; a beat alone does not take it, a hello does.
    #expect(holder(190) == nil)
    log.add("ada", "2", .heartbeat, at: 195, lifetime: 100)
    #expect(holder(196) == nil)
    log.add("ada", "2", .hello, at: 200, lifetime: 100)
    log.add("ada", "1", .hello, at: 201, lifetime: 100)
    #expect(holder(250) == "2")
    log.add("ada", "2", .goodbye, at: 260, lifetime: 100)
    #expect(holder(261) == nil)
    log.add("ada", "1", .hello, at: 262, lifetime: 100)
    #expect(holder(263) == "1")
  }

  @Test func whoeverStartsReadingLaterAgreesAboutTheHolder() {
    var (whole, late) = (Log(), Log())
    whole.add("ada", "1", .hello, at: 0, lifetime: 100)
    whole.add("ada", "2", .hello, at: 10, lifetime: 100)
    for time in stride(from: Int64(50), to: 400, by: 50) {
      for (instance, offset) in [("2", Int64(0)), ("1", 5)] {
        let holds = whole.fold.holder(of: Handle("ada"), at: time + offset)?.instance == instance
        whole.add("ada", instance, .heartbeat, at: time + offset, lifetime: 100, holds: holds)
        if time >= 200 { late.add("ada", instance, .heartbeat, at: time + offset, lifetime: 100, holds: holds) }
      }
    }
    #expect(whole.fold.holders == late.fold.holders)
    #expect(whole.fold.holder(of: Handle("ada"), at: 360)?.instance == "1")
  }

  @Test func theOtherProgramTakesNoLease() {
    var log = Log()
    log.add("ada", "ts", .hello, at: 0)
    log.add("ada", "1", .hello, at: 10, lifetime: 100)
    #expect(log.fold.holder(of: Handle("ada"), at: 20)?.instance == "1")
  }

  /// Where senders have accounts, nobody says goodbye for another's process, nor takes its handle so.
  @Test func anotherAccountSaysNothingOfAProcess() {
    var log = Log()
    log.add("ada", "1", .hello, at: 0, lifetime: 1000, account: "@ada:x")
    log.add("ada", "1", .goodbye, at: 10, lifetime: 1000, account: "@eve:x")
    log.add("ada", "2", .hello, at: 20, lifetime: 1000, account: "@eve:x")
    #expect(log.fold.holder(of: Handle("ada"), at: 30) == .init(instance: "1", account: "@ada:x", until: 1000))
    let roster = log.fold.roster(at: 30, lifetime: 100, since: 1000)
    #expect(roster.map(\.isOnline) == [true] && roster.first?.instances == 2)
    // Its own goodbye is one.
    log.add("ada", "1", .goodbye, at: 40, lifetime: 1000, account: "@ada:x")
    #expect(log.fold.holder(of: Handle("ada"), at: 50) == nil)
    #expect(log.fold.live(Handle("ada"), at: 50, lifetime: 100).map(\.record.instance) == ["2"])
  }

  @Test func whatIsNoRecordIsCountedAndMemoryIsBounded() {
    var fold = PresenceFold()
    func message(_ text: String, _ number: Int) -> Message {
      Message(
        topic: Topic("p"), sender: Handle("h\(number)"), content: text, timestamp: "", storedAt: Int64(number),
        id: MessageID("\(number)"), cursor: Cursor("\(number)"))
    }
    fold.apply(message("hello everybody", 1))
    #expect(fold.ignoredEvents == 1 && fold.all.isEmpty)
    let record = PresenceRecord(phase: .hello, at: 0, topics: [], postTopics: [], instance: "i").text
    for number in 2...12_000 { fold.apply(message(record, number)) }
    #expect(fold.all.count <= 10_000)
    #expect(fold.all.contains { $0.handle == Handle("h12000") })
  }
}
