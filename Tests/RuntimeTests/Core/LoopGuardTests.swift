import ParleyRuntime
import Testing

/// Sessions that answer each other in a ring, each with the guard's pure state alone.
private struct Ring {
  var guards: [LoopGuard]
  var said = 0

  init(_ count: Int, limit: Int) {
    guards = (0..<count).map { LoopGuard(author: author($0), limit: limit) }
  }

  /// One says something, and every other hears it; nil when its guard stops it.
  mutating func say(_ number: Int, at now: Int64 = 0) -> Int? {
    guard case .passes(let hop) = guards[number].verdict(at: now) else { return nil }
    guards[number].notePosted()
    said += 1
    let said = message(number, hop: hop, at: now)
    for index in guards.indices where index != number { guards[index].note(said) }
    return hop
  }

  mutating func hear(_ message: Message) {
    for index in guards.indices { guards[index].note(message) }
  }

  private func message(_ number: Int, hop: Int, at now: Int64) -> Message {
    words("agent \(number)", instance: "i\(number)", attributes: hop > 1 ? ["parley.hop": "\(hop)"] : [:], at: now)
  }
}

private func author(_ number: Int) -> Author { Author(handle: Handle("a\(number)"), instance: "i\(number)") }

private func words(
  _ text: String, instance: String?, attributes: Attributes = [:], at storedAt: Int64 = 0
) -> Message {
  Message(
    topic: Topic("general"), sender: Handle(text), instance: instance, content: text, timestamp: "",
    storedAt: storedAt, id: MessageID(text), cursor: Cursor(text), attributes: attributes)
}

@Suite struct LoopGuardTests {
  @Test(arguments: [2, 3, 4, 7], [1, 2, 8])
  func aCycleEndsAtTheLimit(_ size: Int, _ limit: Int) {
    var ring = Ring(size, limit: limit)
    var turn = 0
    while let hop = ring.say(turn % size) {
      turn += 1
      #expect(hop == turn)
      if turn > 100 { break }
    }
    #expect(ring.said == limit)
    // Nobody else can go on either, whatever the order.
    for number in 0..<size where number != (turn - 1) % size { #expect(ring.say(number) == nil) }
  }

  @Test func aPersonBeginsANewCount() {
    for person in [
      words("ann", instance: nil), words("ann", instance: "console", attributes: ["parley.hop": "0"]),
    ] {
      var ring = Ring(3, limit: 4)
      var turn = 0
      while ring.say(turn % 3) != nil { turn += 1 }
      ring.hear(person)
      #expect((0..<4).map { ring.say($0 % 3) } == [1, 2, 3, 4])
      #expect(ring.say(1) == nil)
    }
  }

  @Test func talkWithoutAnAnswerIsNoLoop() {
    var ring = Ring(2, limit: 3)
    for _ in 0..<20 { #expect(ring.say(0) == 1) }
    #expect(ring.say(1) == 2)
  }

  @Test func whatIsLongOverCountsNoMore() {
    var ring = Ring(2, limit: 2)
    #expect(ring.say(0, at: 0) == 1 && ring.say(1, at: 0) == 2 && ring.say(0, at: 1000) == nil)
    #expect(ring.say(0, at: 3_600_000) == 1)
  }

  @Test func noLimitIsNone() {
    var ring = Ring(2, limit: 0)
    for turn in 0..<50 { #expect(ring.say(turn % 2) == turn + 1) }
  }

  @Test func oneLineIsEnough() {
    var ring = Ring(3, limit: 2)
    _ = ring.say(0)
    _ = ring.say(1)
    #expect(ring.guards[2].verdict(at: 0) == .stops(hop: 3, tells: true))
    ring.guards[2].noteTold()
    #expect(ring.guards[2].verdict(at: 0) == .stops(hop: 3, tells: false))
    let line = words("a2", instance: "i2", attributes: ["kind": "loop.guard", "parley.hop": "3"])
    ring.hear(line)
    #expect(ring.guards[0].verdict(at: 0) == .stops(hop: 4, tells: false))
  }

  @Test func oddHopsAndBookkeepingAreNoHarm() {
    var state = LoopGuard(author: author(0), limit: 8)
    for hop in ["-1", "x", "", "99999999999999999999", "8.5"] {
      state.note(words("b", instance: "i1", attributes: ["parley.hop": hop]))
    }
    #expect(state.verdict(at: 0) == .passes(hop: 2))
    state.note(words("b", instance: "i1", attributes: ["parley.hop": "7", "parley.quiet": "1"]))
    state.note(words("own", instance: "i0", attributes: ["parley.hop": "7"]))
    #expect(state.verdict(at: 0) == .passes(hop: 2))
  }
}
