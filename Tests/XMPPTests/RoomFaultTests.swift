import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// What administrators do to rooms, accounts and archives while four writers post.
@Suite(.serialized) struct RoomFaultTests {
  @Test func everybodyIsKicked() async throws {
    try await survive(reconnects: nil, witnessed: true) { arena in
      let kicked = try await arena.kickAll()
      #expect(kicked >= 5)
    }
  }

  @Test func theRoomIsDestroyed() async throws {
    try await survive(reconnects: nil, removes: true, witnessed: true) { arena in try await arena.destroy() }
  }

  @Test func ratesAreLimited() async throws {
    try await survive(
      each: 12, reconnects: nil,
      change: { options in
        options.modules = ["limits"]
        options.lines = ["limits = { c2s = { rate = \"4kb/s\", burst = \"1s\" } }"]
      }
    ) { _ in }
  }

  /// A room that refuses each fifth message for the moment, as those with limits of their own do.
  @Test func theRoomIsBusy() async throws {
    let module = """
      local st, count = require "util.stanza", 0;
      module:hook("muc-occupant-groupchat", function(event)
        count = count + 1;
        if count % 5 ~= 0 then return; end
        event.origin.send(st.error_reply(event.stanza, "wait", "policy-violation", "The room is busy"));
        return true;
      end, 10);
      """
    try await survive(
      each: 6, reconnects: nil,
      change: { options in
        options.plugins = ["busy": module]
        options.roomLines = ["modules_enabled = { \"muc_mam\", \"busy\" }"]
      }
    ) { _ in }
  }

  @Test func thePasswordIsChangedAndRestored() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let soon = loop.now.advanced(by: .seconds(60))
      let topic = Topic("general")
      let other = XMPPBackend(loop: loop, options: try XMPPOptions(store.settings("bob", proxied: false)))
      try await other.connect { _ in }
      let backend = XMPPBackend(loop: loop, options: try store.options())
      let supervisor = Supervisor(
        loop: loop, backend: backend,
        policy: RestartPolicy(
          initialDelay: .milliseconds(20), maximumDelay: .milliseconds(200), settledAfter: .seconds(1)))
      let task = loop.spawn { await supervisor.run() }
      let start = try await supervisor.fetch(FetchRequest(topic), deadline: soon).next
      let recorder = DeliveryRecorder(loop: loop)
      _ = await supervisor.follow(topic, after: start, sink: recorder.sink)
      _ = try await supervisor.post(draft("before"), deadline: soon)
      try store.server.setPassword("another", of: "parley")
      await store.proxy.cutAll()
      // The state says what is wrong, and so does whoever wants something meanwhile.
      #expect(await wait(for: supervisor, until: soon) { $0.cause?.code == .unauthorized })
      let health = await supervisor.health
      #expect(health.cause?.description.contains("authenticate as parley@chat.test") == true, "\(health)")
      do {
        _ = try await supervisor.post(draft("meanwhile"), deadline: loop.now.advanced(by: .milliseconds(500)))
        Issue.record("it posted")
      } catch let error as SeamError {
        #expect(error.cause.contains("not-authorized") && !error.description.contains("pw-parley"), "\(error)")
      }
      _ = try await other.post(draft("missed", by: "bob"), deadline: soon)
      try store.server.setPassword("pw-parley", of: "parley")
      _ = try await supervisor.post(draft("after"), deadline: soon)
      #expect(await recorder.wait(until: soon) { $0.messages.count == 3 })
      #expect(recorder.messages.map(\.content) == ["before", "missed", "after"] && recorder.gaps.isEmpty)
      task.cancel()
      await task.value
      await other.disconnect()
      await store.end()
    }
  }

  @Test func theArchiveExpiresUnderneath() async throws {
    try await onLoop { loop in
      let arena = try await Arena(loop: loop, witnessed: true)
      // Prosody reflects a message without storing it where another process holds the file's lock at that moment.
      arena.expects = [.storageFull, .outcomeUnknown]
      try await arena.run(each: 40) { arena in
        for _ in 0..<3 {
          try arena.store.trim(arena.topic, keeping: 2)
          await arena.store.proxy.cutAll()
          await arena.loop.sleep(for: .milliseconds(100))
        }
      }
      let verdict = try await arena.verdict()
      #expect(verdict.isClean && verdict.attempted == 160 && verdict.removed > 0, "\(verdict)")
      #expect(verdict.acknowledged > 80, "\(verdict)")
    }
  }
}
