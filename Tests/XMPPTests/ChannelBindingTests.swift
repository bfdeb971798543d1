import ParleyRuntime
import ParleyTestKit
import Testing

@testable import ParleyXMPP

/// Authentication that is bound to the TLS connection (RFC 9266), against Prosody, whose own SCRAM and OpenSSL check it.
///
/// Prosody 0.12 offers only `tls-unique`, which TLS 1.3 has not; a module of the test's adds `tls-exporter` as later
/// versions have it.
@Suite struct ChannelBindingTests {
  private func module(label: String = "EXPORTER-Channel-Binding", offers: Bool = true) -> String {
    """
    local st = require "util.stanza";
    module:hook("stream-features", function(event)
      local origin, features = event.origin, event.features;
      if origin.username or not origin.encrypted or not origin.sasl_handler then return; end
      local socket = origin.conn:socket();
      origin.sasl_handler:add_cb_handler("tls-exporter", function()
        return (socket:exportkeyingmaterial("\(label)", 32, ""));
      end);
      if not \(offers) then return; end
      local mechanisms = features:get_child("mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl");
      for _, name in ipairs{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"} do
        mechanisms:add_child(st.stanza("mechanism"):text(name));
      end
      features:add_child(st.stanza("sasl-channel-binding", { xmlns = "urn:xmpp:sasl-cb:0" })
        :tag("channel-binding", { type = "tls-exporter" }));
    end, -10);
    """
  }

  private func withServer(
    _ module: String, _ body: @escaping @Sendable (TestStore, EventLoop) async throws -> Void
  ) async throws {
    try await onLoop { loop in
      var options = ProsodyServer.Options()
      options.plugins = ["exporter": module]
      options.modules = ["exporter"]
      let store = try await TestStore(options)
      try await body(store, loop)
      await store.end()
    }
  }

  @Test func theStrongestIsBound() async throws {
    try await withServer(module()) { store, loop in
      for direct in [false, true] {
        for (wanted, used) in [
          (nil, "SCRAM-SHA-256-PLUS"), ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS"), ("SCRAM-SHA-256", "SCRAM-SHA-256"),
        ] {
          var settings = store.settings(direct: direct)
          if let wanted { settings["mechanisms"] = .strings([wanted]) }
          let backend = XMPPBackend(loop: loop, options: try XMPPOptions(settings))
          try await backend.connect { _ in }
          #expect(await backend.live?.session.mechanism.rawValue == used)
          _ = try await backend.post(draft("bound"), deadline: loop.now.advanced(by: .seconds(20)))
          await backend.disconnect()
        }
      }
      var settings = store.settings()
      settings["password"] = .string("wrong")
      await #expect(throws: SeamError.self) {
        try await XMPPBackend(loop: loop, options: XMPPOptions(settings)).connect { _ in }
      }
      #expect(try await XMPPInspection.look(store.options()).isChannelBound)
    }
  }

  /// As with somebody in the middle who has a certificate that we trust: both ends see different connections.
  @Test func anotherConnectionsBindingIsRefused() async throws {
    try await withServer(module(label: "EXPORTER-Another-Connection")) { store, loop in
      try await refuses(store, loop)
    }
  }

  /// Somebody in the middle removed the offer: we say that we could have, and the server notices.
  @Test func aRemovedOfferIsNoticed() async throws {
    try await withServer(module(offers: false)) { store, loop in try await refuses(store, loop) }
  }

  private func refuses(
    _ store: TestStore, _ loop: EventLoop, isolation: isolated (any Actor)? = #isolation
  ) async throws {
    do {
      try await XMPPBackend(loop: loop, options: store.options()).connect { _ in }
      Issue.record("it connected")
    } catch let error as SeamError {
      #expect(error.code == .unauthorized && error.description.contains("malformed-request"), "\(error)")
    }
  }

  /// TLS 1.2, where Prosody offers -PLUS by `tls-unique` alone: which we have not, and do not pretend to have.
  @Test func anUnknownBindingIsLeftAlone() async throws {
    try await onLoop { loop in
      var options = ProsodyServer.Options()
      options.tlsProtocol = "tlsv1_2"
      let store = try await TestStore(options)
      let backend = XMPPBackend(loop: loop, options: try store.options())
      try await backend.connect { _ in }
      #expect(await backend.live?.session.mechanism == .scramSHA256)
      await backend.disconnect()
      await store.end()
    }
  }
}
