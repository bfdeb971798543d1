import ParleyRuntime
import Testing

@Suite struct RestartMachineTests {
  private static let error = SeamError(.unavailable, operation: "connect", cause: "refused")
  private static let events: [RestartMachine.Event] = [
    .start, .connected, .connectFailed(error), .sessionLost(error), .retryDue, .subscriptionFailed(error),
    .subscriptionsRecovered, .stop,
  ]

  /// Every sequence of up to six events: the machine never gets stuck, and its actions fit its state.
  @Test func everySequenceKeepsTheInvariants() {
    var checked = 0
    func walk(_ machine: RestartMachine, depth: Int, time: Int64) {
      guard depth > 0 else { return }
      for event in Self.events {
        var next = machine
        let before = machine.healthState
        let action = next.handle(event, at: instant(seconds: time), jitter: UInt64(depth))
        checked += 1
        switch action {
        case .connect: #expect(next.healthState == .connecting && next.cause == machine.cause)
        case .resume: #expect(next.healthState == .live && before == .connecting)
        case .retry(let delay):
          #expect(next.healthState == .waitingToRetry && next.cause != nil)
          #expect(delay >= .milliseconds(50) && delay <= .seconds(30))
        case .disconnect: #expect(next.healthState == .stopped && before != .stopped)
        case .nothing: #expect(next.healthState == before || [.degraded, .live].contains(next.healthState))
        }
        if event == .stop { #expect(next.healthState == .stopped) }
        if before == .stopped, event != .start { #expect(next.healthState == .stopped) }
        switch next.healthState {
        case .waitingToRetry, .degraded: #expect(next.cause != nil)
        case .live, .stopped: #expect(next.cause == nil)
        case .connecting: break
        }
        walk(next, depth: depth - 1, time: time + 1)
      }
    }
    walk(RestartMachine(policy: .standard), depth: 5, time: 0)
    #expect(checked == 8 + 64 + 512 + 4096 + 32768)
  }

  @Test func theBackoffDoublesToItsCeilingAndNeverGivesUp() {
    var machine = RestartMachine(policy: .standard)
    _ = machine.handle(.start, at: instant(seconds: 0), jitter: 0)
    var delays: [Duration] = []
    for _ in 0..<200 {
      guard case .retry(let delay) = machine.handle(.connectFailed(Self.error), at: instant(seconds: 0), jitter: 0)
      else { Issue.record("gave up"); return }
      delays.append(delay)
      #expect(machine.handle(.retryDue, at: instant(seconds: 0), jitter: 0) == .connect)
    }
    #expect(delays.prefix(4) == [.milliseconds(50), .milliseconds(100), .milliseconds(200), .milliseconds(400)])
    #expect(delays.suffix(150).allSatisfy { $0 == .seconds(15) })
  }

  @Test func aServerThatLimitsIsNotAskedBeforeItSaid() {
    func delay(_ limit: Duration) -> RestartMachine.Action {
      var machine = RestartMachine(policy: .standard)
      _ = machine.handle(.start, at: instant(seconds: 0), jitter: 0)
      let error = SeamError(.rateLimited(after: limit), operation: "connect", cause: "too many logins")
      return machine.handle(.connectFailed(error), at: instant(seconds: 0), jitter: 0)
    }
    #expect(delay(.seconds(40)) == .retry(after: .seconds(40)))
    #expect(delay(.milliseconds(1)) == .retry(after: .milliseconds(50)))
  }

  @Test func theJitterCoversTheUpperHalf() {
    let delays = (UInt64(0)..<1000).map {
      RestartPolicy.standard.delay(failures: 3, jitter: $0 &* 0x9e37_79b9_7f4a_7c15)
    }
    #expect(delays.allSatisfy { $0 >= .milliseconds(400) && $0 <= .milliseconds(800) })
    #expect(Set(delays).count > 900)
  }

  @Test func aSessionThatSettledStartsTheBackoffAnew() {
    func delayAfterLoss(livedFor seconds: Int64) -> RestartMachine.Action {
      var machine = RestartMachine(policy: .standard)
      _ = machine.handle(.start, at: instant(seconds: 0), jitter: 0)
      for _ in 0..<5 {
        _ = machine.handle(.connectFailed(Self.error), at: instant(seconds: 0), jitter: 0)
        _ = machine.handle(.retryDue, at: instant(seconds: 0), jitter: 0)
      }
      _ = machine.handle(.connected, at: instant(seconds: 10), jitter: 0)
      return machine.handle(.sessionLost(Self.error), at: instant(seconds: 10 + seconds), jitter: 0)
    }
    #expect(delayAfterLoss(livedFor: 5) == .retry(after: .milliseconds(50)))
    #expect(delayAfterLoss(livedFor: 4) == .retry(after: .milliseconds(1600)))
  }

  private func instant(seconds: Int64) -> LoopInstant {
    LoopInstant(nanoseconds: 0).advanced(by: .seconds(seconds))
  }
}
