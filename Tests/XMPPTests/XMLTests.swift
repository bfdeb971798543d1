import ParleyRuntime
import Testing

@testable import ParleyXMPP

/// The stream's parser: what it makes of good streams in any pieces, what it refuses, and that nothing makes it crash.
@Suite struct XMLTests {
  private static let header =
    "<?xml version='1.0'?><stream:stream from='chat.test' id='1' version='1.0' xmlns='jabber:client' "
    + "xmlns:stream='http://etherx.jabber.org/streams'>"

  /// Feeds a text in pieces; the events, and the refusal that ended them.
  private func parse(_ text: [UInt8], by size: Int) -> (events: [StreamEvent], refusal: String?, unread: Int) {
    var parser = XMLHandle()
    var events: [StreamEvent] = []
    for start in stride(from: 0, to: text.count, by: size) {
      let piece = Array(text[start..<min(start + size, text.count)])
      do throws(XMLHandle.ProtocolFailure) { events += try parser.feed(piece.span.bytes) } catch {
        return (events, error.text, 0)
      }
    }
    return (events, nil, parser.unreadBytes)
  }

  private func parse(_ body: String) -> (events: [StreamEvent], refusal: String?, unread: Int) {
    parse(Array((Self.header + body).utf8), by: 1 << 20)
  }

  @Test func readsStanzas() throws {
    let body =
      "<message from='room@x/ada' type='groupchat'><body>a &lt;b&gt; &#x1F99C;\n c</body>"
      + "<x xmlns='other' xml:lang='de'><y/><y z='&quot;'/></x></message> <r xmlns='urn:xmpp:sm:3'/>"
    let (events, refusal, unread) = parse(body)
    #expect(refusal == nil && unread == 0 && events.count == 3)
    guard case .stanza(let message) = events[1], case .stanza(let request) = events[2] else {
      Issue.record("\(events)")
      return
    }
    #expect(message["from"] == "room@x/ada" && message.child("body", Namespace.client)?.text == "a <b> 🦜\n c")
    let extra = try #require(message.child("x", "other"))
    #expect(extra["xml:lang"] == "de" && extra.all("y", "other").count == 2 && extra.children[1]["z"] == "\"")
    #expect(request.isA("r", Namespace.management))
  }

  @Test func piecesMakeNoDifference() {
    let body =
      "<presence from='r@x/ü'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>"
      + "<message type='groupchat'><body>ä🦜&amp;</body></message></stream:stream>"
    let text = Array((Self.header + body).utf8)
    let whole = parse(text, by: text.count)
    #expect(whole.refusal == nil && whole.events.count == 4)
    for size in [1, 2, 3, 7, 64] { #expect(parse(text, by: size).events == whole.events) }
  }

  @Test(arguments: [
    "<!DOCTYPE x [<!ENTITY a 'b'>]><message/>", "<!-- hidden --><message/>", "<?php x?><message/>", "text",
    "<message>&undefined;</message>", "<message></presence>", "<message a='1' a='2'/>", "<x:message/>",
    "<message>\u{1}</message>", String(repeating: "<a>", count: 100),
    "<message " + (0..<100).map { "a\($0)='1' " }.joined() + "/>",
    "<message a='" + String(repeating: "x", count: 70_000),
    "<message>" + String(repeating: "<a/>", count: 30_000) + "</message>",
  ]) func refuses(_ body: String) {
    #expect(parse(body).refusal != nil)
  }

  @Test func refusesAStanzaWithoutAnEnd() {
    let text = Array((Self.header + "<message><body>" + String(repeating: "x", count: 9 << 20)).utf8)
    #expect(parse(text, by: 1 << 16).refusal?.contains("larger") == true)
  }

  @Test func refusesDocumentTypesBeforeTheStream() {
    let bomb =
      "<!DOCTYPE a [<!ENTITY b 'xxxxxxxx'><!ENTITY c '&b;&b;&b;&b;'>]>" + Self.header + "<message>&c;</message>"
    #expect(parse(Array(bomb.utf8), by: 1 << 20).refusal == "a document type declaration")
    #expect(parse(Array("<html/>".utf8), by: 100).refusal == "it is no XMPP stream")
  }

  @Test func countsWhatStandsBehindTheLastStanza() {
    #expect(parse("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").unread == 0)
    #expect(parse("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><mess").unread == 5)
  }

  @Test func whatIsWrittenIsReadBack() {
    let nasty = "<&>\"' \t\n ü🦜 ]]> \u{85}\u{2028}"
    var element = XMLElement("message", Namespace.client, ["to": nasty, "type": nil], text: nasty)
    element.children = [XMLElement("a", "b", ["c": nasty], children: [XMLElement("d", "b", text: nasty)])]
    let (events, refusal, _) = parse(String(decoding: element.bytes, as: UTF8.self))
    #expect(refusal == nil)
    guard case .stanza(let read) = events.last else {
      Issue.record("\(events)")
      return
    }
    #expect(read.text == nasty && read.child("a", "b")?.child("d", "b")?.text == nasty)
  }

  /// Damaged streams in random pieces: any outcome but a crash, and the same outcome in one piece as in many.
  @Test func quotesAreMarksInAttributesAlone() {
    let element = XMLElement("body", Namespace.client, ["id": "\"'<&"], text: "\"it's\" <b> & \r")
    let written = String(decoding: element.bytes, as: UTF8.self)
    #expect(written == #"<body id="&quot;&apos;&lt;&amp;">"it's" &lt;b&gt; &amp; &#13;</body>"#)
  }

  @Test func survivesDamage() throws {
    let loop = try EventLoop(seed: 4711)
    try loop.run {
      let good = Array(
        (Self.header + "<message from='r@x/n' type='groupchat' id='1'><body>hällo &amp; 🦜</body><stanza-id "
          + "xmlns='urn:xmpp:sid:0' by='r@x' id='q'/></message><presence/><iq type='result' id='1'><fin/></iq>").utf8)
      let alphabet = Array("<>&;'\"=/ xmlns:a\u{0}\u{1}é]![CDATA?-".utf8)
      for _ in 0..<20_000 {
        var text = good
        for _ in 0...Int(loop.random() % 4) {
          let place = Int(loop.random() % UInt64(text.count))
          switch loop.random() % 4 {
          case 0: text[place] = UInt8(truncatingIfNeeded: loop.random())
          case 1: text.insert(alphabet[Int(loop.random() % UInt64(alphabet.count))], at: place)
          case 2: text.removeSubrange(place..<min(text.count, place + Int(loop.random() % 20) + 1))
          default: text.insert(contentsOf: good[place % good.count..<good.count], at: place)
          }
          if text.isEmpty { text = [0x3c] }
        }
        let whole = parse(text, by: text.count)
        let pieces = parse(text, by: Int(loop.random() % 17) + 1)
        // A refusal in pieces comes after what stood before it; in one piece it takes that along.
        #expect((whole.refusal == nil) == (pieces.refusal == nil))
        if whole.refusal == nil { #expect(whole.events == pieces.events) }
        for case .stanza(let element) in pieces.events {
          _ = WireFormat.content(of: element)
          _ = SeamError(stanza: element, operation: "x")
        }
      }
    }
  }
}
