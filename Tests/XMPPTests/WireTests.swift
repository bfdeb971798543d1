import ParleyRuntime
import Testing

@testable import ParleyXMPP

/// Names, places, stanzas and times by themselves.
@Suite struct WireTests {
  private func draft(_ content: String) -> Draft {
    Draft(
      topic: Topic("t"), author: Author(handle: Handle("ada"), instance: "i"), content: content, key: .generated("k"))
  }

  private func roundTrip(_ draft: Draft) -> WireFormat.Content? {
    WireFormat.content(
      of: WireFormat.stanza(
        draft, to: JID(local: "r", domain: "x"), at: 1_000, originID: "o", isMarked: true, isFirst: true))
  }

  @Test func roomsAreNamedAsTheOtherProgramNamesThem() {
    let rooms = TopicRooms(service: "muc.x")
    let expected = [
      "general": "general", "a.b-c_d": "a.b-c_d", "General": "general-80c98c5544", "a b": "a_b-e03c8e6ac2",
      "🦜": "__-",
    ]
    for (topic, local) in expected {
      let found = rooms.room(of: Topic(topic)).local
      if local.hasSuffix("-") { #expect(found.hasPrefix(local)) } else { #expect(found.count == local.count) }
    }
    #expect(rooms.room(of: Topic("General")).local != rooms.room(of: Topic("general")).local)
    #expect(rooms.room(of: Topic("\u{212a}")).local.hasPrefix("k-"), "the Kelvin sign in lower case is a k")
    let long = String(repeating: "n", count: 255)
    #expect(rooms.room(of: Topic(long)).local.count <= 245)
    #expect(rooms.room(of: Topic(long + "a")) != rooms.room(of: Topic(long + "b")))
  }

  @Test func placesAreReadBack() throws {
    for place in [LogPlace.after("x.y.z"), .before("q"), .start(17), .emptied(18)] {
      #expect(try LogPlace(place.cursor) == place)
    }
    #expect(try LogPlace(Cursor("bare.id")) == .after("bare.id"))
    for text in ["xmpp.s.x", "xmpp.q.1", "xmpp..1", "xmpp.a", "nats.0.1", "a\u{1}b"] {
      #expect(throws: SeamError.self, "\(text)") { try LogPlace(Cursor(text)) }
    }
  }

  @Test(arguments: ["", "plain", "a\rb", "a\r\nb", "\u{1}\u{ffff}", "(no text)", "e\u{301}", "🦜\u{2028}"])
  func textsComeBackExactly(_ text: String) throws {
    let content = try #require(roundTrip(draft(text)))
    #expect(Array(content.text.utf8) == Array(text.utf8))
    #expect(content.sender == Handle("ada") && content.instance == "i" && content.isMarked && content.isFirst)
    #expect(content.sentAt == 1_000)
  }

  @Test func aHiddenTextThatIsNotTheBodysIsNotBelieved() throws {
    var stanza = WireFormat.stanza(
      draft("hello"), to: JID(local: "r", domain: "x"), at: 1_000, originID: "o", isMarked: false, isFirst: false)
    let index = try #require(stanza.children.firstIndex { $0.name == "parley" })
    stanza.children[index].text = "{\"handle\":\"ada\",\"text\":\"delete everything\"}"
    #expect(WireFormat.content(of: stanza)?.text == "hello")
    stanza.children[index].text = "no JSON"
    #expect(WireFormat.content(of: stanza)?.sender == nil)
  }

  @Test func repliesOfPeopleLoseTheirQuotation() throws {
    let stanza = XMLElement(
      "message", Namespace.client, ["type": "groupchat"],
      children: [
        XMLElement("body", Namespace.client, text: "> ü?\nyes"),
        XMLElement("reply", Namespace.reply, ["to": "r@x/ada", "id": "q1"]),
        XMLElement(
          "fallback", Namespace.fallback, ["for": Namespace.reply],
          children: [XMLElement("body", Namespace.fallback, ["start": "0", "end": "5"])]),
      ])
    let content = try #require(WireFormat.content(of: stanza))
    #expect(content.text == "yes" && content.inReplyTo == MessageID("q1") && !content.isParley)
  }

  @Test func encryptedMessagesAreNamedAndNotGuessed() throws {
    let stanza = XMLElement(
      "message", Namespace.client, ["type": "groupchat"],
      children: [
        XMLElement("body", Namespace.client, text: "I sent you an OMEMO encrypted message"),
        XMLElement("encrypted", "eu.siacs.conversations.axolotl"),
      ])
    #expect(WireFormat.content(of: stanza)?.text == WireFormat.unreadable)
  }

  @Test func mentionsStandWhereTheyAre() {
    let found = WireFormat.mentions(in: "🦜 @bob, ask @olga.", accounts: [Handle("olga"): "olga@x"])
    #expect(found == [WireFormat.Mention(range: 12..<17, account: "olga@x")])
  }

  @Test func whatIsNotAcknowledgedIsCounted() {
    var management = StreamManagement()
    management.received = .max - 1
    #expect(management.acknowledgeReceived() == .max - 1 && !management.isUnacknowledged(1))
    for _ in 0..<3 { management.received &+= 1 }
    #expect(management.isUnacknowledged(3) && !management.isUnacknowledged(4))
    #expect(management.acknowledgeReceived() == 1 && !management.isUnacknowledged(1))
  }

  private static func content(at time: Int64?) -> WireFormat.Content {
    var content = WireFormat.Content(text: "hello")
    content.sentAt = time
    return content
  }

  @Test func whatIsBelievedLiveIsBelievedOfTheArchive() {
    var clock = ArchiveClock()
    let early = clock.time(ofLive: Self.content(at: 1_000_000), arrival: 1_000_000)
    #expect(early == nil, "nothing is known of the server")
    // The server's clock is an hour ahead of the reader's.
    let hour: Int64 = 3_600_000
    clock.learn(arrival: 1_000_500, stamp: 1_000_000 + hour)
    for skew in stride(from: Int64(-9000), through: 9000, by: 100) {
      for way in stride(from: Int64(0), through: 4000, by: 250) {
        let stored = 2_000_300 + hour
        let content = Self.content(at: stored + skew)
        let archived = ArchiveClock.time(of: content, stamp: stored / 1000 * 1000)
        #expect(archived == (abs(stored / 1000 * 1000 - stored - skew) <= 5000 ? stored + skew : stored / 1000 * 1000))
        for other in [Int64(-6000), -5300, -300, 0, 700, 5000] {
          let otherwise = ArchiveClock.time(of: Self.content(at: stored + other), stamp: stored / 1000 * 1000)
          #expect(abs(archived - otherwise) < ArchiveClock.uncertainty.milliseconds, "\(skew) \(other)")
        }
        if let live = clock.time(ofLive: content, arrival: stored - hour + way) {
          // A clock that is that wrong, and a way that takes just as long.
          if skew <= 4000 || way <= 2000 { #expect(live == archived, "\(skew) \(way)") }
        }
      }
    }
    #expect(clock.time(ofLive: Self.content(at: 2_000_300 + hour), arrival: 2_000_310) == 2_000_300 + hour)
    // People's messages have nothing but the archive's stamp.
    let stamp: Int64 = 2_000_000 + hour
    for content in [Self.content(at: nil), Self.content(at: .min), Self.content(at: .max)] {
      #expect(clock.time(ofLive: content, arrival: 2_000_000) == nil)
      #expect(ArchiveClock.time(of: content, stamp: stamp + 7) == stamp)
    }
  }
}
