import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// What happens to servers and networks while four writers post: nothing acknowledged is lost or seen twice, and every
/// reader is live again by itself.
@Suite(.serialized) struct FaultTests {
  /// How long an outage takes: with PARLEY_SOAK far beyond every watchdog.
  private func outage(_ long: Int) -> Duration {
    .seconds(Environment.value("PARLEY_SOAK") == nil ? 3 : long)
  }

  @Test func theServerIsKilledAndStartedAnew() async throws {
    try await survive { arena in
      arena.store.server.process.kill()
      try await arena.store.server.process.start()
    }
  }

  @Test func theServerIsRestartedInPeace() async throws {
    try await survive { arena in try await arena.store.server.process.restart() }
  }

  @Test func theServerHangs() async throws {
    try await survive { [self] arena in
      arena.store.server.process.pause()
      await arena.loop.sleep(for: outage(15))
      arena.store.server.process.resume()
    }
  }

  @Test func everyConnectionIsCutAndResumed() async throws {
    try await survive(resumes: true) { arena in await arena.store.proxy.cutAll() }
  }

  @Test func theServerForgetsStreamsAtOnce() async throws {
    try await survive(change: { $0.hibernation = 0 }) { arena in
      for _ in 0..<3 {
        await arena.store.proxy.cutAll()
        await arena.loop.sleep(for: .milliseconds(200))
      }
    }
  }

  @Test(arguments: [1, 200, 2000]) func theConnectionIsCutInAStanza(bytes: Int) async throws {
    try await survive { arena in
      for direction in [FaultProxy.Direction.toServer, .toClient] {
        await arena.store.proxy.cut(after: bytes, direction)
        #expect(await arena.store.proxy.waitForCut())
        await arena.loop.sleep(for: .milliseconds(100))
      }
    }
  }

  @Test func connectionsAreHalfOpen() async throws {
    try await survive { arena in
      await arena.store.proxy.setFlow(.swallow)
      await arena.loop.sleep(for: .seconds(2))
      await arena.store.proxy.setFlow(.pass)
      await arena.store.proxy.cutAll()
    }
  }

  @Test func theNetworkStalls() async throws {
    try await survive { [self] arena in
      await arena.store.proxy.setFlow(.stall)
      await arena.loop.sleep(for: outage(30))
      await arena.store.proxy.setFlow(.pass)
    }
  }

  /// Nobody can be connected to, and whoever was hears nothing.
  @Test func theNetworkIsPartitioned() async throws {
    try await survive { [self] arena in
      await arena.store.proxy.setFlow(.swallow)
      try await arena.store.proxy.setWelcome(.blackHole)
      await arena.loop.sleep(for: outage(30))
      try await arena.store.proxy.setWelcome(.pass)
      await arena.store.proxy.setFlow(.pass)
      await arena.store.proxy.cutAll()
    }
  }

  /// Away while two thousand messages come, then the archive expires under half of them.
  @Test func manyMessagesAreMissed() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let topic = Topic("missed")
      let soon = loop.now.advanced(by: .seconds(120))
      let reader = XMPPBackend(loop: loop, options: try store.options())
      try await reader.connect { _ in }
      let writer = XMPPBackend(loop: loop, options: try store.options())
      try await writer.connect { _ in }
      let start = try await writer.fetch(FetchRequest(topic), deadline: soon).next
      _ = try await writer.post(draft("number 0", on: "missed"), deadline: soon)
      try store.multiply(topic, text: "number 0", by: 1999) { "number \($0)" }
      let recorder = DeliveryRecorder(loop: loop)
      _ = try await reader.subscribe(topic, after: start, sink: recorder.sink)
      #expect(await recorder.wait(until: soon) { $0.messages.count == 2000 })
      #expect(recorder.messages.map(\.content) == (0..<2000).map { "number \($0)" } && recorder.gaps.isEmpty)
      try store.trim(topic, keeping: 1000)
      let late = DeliveryRecorder(loop: loop)
      _ = try await reader.subscribe(topic, after: recorder.messages[500].cursor, sink: late.sink)
      #expect(await late.wait(until: soon) { $0.messages.count == 1000 })
      #expect(late.gaps.count == 1 && late.messages.first?.content == "number 1000")
      await reader.disconnect()
      await writer.disconnect()
      await store.end()
    }
  }
}
