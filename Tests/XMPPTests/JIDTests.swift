import Testing

@testable import ParleyXMPP

/// Addresses are split by RFC 7622, section 3: the resource begins at the first slash, the domain at the first at sign
/// before it.
@Suite("XMPP addresses")
struct JIDTests {
  @Test(arguments: [
    ("chat.test", "", "chat.test", ""),
    ("alice@chat.test", "alice", "chat.test", ""),
    ("Alice@Chat.Test/Phone", "alice", "chat.test", "Phone"),
    ("room@conference.chat.test/a@b/c", "room", "conference.chat.test", "a@b/c"),
    ("chat.test/alice@home", "", "chat.test", "alice@home"),
    ("ÄRGER@chat.test/Ä", "ärger", "chat.test", "Ä"),
    // A mark stays one where a combining character follows it.
    ("room@chat.test/\u{301}e", "room", "chat.test", "\u{301}e"),
    ("room@chat.test/", "room", "chat.test", ""),
  ])
  func anAddressIsSplit(_ text: String, local: String, domain: String, resource: String) throws {
    let jid = try #require(JID(text))
    #expect(jid == JID(local: local, domain: domain, resource: resource))
  }

  @Test(arguments: ["", "/phone", "alice@", "alice@/phone", "a@" + String(repeating: "b", count: 3070)])
  func whatHasNoDomainOrIsTooLongIsNone(_ text: String) {
    #expect(JID(text) == nil)
  }
}
