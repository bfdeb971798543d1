import ParleyRuntime
import Testing

@testable import ParleyNATS

/// Bytes and names, without a server.
@Suite struct WireTests {
  @Test(
    "names are folded as the TypeScript Parley folds them",
    arguments: [
      // The first as it was seen on the wire, the others by its rule.
      ("a.b/c", "parley.a_b/c-3f23e966f9", "PARLEY_a_b_c-3f23e966f9"),
      ("general", "parley.general", "PARLEY_general"),
      ("a/b", "parley.a/b", "PARLEY_a_b-3ec69c85a4"),
      ("two words", "parley.two_words-6bbd56a66f", "PARLEY_two_words-6bbd56a66f"),
      ("a\u{2028}b", "parley.a_b-f2bbf95106", "PARLEY_a_b-f2bbf95106"),
      ("ü🦜", "parley.ü🦜", "PARLEY_ü🦜"),
    ])
  func names(_ topic: String, _ subject: String, _ stream: String) {
    let names = TopicNames(Topic(topic), NATSOptions())
    #expect(Array(names.subject.utf8) == Array(subject.utf8))
    #expect(Array(names.stream.utf8) == Array(stream.utf8))
  }

  @Test func longNamesStayTwo() {
    let stem = String(repeating: "ü", count: 127)
    let names = ["a", "b"].map { TopicNames(Topic(stem + $0), NATSOptions()).stream }
    #expect(Set(names.map { Array($0.utf8) }).count == 2)
    #expect(names.allSatisfy { $0.utf8.count <= 255 })
  }

  @Test func deliveries() throws {
    let plain = try #require(Delivered(Array("$JS.ACK.S.parley-x-7.1.42.3.1700000000123456789.0".utf8)))
    #expect(plain.sequence == 42 && plain.consumerSequence == 3 && plain.nanoseconds == 1_700_000_000_123_456_789)
    #expect(String(decoding: plain.consumer, as: UTF8.self) == "parley-x-7")
    let domain = try #require(Delivered(Array("$JS.ACK.hub.ABCD.S.c.1.42.3.17.0.tok".utf8)))
    #expect(domain.sequence == 42 && String(decoding: domain.consumer, as: UTF8.self) == "c")
    for text in ["", "$JS.ACK", "$JS.ACK.S.c.1.x.3.17.0", "$JS.API.S.c.1.4.3.17.0", "$JS.ACK.S.c.1.4"] {
      #expect(Delivered(Array(text.utf8)) == nil, "\(text)")
    }
  }

  @Test func progress() {
    var progress = ConsumerProgress(expected: 5)
    #expect(progress.arrived(5, consumerSequence: 1) == .next)
    #expect(progress.arrived(5, consumerSequence: 1) == .repeated)
    #expect(progress.arrived(9, consumerSequence: 2) == .afterHole)
    #expect(progress.arrived(11, consumerSequence: 4) == .missed)
    #expect(progress.expected == 10 && progress.delivered == 2)
  }

  @Test func times() {
    #expect(Timestamp.text(1_783_879_391_204) == "2026-07-12T18:03:11.204Z")
    #expect(Timestamp.nanoseconds("2026-07-12T18:03:11.204Z") == 1_783_879_391_204_000_000)
    #expect(Timestamp.nanoseconds("2026-07-12T18:03:11Z") == 1_783_879_391_000_000_000)
    #expect(Timestamp.nanoseconds("2026-07-12T18:03:11.204000001Z") == 1_783_879_391_204_000_001)
    for text in ["", "now", "2026-07-12T18:03:11", "2026-13-12T18:03:11Z", "2026-07-12T18:03:11.Z"] {
      #expect(Timestamp.nanoseconds(text) == nil, "\(text)")
    }
  }

  @Test func base64() {
    #expect(Base64.decode("aGVsbG8=") == Array("hello".utf8))
    #expect(Base64.decode("") == [])
    #expect(Base64.decode("/+8=") == [0xff, 0xef])
    #expect(Base64.decode("a-b") == nil)
  }

  @Test func headerBlocks() {
    let block = "NATS/1.0\r\nNats-Msg-Id:  a/b/c \r\nParley-To: \"x\"\r\nparley-to: y\r\nOther:z\r\n\r\n"
    #expect(WireHeaders(block: Array(block.utf8)) == WireHeaders(key: "a/b/c", to: "\"x\""))
  }

  @Test func keysAreOneLine() {
    let draft = draft("x", by: "a/b ü", key: .chosen("line\r\nNats-Rollup: all"))
    let headers = WireFormat.headers(draft, WireFormat.AuthorHeaders(draft.author))
    #expect(headers.key == "a%2fb%20%c3%bc/a%2fb%20%c3%bc/line%0d%0aNats-Rollup:%20all")
    let values = [headers.key, headers.instance, headers.to, headers.attributes].compactMap { $0 }
    #expect(values.count == 2 && values.allSatisfy { !$0.contains { $0.isNewline } })
  }

  @Test func goQuotedAcknowledgements() throws {
    let ack = #"{"stream":"a\x01\a\v\U0001f99c\u00e9", "seq":12,"duplicate": true}"#
    let parsed = try PublishAck(Array(ack.utf8))
    #expect(parsed.stream == "a\u{1}\u{7}\u{b}🦜é" && parsed.sequence == 12 && parsed.isDuplicate)
    #expect(throws: JetStreamFailure.self) { try PublishAck(Array(#"{"stream":"\x0"}"#.utf8)) }
    #expect(throws: JetStreamFailure.self) { try PublishAck([]) }
  }

  @Test(
    "plain acknowledgements",
    arguments: [
      (#"{"stream":"S","seq":1}"#, "S", 1, false),
      (#"{"stream":"PARLEY_a b", "seq":18446744}"#, "PARLEY_a b", 18_446_744, false),
      (#"{"stream":"S","domain":"hub","seq":7}"#, "S", 7, false), (#"{"stream":"a\"b","seq":8}"#, "a\"b", 8, false),
      (#"{"stream":"é","seq":9}"#, "é", 9, false), (#"{"stream":"S","seq":10,"duplicate":true}"#, "S", 10, true),
      (#"{"seq":11,"stream":"S"}"#, "S", 11, false), (#"{ "stream":"S","seq":12 }"#, "S", 12, false),
    ])
  func plainAcknowledgements(_ text: String, _ stream: String, _ sequence: UInt64, _ isDuplicate: Bool) throws {
    let ack = try PublishAck(Array(text.utf8))
    #expect(ack.stream == stream && ack.sequence == sequence && ack.isDuplicate == isDuplicate)
  }

  @Test func refusalsAreNoAcknowledgements() {
    for text in [
      #"{"stream":"S","seq":0}"#, #"{"stream":"S","seq":}"#, #"{"stream":"S","seq":-1}"#, #"{"stream":,"seq":1}"#,
      #"{"stream":"","seq":1"#, #"{"stream":"S"}"#, #"{"error":{"code":503},"stream":"S","seq":1}"#,
    ] {
      #expect(throws: JetStreamFailure.self, "\(text)") { try PublishAck(Array(text.utf8)) }
    }
  }

  @Test(
    "server addresses",
    arguments: [
      ("127.0.0.1:4222", "127.0.0.1", 4222, "127.0.0.1:4222"),
      ("nats://u:p@h.example", "h.example", 4222, "h.example:4222"),
      ("tls://[::1]:4443", "::1", 4443, "[::1]:4443"), ("nats://a:p@ss@b:1", "b", 1, "b:1"),
    ])
  func addresses(_ url: String, _ host: String, _ port: Int, _ text: String) {
    let address = ServerAddress(url)
    #expect(address.host == host && address.port == port && address.text == text)
  }

  @Test func nkeys() throws {
    // That it is the right one, the server of AccessTests says.
    let key = try #require(NKey(seed: TestKeys.seed))
    #expect(key.publicText.hasPrefix("U") && key.publicText.utf8.count == 56)
    #expect(NKey(seed: String(TestKeys.seed.dropLast()) + "A") == nil)
    #expect(NKey(seed: "SU") == nil)
  }

  @Test func versions() throws {
    #expect(try #require(ServerVersion("2.10.22")).warning != nil)
    #expect(try #require(ServerVersion("2.8.4")).warning != nil)
    for fine in ["2.10.23", "2.11.0-RC.1", "2.15.1", "3.0.0"] {
      #expect(try #require(ServerVersion(fine)).warning == nil)
    }
    #expect(ServerVersion("latest") == nil)
  }

  @Test func laterCopiesAreKnown() {
    var seen = SeenKeys()
    func message(_ content: String) -> Message {
      Message(
        topic: general, sender: Handle("a"), content: content, timestamp: "", storedAt: 0, id: MessageID("1"),
        cursor: Cursor("1"))
    }
    func isCopy(_ content: String, _ key: String?, _ sequence: UInt64, generation: String = "g") -> Bool {
      seen.isCopy(message(content), key: key, stream: "S", generation: generation, at: sequence)
    }
    #expect(!isCopy("x", "k", 5))
    #expect(!isCopy("x", "k", 5), "the same message again")
    #expect(isCopy("x", "k", 9))
    #expect(!isCopy("x", "k", 3), "an earlier one becomes the first")
    #expect(isCopy("x", "k", 5))
    #expect(!isCopy("y", "k", 10) && !isCopy("x", nil, 11) && !isCopy("x", "k", 12, generation: "h"))
  }
}
