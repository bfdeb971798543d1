import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyCoordination

/// A log written by hand.
struct TaskLog {
  var fold = TaskFold()
  var messages: [Message] = []
  static let topic = Topic("general")

  static func id(_ number: Int) -> TaskID { TaskID(random: UInt64(number) << 40 | UInt64(number)) }

  @discardableResult
  mutating func add(
    _ event: TaskEvent, by handle: String, at storedAt: Int64, to: String? = nil, account: String? = nil,
    late: Bool = false
  ) -> TaskFold.Outcome? {
    let (content, attributes) = event.message(label: "7f3a", by: Handle(handle))
    return add(
      content, by: handle, at: storedAt, to: to, account: account, attributes: attributes, late: late)
  }

  @discardableResult
  mutating func add(
    _ content: String, by handle: String, at storedAt: Int64, to: String? = nil, account: String? = nil,
    attributes: Attributes = [:], replyTo: String? = nil, late: Bool = false
  ) -> TaskFold.Outcome? {
    let number = messages.count + 1
    let message = Message(
      topic: Self.topic, sender: Handle(handle), account: account, content: content, timestamp: "",
      storedAt: storedAt, id: MessageID("m\(number)"), cursor: Cursor("\(number)"),
      inReplyTo: replyTo.map(MessageID.init), to: to.map(Handle.init), attributes: attributes, isLate: late)
    messages.append(message)
    return fold.apply(message)
  }

  @discardableResult
  mutating func post(
    _ number: Int, at storedAt: Int64, by handle: String = "ada", to: String? = nil, lifetime: Int64 = 100_000
  ) -> TaskFold.Outcome? {
    let id = Self.id(number)
    return add(
      .post(id, .init(title: "task \(number)", body: nil, lifetime: lifetime, label: String(id.text.prefix(4)))),
      by: handle, at: storedAt, to: to)
  }

  mutating func claim(_ number: Int, by handle: String, at storedAt: Int64, lease: Int64 = 100) -> TaskFold.Outcome? {
    add(.claim(Self.id(number), lease: lease), by: handle, at: storedAt)
  }

  var last: MessageID { MessageID("m\(messages.count)") }

  func status(_ number: Int, at now: Int64) -> TaskRecord.Status? { fold[Self.id(number)]?.status(at: now) }
}

extension TaskFold {
  /// The whole state.
  var text: String { StateText.write { keep(into: &$0) } }
}

extension TaskFold.Outcome {
  var code: String? {
    if case .refused(let refusal) = self { refusal.code } else { nil }
  }
}

@Suite struct TaskFoldTests {
  private static let id = TaskLog.id(1)

  @Test func aTaskIsTakenAndDone() throws {
    var log = TaskLog()
    #expect(log.post(1, at: 0) == .accepted(Self.id))
    #expect(log.claim(1, by: "bob", at: 10) == .accepted(Self.id))
    let fence = log.last
    #expect(log.fold[Self.id]?.claim?.fence == fence)
    #expect(log.status(1, at: 20) == .claimed)
    #expect(
      log.add(.done(Self.id, fence: fence, result: "3: pages\n\nand more"), by: "bob", at: 30) == .accepted(Self.id))
    #expect(log.status(1, at: 30) == .done)
    #expect(log.fold[Self.id]?.ending?.text == "3: pages\n\nand more")
    #expect(log.add(.done(Self.id, fence: fence, result: "x"), by: "bob", at: 31)?.code == "taskEnded")
    #expect(log.claim(1, by: "carol", at: 32)?.code == "taskEnded")
  }

  @Test func oneWinnerUntilTheLeaseRunsOut() {
    var log = TaskLog()
    log.post(1, at: 0)
    #expect(log.claim(1, by: "bob", at: 10) == .accepted(Self.id))
    let first = log.last
    #expect(log.claim(1, by: "carol", at: 109)?.code == "taskHeld")
    #expect(log.claim(1, by: "bob", at: 109)?.code == "taskHeld")
    #expect(log.claim(1, by: "carol", at: 110) == .accepted(Self.id))
    #expect(log.fold[Self.id]?.claim?.number == 2)
    #expect(log.add(.done(Self.id, fence: first, result: "late"), by: "bob", at: 120)?.code == "taskWrongFence")
    #expect(log.add(.extend(Self.id, fence: first, lease: 50), by: "bob", at: 120)?.code == "taskWrongFence")
    #expect(log.status(1, at: 121) == .claimed)
  }

  @Test func aLeaseThatRanOutEndsTheHold() {
    var log = TaskLog()
    log.post(1, at: 0)
    _ = log.claim(1, by: "bob", at: 10)
    let fence = log.last
    #expect(log.add(.done(Self.id, fence: fence, result: "x"), by: "bob", at: 110)?.code == "taskNotHeld")
    #expect(log.status(1, at: 110) == .open)
  }

  @Test func extendingAndGivingBack() {
    var log = TaskLog()
    log.post(1, at: 0)
    _ = log.claim(1, by: "bob", at: 10)
    let fence = log.last
    #expect(log.add(.extend(Self.id, fence: fence, lease: 500), by: "bob", at: 100) == .accepted(Self.id))
    #expect(log.claim(1, by: "carol", at: 599)?.code == "taskHeld")
    // A shorter one takes nothing away.
    #expect(log.add(.extend(Self.id, fence: fence, lease: 1), by: "bob", at: 101) == .accepted(Self.id))
    #expect(log.status(1, at: 599) == .claimed)
    #expect(log.add(.release(Self.id, fence: fence, reason: "busy"), by: "bob", at: 200) == .accepted(Self.id))
    #expect(log.status(1, at: 200) == .open)
    #expect(log.add(.done(Self.id, fence: fence, result: "x"), by: "bob", at: 201)?.code == "taskNotHeld")
    #expect(log.claim(1, by: "carol", at: 201) == .accepted(Self.id))
  }

  @Test func timeEndsATaskWhoeverHoldsIt() {
    var log = TaskLog()
    log.post(1, at: 0, lifetime: 1000)
    #expect(log.claim(1, by: "bob", at: 950) == .accepted(Self.id))
    let fence = log.last
    #expect(log.fold[Self.id]?.claim?.until == 1000)
    #expect(log.add(.done(Self.id, fence: fence, result: "x"), by: "bob", at: 1000)?.code == "taskExpired")
    #expect(log.status(1, at: 1000) == .expired)
    #expect(log.claim(1, by: "carol", at: 2000)?.code == "taskExpired")
  }

  @Test func directedTasksAreForOne() {
    var log = TaskLog()
    log.post(1, at: 0, to: "bob")
    #expect(log.claim(1, by: "carol", at: 1)?.code == "taskNotForYou")
    #expect(log.fold.open(at: 1, for: Handle("carol"), limit: 5).isEmpty)
    #expect(log.claim(1, by: "bob", at: 2) == .accepted(Self.id))
  }

  @Test func failingAndWithdrawing() {
    var log = TaskLog()
    log.post(1, at: 0)
    log.post(2, at: 0)
    #expect(log.add(.cancel(Self.id, reason: ""), by: "bob", at: 1)?.code == "taskNotPoster")
    #expect(log.add(.cancel(Self.id, reason: "not needed"), by: "ada", at: 2) == .accepted(Self.id))
    #expect(log.claim(1, by: "bob", at: 3)?.code == "taskEnded")
    _ = log.claim(2, by: "bob", at: 4)
    let fence = log.last
    #expect(
      log.add(.fail(TaskLog.id(2), fence: fence, reason: "no disk"), by: "bob", at: 5) == .accepted(TaskLog.id(2)))
    #expect(log.status(2, at: 6) == .failed && log.fold[TaskLog.id(2)]?.ending?.text == "no disk")
  }

  @Test func forgedEventsChangeNothing() {
    var log = TaskLog()
    _ = log.add(
      .post(Self.id, .init(title: "t", body: nil, lifetime: 1000, label: String(Self.id.text.prefix(4)))), by: "ada",
      at: 0, account: "@ada:x")
    #expect(log.add(.claim(Self.id, lease: 100), by: "bob", at: 1, account: "@bob:x") == .accepted(Self.id))
    let fence = log.last
    let forged = TaskEvent.done(Self.id, fence: fence, result: "ha")
    #expect(log.add(forged, by: "bob", at: 2, account: "@mallory:x")?.code == "taskNotHolder")
    #expect(log.add(forged, by: "bob", at: 2)?.code == "taskNotHolder")
    #expect(log.add(forged, by: "mallory", at: 2, account: "@bob:x")?.code == "taskNotHolder")
    #expect(log.add(.cancel(Self.id, reason: ""), by: "ada", at: 2, account: "@mallory:x")?.code == "taskNotPoster")
    // The same id again is not another task.
    let again = TaskEvent.post(
      Self.id, .init(title: "other", body: nil, lifetime: 9, label: String(Self.id.text.prefix(4))))
    #expect(log.add(again, by: "mallory", at: 3)?.code == "taskIdInUse")
    #expect(
      log.add(.done(Self.id, fence: fence, result: "ok"), by: "bob", at: 4, account: "@bob:x", late: true)?.code
        == "late")
    #expect(
      log.add(.done(Self.id, fence: fence, result: "ok"), by: "bob", at: 4, account: "@bob:x") == .accepted(Self.id))
  }

  @Test(arguments: [
    ["kind": "task.claim"], ["kind": "task.claim", "task": "xyz", "lease_ms": "5"],
    ["kind": "task.claim", "task": id.text, "lease_ms": "0"],
    ["kind": "task.claim", "task": id.text, "lease_ms": "99999999999999999999"],
    ["kind": "task.claim", "task": id.text, "lease_ms": "5", "v": "2"],
    ["kind": "task.steal", "task": id.text], ["kind": "task.done", "task": id.text],
    ["kind": "task.post", "task": id.text, "title": "two\nlines", "ttl_ms": "5"],
    ["kind": "task.post", "task": id.text, "title": "  ", "ttl_ms": "5"],
    ["kind": "task.post", "task": id.text, "title": "t", "ttl_ms": "5", "label": "ffff"],
    ["kind": "task.post", "task": id.text, "title": "t", "ttl_ms": "\(31 * 86_400_000)"],
  ])
  func damagedAndLaterEventsChangeNothing(_ attributes: Attributes) {
    var log = TaskLog()
    log.post(2, at: 0)
    let before = log.fold[TaskLog.id(2)]
    #expect(log.add("whatever", by: "bob", at: 1, attributes: attributes) == nil)
    #expect(log.fold.ignoredEvents == 1)
    #expect(log.fold[TaskLog.id(2)] == before && log.fold[Self.id] == nil)
  }

  @Test func leasesAreLongerByWhatTheStoresTimesLeaveOpen() {
    var log = TaskLog(fold: TaskFold(resolution: 1000))
    log.post(1, at: 10_000)
    #expect(log.claim(1, by: "bob", at: 10_000, lease: 30_000) == .accepted(Self.id))
    #expect(log.claim(1, by: "carol", at: 40_000)?.code == "taskHeld")
    #expect(log.claim(1, by: "carol", at: 41_000) == .accepted(Self.id))
  }

  @Test func fiveHundredTakenOnesHideNone() {
    var log = TaskLog()
    for number in 1...501 { log.post(number, at: 0) }
    for number in 1...500 { #expect(log.claim(number, by: "bob", at: 1) == .accepted(TaskLog.id(number))) }
    #expect(log.fold.open(at: 2, for: Handle("carol"), limit: 64).map(\.id) == [TaskLog.id(501)])
    // When leases run out, the oldest come first again.
    #expect(log.fold.open(at: 101, for: Handle("carol"), limit: 2).map(\.id) == [TaskLog.id(1), TaskLog.id(2)])
  }

  /// Those that have ended are stepped over once, not by each claim.
  @Test func endedOnesDoNotMakeClaimsDearer() {
    func claims(after ended: Int) -> Duration {
      var log = TaskLog()
      for number in 1...1_000 { log.post(number, at: 0) }
      for number in 1...ended {
        _ = log.claim(number, by: "bob", at: 1)
        _ = log.add(.done(TaskLog.id(number), fence: log.last, result: "ok"), by: "bob", at: 1)
      }
      let fold = log.fold
      var found = 0
      let time = processorTime {
        for _ in 0..<2_000
        where fold.open(at: 2, for: Handle("carol"), limit: 1).first?.id == TaskLog.id(ended + 1) { found += 1 }
      }
      #expect(found == 2_000)
      return time
    }
    let few = claims(after: 1)
    let many = claims(after: 480)
    #expect(many < few * 5, "\(many) after many, \(few) after few")
  }

  @Test func memoryIsBounded() {
    var log = TaskLog(fold: TaskFold(bounds: .init(all: 2_000, over: 500, textBytes: 10_000)))
    for number in 1...300 { #expect(log.post(number, at: 0) == .accepted(TaskLog.id(number))) }
    for number in 1...3000 {
      if number > 300 { #expect(log.post(number, at: 1) == .accepted(TaskLog.id(number))) }
      _ = log.claim(number, by: "bob", at: 2)
      let done = TaskEvent.done(TaskLog.id(number), fence: log.last, result: String(repeating: "r", count: 100))
      #expect(log.add(done, by: "bob", at: 3) == .accepted(TaskLog.id(number)))
    }
    #expect(log.fold.recentlyEnded(5000).count <= 1_200)
    #expect(log.fold.recentlyEnded(5000).count { $0.ending?.text != nil } == 100)
    #expect(log.fold.recentlyEnded(1).first?.ending?.text?.count == 100)
    for number in 3001...12_000 { log.post(number, at: 4) }
    #expect(log.fold.live(at: 5).count <= 4_000 && log.status(12_000, at: 5) == .open)
  }

  @Test func aHundredThousandEventsFoldQuickly() {
    var log = TaskLog()
    for number in 1...25_000 {
      log.post(number, at: Int64(number))
      _ = log.claim(number, by: "bob", at: Int64(number))
      let fence = log.last
      _ = log.add(.done(TaskLog.id(number), fence: fence, result: "ok"), by: "bob", at: Int64(number))
      log.add("chatter", by: "ada", at: Int64(number))
    }
    var fold = TaskFold()
    let took = processorTime {
      for message in log.messages where TaskFold.concerns(message) { fold.apply(message) }
    }
    #expect(fold.recentlyEnded(1).first?.id == TaskLog.id(25_000))
    // The goal is half a second; a debug build on a busy machine gets ten times that.
    #expect(took < .seconds(5), "\(took)")
  }

  // MARK: People

  @Test func aPersonTakesPart() {
    var log = TaskLog()
    log.post(1, at: 0)
    let label = String(Self.id.text.prefix(4))
    #expect(log.add("!tasks", by: "ann", at: 1) == .listed)
    #expect(log.add("!claim \(label)", by: "ann", at: 2) == .accepted(Self.id))
    #expect(log.fold[Self.id]?.claim?.holder.handle == Handle("ann"))
    #expect(log.add("!claim \(label)", by: "bob", at: 3)?.code == "taskHeld")
    #expect(log.add("!done \(label) no", by: "bob", at: 4)?.code == "taskNotHolder")
    #expect(log.add("!done \(label) all built", by: "ann", at: 5) == .accepted(Self.id))
    #expect(log.fold[Self.id]?.ending?.text == "all built")
    #expect(log.add("!claim ffff", by: "ann", at: 6)?.code == "taskUnknown")
    #expect(log.add("!claim \(label)", by: "ann", at: 6)?.code == "taskEnded")
  }

  @Test func aReplyNamesItsTask() {
    var log = TaskLog()
    log.post(1, at: 0)
    #expect(log.add("!claim", by: "ann", at: 1, replyTo: "m1") == .accepted(Self.id))
    #expect(log.add("!claim", by: "ann", at: 100, replyTo: "m1") == .accepted(Self.id))
    #expect(log.add("!done dead simple in the end", by: "ann", at: 200, replyTo: "m2") == .accepted(Self.id))
    #expect(log.fold[Self.id]?.ending?.text == "dead simple in the end")
    #expect(log.add("!claim", by: "ann", at: 201)?.code == "taskUnknown")
  }

  @Test(arguments: [
    "!claims 7f3a", "! claim 7f3a", "!claim xyz", "!tasks now", "claim 7f3a", "!", "!clai",
    "!claim 7f3a1234567890123456",
  ])
  func whatIsNoCommandIsNone(_ text: String) {
    var log = TaskLog()
    log.post(1, at: 0)
    #expect(log.add(text, by: "ann", at: 1) == nil)
  }

  // MARK: Any history

  private static let narrow = TaskFold.Bounds(all: 20, over: 5, textBytes: 8)

  /// Whether a state that is written and read again now and then comes to what one comes to that never was.
  private func keptAnywhere(_ messages: [Message], bounds: TaskFold.Bounds, _ roll: (UInt64) -> UInt64) -> Bool {
    var (whole, kept) = (TaskFold(bounds: bounds), TaskFold(bounds: bounds))
    for message in messages {
      if roll(30) == 0 {
        var next = TaskFold(bounds: bounds)
        do { try next.restore(kept: JSONSlice(kept.text), of: TaskLog.topic) } catch { return false }
        guard next.text == kept.text else { return false }
        kept = next
      }
      guard whole.apply(message) == kept.apply(message) else { return false }
    }
    return whole.text == kept.text && messages.count > 200
  }

  /// A random history by five writers: whoever reads it from the start, from a later edge of the window, in any pages or
  /// live, agrees on every task; each claim that counts had nobody before it.
  @Test(arguments: 1...200 as ClosedRange<UInt64>)
  func everyReaderAgrees(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    func roll(_ bound: UInt64) -> UInt64 { random.next() % bound }
    var log = TaskLog()
    var time: Int64 = 0
    var posted = 0
    var fences: [Int: [MessageID]] = [:]
    var accepted: [(task: Int, at: Int64)] = []
    for _ in 0..<300 {
      time += Int64(roll(40))
      let number = max(1, posted - Int(roll(12)))
      let id = TaskLog.id(number)
      let who = "w\(roll(5))"
      let fence = fences[number].flatMap { $0.isEmpty ? nil : $0[Int(roll(UInt64($0.count)))] } ?? MessageID("none")
      let held = log.fold[id]?.heldClaim(at: time)
      switch roll(12) {
      case 0, 1:
        posted += 1
        log.post(posted, at: time, by: who, lifetime: Int64(200 + roll(2000)))
      case 2, 3, 4, 5:
        if log.claim(number, by: who, at: time, lease: Int64(1 + roll(200))) == .accepted(id) {
          #expect(held == nil)
          accepted.append((number, time))
          fences[number, default: []].append(log.last)
        }
      case 6: log.add(.extend(id, fence: fence, lease: Int64(1 + roll(200))), by: who, at: time)
      case 7:
        let outcome = log.add(.done(id, fence: fence, result: "r"), by: who, at: time)
        if outcome == .accepted(id) { #expect(held?.fence == fence && held?.holder.handle.name == who) }
      case 8: log.add(.fail(id, fence: fence, reason: "f"), by: who, at: time)
      case 9: log.add(.release(id, fence: fence, reason: ""), by: who, at: time)
      case 10: log.add(.cancel(id, reason: ""), by: who, at: time)
      default: log.add("!claim \(id.text.prefix(4))", by: who, at: time)
      }
    }
    var whole = TaskFold()
    for message in log.messages { whole.apply(message) }
    #expect(keptAnywhere(log.messages, bounds: .init(), roll) && keptAnywhere(log.messages, bounds: Self.narrow, roll))
    // Who starts later reads from behind what is over by now.
    var late = TaskFold()
    let edge = time - 2_200
    for message in log.messages where message.storedAt >= edge { late.apply(message) }
    for number in 1...posted {
      let id = TaskLog.id(number)
      #expect(whole[id] == log.fold[id])
      if let task = whole[id], task.postedAt >= edge || !task.status(at: time).isFinal { #expect(late[id] == task) }
    }
    #expect(!accepted.isEmpty)
  }
}
