import ParleyConformance
import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// What people, strangers and broken servers send, and what callers ask for.
@Suite struct BadInputTests {
  @Test func largeAndStrangeTexts() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let soon = loop.now.advanced(by: .seconds(60))
      let backend = XMPPBackend(loop: loop, options: try store.options())
      try await backend.connect { _ in }
      let alice = try await Person.connect("alice", to: store, loop: loop)
      let room = try await alice.join(Topic("general"), as: "alice")
      let start = try await backend.fetch(FetchRequest(Topic("general")), deadline: soon).next
      let recorder = DeliveryRecorder(loop: loop)
      _ = try await backend.subscribe(Topic("general"), after: start, sink: recorder.sink)
      let large = String(repeating: "0123456789abcdef", count: 12_800)
      let texts = [
        large, "\u{1}\u{2}\u{7f}\u{85}\u{fffe}\u{ffff}", "a\r\nb\rc\n", "]]><!--&#0;-->", "\u{202e}reversed\u{2066}",
        "\u{fffd} was a lone surrogate", " \t ", "</body></message></stream:stream>",
      ]
      for text in texts { _ = try await backend.post(draft(text), deadline: soon) }
      #expect(await recorder.wait(until: soon) { $0.messages.count == texts.count })
      for (message, text) in zip(recorder.messages, texts) {
        #expect(Array(message.content.utf8) == Array(text.utf8), "\(text.prefix(20))")
      }
      let page = try await backend.fetch(FetchRequest(Topic("general"), .after(start)), deadline: soon)
      #expect(page.messages == recorder.messages)
      #expect(try await alice.body(large)["from"] == "\(room)/ada")
      _ = try await alice.body("a\nb\nc\n")
      // What does not fit is refused before it is sent, by its size as text, or as a stanza with its escapes.
      for text in [String(repeating: "x", count: 250_000), String(repeating: "<", count: 200_000)] {
        do {
          _ = try await backend.post(draft(text), deadline: soon)
          Issue.record("it posted")
        } catch let error as SeamError { #expect(error.code.name == "tooLarge", "\(error)") }
      }
      await #expect(throws: SeamError.self) { try await backend.post(draft("a\0b"), deadline: soon) }
      _ = try await backend.post(draft("still here"), deadline: soon)
      alice.session.close()
      await backend.disconnect()
      await store.end()
    }
  }

  @Test func encryptedMessagesAndThoseWithoutText() async throws {
    try await onLoop { loop in
      let store = try await TestStore()
      let soon = loop.now.advanced(by: .seconds(60))
      let backend = XMPPBackend(loop: loop, options: try store.options())
      try await backend.connect { _ in }
      let recorder = DeliveryRecorder(loop: loop)
      let start = try await backend.fetch(FetchRequest(Topic("general")), deadline: soon).next
      _ = try await backend.subscribe(Topic("general"), after: start, sink: recorder.sink)
      for text in ["one", "two"] { _ = try await backend.post(draft(text), deadline: soon) }
      let alice = try await Person.connect("alice", to: store, loop: loop)
      let room = try await alice.join(Topic("general"), as: "alice")
      try alice.say(
        "I sent you an OMEMO encrypted message", in: room,
        XMLElement(
          "encrypted", "eu.siacs.conversations.axolotl",
          children: [XMLElement("payload", "eu.siacs.conversations.axolotl", text: "c2VjcmV0")]))
      // Stored, with an id, and nothing to read: receipts, reactions, states.
      for number in 0..<250 {
        try alice.session.send(
          XMLElement(
            "message", Namespace.client, ["to": room.description, "type": "groupchat", "id": "s\(number)"],
            children: [
              XMLElement("displayed", "urn:xmpp:chat-markers:0", ["id": "x"]), XMLElement("store", Namespace.hints),
            ]))
      }
      try alice.session.send(
        XMLElement(
          "message", Namespace.client, ["to": room.description, "type": "groupchat"],
          children: [XMLElement("subject", Namespace.client, text: "a subject")]))
      // An earlier message said otherwise is no new one, and changes nothing.
      try alice.say(
        "one, corrected", in: room, XMLElement("replace", "urn:xmpp:message-correct:0", ["id": "m-5"]))
      try alice.say("last", in: room)
      #expect(await recorder.wait(until: soon) { $0.messages.count == 4 })
      #expect(recorder.messages.map(\.content) == ["one", "two", WireFormat.unreadable, "last"])
      // They do not eat the window of a fetch.
      let latest = try await backend.fetch(FetchRequest(Topic("general"), limit: 4), deadline: soon)
      #expect(latest.messages == recorder.messages)
      let after = try await backend.fetch(FetchRequest(Topic("general"), .after(start), limit: 4), deadline: soon)
      #expect(after.messages == recorder.messages)
      alice.session.close()
      await backend.disconnect()
      await store.end()
    }
  }

  /// A server, or somebody who found a hole in it, that sends what is no stream: the session ends with the reason, a
  /// new one begins, and nothing is missed.
  @Test func aBrokenStream() async throws {
    let module = """
      module:hook("message/host", function(event)
        local stanza = event.stanza;
        local session = prosody.full_sessions[stanza:get_child_text("target")];
        if session then session.conn:write(stanza:get_child_text("raw")); end
        return true;
      end, 10);
      """
    try await onLoop { loop in
      var options = ProsodyServer.Options()
      options.plugins = ["raw": module]
      options.modules = ["raw"]
      let store = try await TestStore(options)
      let soon = loop.now.advanced(by: .seconds(60))
      let backend = XMPPBackend(loop: loop, options: try store.options())
      let policy = RestartPolicy(
        initialDelay: .milliseconds(20), maximumDelay: .milliseconds(200), settledAfter: .seconds(1))
      let supervisor = Supervisor(loop: loop, backend: backend, policy: policy)
      let task = loop.spawn { await supervisor.run() }
      let start = try await supervisor.fetch(FetchRequest(Topic("general")), deadline: soon).next
      let recorder = DeliveryRecorder(loop: loop)
      _ = await supervisor.follow(Topic("general"), after: start, sink: recorder.sink)
      let mallory = try await Person.connect("bob", to: store, loop: loop)
      let room = try await mallory.join(Topic("general"), as: "bob")
      let broken = [
        "<message from='\(room)/ada' type='groupchat'><body>&boom;</body></message>", "</presence>", "garbage",
        "<!DOCTYPE x><x/>", "<a>" + String(repeating: "<b>", count: 200), "<message to='\u{1}'/>",
      ]
      for (number, raw) in broken.enumerated() {
        _ = try await supervisor.post(draft("before \(number)"), deadline: soon)
        let jid = try #require(await backend.live?.session.jid)
        let reconnects = await supervisor.health.reconnects
        try mallory.session.send(
          XMLElement(
            "message", Namespace.client, ["to": ProsodyServer.domain],
            children: [
              XMLElement("target", Namespace.client, text: jid.description),
              // XML cannot carry the control character that the last one is about.
              XMLElement("raw", Namespace.client, text: raw.contains("\u{1}") ? "<message to='&#1;'/>" : raw),
            ]))
        #expect(await wait(for: supervisor, until: soon) { $0.reconnects > reconnects })
        try mallory.say("after \(number)", in: room)
        #expect(await recorder.wait(until: soon) { $0.messages.count == 2 * number + 2 })
      }
      #expect(recorder.messages.map(\.content) == broken.indices.flatMap { ["before \($0)", "after \($0)"] })
      #expect(recorder.gaps.isEmpty)
      task.cancel()
      await task.value
      mallory.session.close()
      await store.end()
    }
  }
}
