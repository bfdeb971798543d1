import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// Many rooms on one stream.
@Suite struct ScaleTests {
  @Test func aHundredTopics() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let soon = loop.now.advanced(by: .seconds(120))
      let backend = XMPPBackend(loop: loop, options: try store.options())
      let supervisor = Supervisor(loop: loop, backend: backend)
      let task = loop.spawn { await supervisor.run() }
      let topics = (0..<100).map { Topic("room-\($0)") }
      var recorders: [DeliveryRecorder] = []
      for topic in topics {
        let recorder = DeliveryRecorder(loop: loop)
        _ = await supervisor.follow(
          topic, after: LogPlace.start(loop.wallClockMilliseconds).cursor, sink: recorder.sink)
        recorders.append(recorder)
      }
      let posts = topics.map { topic in
        loop.spawn { () -> Bool in
          do throws(SeamError) {
            _ = try await supervisor.post(draft("to \(topic)", on: topic.name), deadline: soon)
            return true
          } catch { return false }
        }
      }
      for post in posts { #expect(await post.value) }
      for (topic, recorder) in zip(topics, recorders) {
        #expect(await recorder.wait(until: soon) { $0.messages.count == 1 })
        #expect(recorder.messages.first?.content == "to \(topic)" && recorder.gaps.isEmpty)
      }
      let health = await supervisor.health
      #expect(health.state == .live && health.reconnects == 0, "\(health)")
      #expect(await store.proxy.accepted == 1, "one connection")
      task.cancel()
      await task.value
      await store.end()
    }
  }

  @Test func onlySoManyAreUnderWay() async throws {
    try await onLoop { loop in
      let gate = Gate(width: 3, loop: loop)
      let counter = Counter()
      let tasks = (0..<20).map { number in
        loop.spawn {
          guard await gate.enter() else { return }
          defer { gate.leave() }
          counter.begin()
          await loop.sleep(for: .milliseconds(1))
          counter.end(number)
        }
      }
      // Whoever gives up waiting takes nobody's turn.
      for number in [5, 6, 19] { tasks[number].cancel() }
      for task in tasks { await task.value }
      #expect(counter.most == 3 && counter.under == 0)
      #expect(counter.done.filter { $0 > 6 } == Array(7..<19), "\(counter.done)")
      for _ in 0..<3 { #expect(await gate.enter()) }
    }
  }

  // @unchecked: confined to the test's loop.
  private final class Counter: @unchecked Sendable {
    private(set) var under = 0
    private(set) var most = 0
    private(set) var done: [Int] = []

    func begin() {
      under += 1
      most = max(most, under)
    }

    func end(_ number: Int) {
      under -= 1
      done.append(number)
    }
  }
}
