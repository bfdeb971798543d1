import ParleyRuntime
import Testing

@testable import ParleyMatrix

/// Events and cursors without a server.
@Suite struct EventTests {
  private let room = Room(topic: Topic("t"), id: "!room:chat.test")
  private var reader: EventReader {
    var options = MatrixOptions(homeserver: "https://chat.test/", login: .token(access: "", refresh: nil))
    options.handles = ["nina": "@nina:chat.test"]
    return EventReader(account: "@us:chat.test", options: options)
  }

  private func event(_ content: JSONValue, sender: String = "@us:chat.test") throws -> JSONSlice {
    let event: JSONValue = [
      "type": "m.room.message", "event_id": "$e", "sender": .string(sender), "origin_server_ts": 1_700_000_000_123,
      "content": content,
    ]
    return try JSONSlice(event.text)
  }

  @Test(arguments: MatrixOptions.HandleStyle.allCases) func whatIsWrittenIsReadBack(
    _ style: MatrixOptions.HandleStyle
  ) throws {
    for handle in ["ada", "a [b] c", "e\u{301}", "é", "]"] {
      for text in ["", "x", "[ada] x", "> <@a:b> quote\n\nrest", "\u{301}combining", "\u{2028}\u{1}\\\"", "🦜 \u{200d}"]
      {
        var draft = Draft(
          topic: Topic("t"), author: Author(handle: Handle(handle), instance: "i"), content: text,
          key: .chosen("k"), inReplyTo: MessageID("not an event"), to: Handle("ü"),
          attributes: ["a": "", "á": "2"])
        for reply in [MessageID("not an event"), MessageID("$event:server")] {
          draft.inReplyTo = reply
          let content = try EventWriter(style: style).content(of: draft, mentions: ["@b:c"], recurs: true)
          let entry = try #require(reader.entry(try event(content), in: room))
          let message = entry.message
          #expect(Array(message.content.utf8) == Array(text.utf8), "\(handle): \(text)")
          #expect(message.sender == draft.author.handle && message.instance == "i" && message.to == draft.to)
          #expect(message.inReplyTo == reply && message.attributes == draft.attributes)
          #expect(entry.mayBeCopy && entry.key == EventReader.KeyScope(account: "@us:chat.test", key: "k"))
          #expect(message.timestamp == "2023-11-14T22:13:20.123Z" && message.provenance == .verified)
        }
      }
    }
  }

  @Test func randomContentIsReadWithoutHarm() throws {
    var generator = SeededNumbers(seed: 11)
    let names = [
      "msgtype", "body", "m.relates_to", "rel_type", "event_id", "m.in_reply_to", "is_falling_back", "m.mentions",
      "user_ids", "app.parley.handle", "app.parley.attributes", "app.parley.to", "app.parley.prefixed", "info", "url",
      "filename", "size", "mimetype", "app.parley.in_reply_to", "geo_uri", "file",
    ]
    let texts = [
      "", "m.text", "m.image", "m.thread", "m.replace", "mxc://a/b", "> <x>\n\ny", "[ada] ", "$x", "\u{0}", "@a:b",
    ]
    func value(_ depth: Int) -> JSONValue {
      switch generator.next() % (depth > 3 ? 5 : 8) {
      case 0: return nil
      case 1: return .bool(generator.next() % 2 == 0)
      case 2: return .int(Int64(truncatingIfNeeded: generator.next()))
      case 3, 4: return .string(texts[Int(generator.next() % UInt64(texts.count))])
      case 5: return .array((0..<Int(generator.next() % 4)).map { _ in value(depth + 1) })
      default:
        return .object(
          JSONObject(
            (0..<Int(generator.next() % 8)).map { _ in
              (name: names[Int(generator.next() % UInt64(names.count))], value: value(depth + 1))
            }))
      }
    }
    for _ in 0..<20_000 {
      let event: JSONValue = [
        "type": "m.room.message", "event_id": "$e", "sender": "@a:b", "origin_server_ts": value(5), "content": value(0),
        "unsigned": value(2),
      ]
      if let entry = reader.entry(try JSONSlice(event.text), in: room) {
        #expect(!entry.message.content.utf8.contains(0) && entry.message.account == "@a:b")
      }
    }
  }

  /// Matrix knows no floats and text is Unicode; older rooms and careless servers pass on both all the same.
  @Test func floatsAndHalvesOfCharactersAreSurvived() throws {
    let text = """
      {"type":"m.room.message","event_id":"$e","sender":"@a:b","origin_server_ts":1.5e3,"content":{"msgtype":"m.image",
      "body":"a\\ud800b\\u0000\\u0001","url":"mxc://a/b","info":{"size":0.5},"app.parley.attributes":{"x":1.5,"y":"\\udc00"}}}
      """
    let message = try #require(reader.entry(try JSONSlice(text), in: room)).message
    #expect(
      message.content
        == "[image] a\u{fffd}b\u{1} (unknown type, unknown size) https://chat.test/_matrix/client/v1/media/download/a/b"
    )
    #expect(message.attributes == ["y": "\u{fffd}"] && message.storedAt == 0)
  }

  @Test func whatIsTooDeepIsCutOut() throws {
    func nested(_ levels: Int) -> String {
      String(repeating: "[", count: levels) + "\"]}\\\"\"" + String(repeating: "]", count: levels)
    }
    #expect(String(decoding: DeepContent.cut(Array(nested(5).utf8), beyond: 5), as: UTF8.self) == nested(5))
    #expect(String(decoding: DeepContent.cut(Array(nested(7).utf8), beyond: 5), as: UTF8.self) == "[[[[[null]]]]]")
    let answer = try DeepContent.parse(Array("{\"a\":{\"deep\":\(nested(5000)),\"b\":1},\"c\":\"]\"}".utf8))
    #expect(answer.member("a")?.member("b")?.int == 1 && answer.member("c")?.string == "]")
    for text in ["", "]", "{]", "[\"", String(repeating: "[", count: 100), nested(80) + "]", nested(80) + "x"] {
      #expect(throws: JSONError.self, "\(text)") { try DeepContent.parse(Array(text.utf8)) }
    }
  }

  @Test func cursorsNamePlaces() throws {
    for text in ["matrix.ab12.start", "matrix.ab12.oldest", "matrix.ab12.$e", "matrix.ab12.<$e:with.dots"] {
      #expect(try LogPlace(Cursor(text)).cursor.text == text)
    }
    #expect(try LogPlace(Cursor("$bare:chat.test")) == LogPlace(generation: nil, native: .after("$bare:chat.test")))
    for text in [
      "start", "<$e", "matrix.a.", "matrix.a.<", "matrix.a.e", "$", "$a b", "sqlite.a.1", "matrix.a.$\u{7f}",
    ] {
      #expect(throws: SeamError.self, "\(text)") { try LogPlace(Cursor(text)) }
    }
  }

  @Test func tokensOfSynapseAreTurnedToTheOrderOfArrival() {
    #expect(MatrixBackend.arrivalToken("t17-4711_0_0_1") == "s4711_0_0_1")
    for token in ["s4711_0_0", "t17", "t-5", "t1x-5", "t17-x", "opaque", ""] {
      #expect(MatrixBackend.arrivalToken(token) == token)
    }
  }

  @Test func transactionsFollowKeyAndContent() {
    let draft = Draft(
      topic: Topic("t"), author: Author(handle: Handle("a"), instance: "1"), content: "x", key: .chosen("k"))
    var other = Draft(
      topic: Topic("t"), author: Author(handle: Handle("a"), instance: "2"), content: "x", key: .chosen("k"))
    #expect(EventWriter.transaction(of: draft) == EventWriter.transaction(of: other))
    other.content = "y"
    #expect(EventWriter.transaction(of: draft) != EventWriter.transaction(of: other))
  }

  @Test func settingsAreJudged() throws {
    var settings = Settings(defaultsOf: MatrixOptions.description.schema)
    #expect(throws: SeamError.self) { try MatrixOptions(settings) }
    settings["password"] = .string("p")
    let options = try MatrixOptions(settings)
    #expect(options.login == .password(user: "parley", password: "p") && options.tokenFile?.hasSuffix(".json") == true)
    for (name, value) in [
      ("homeserver_url", SettingValue.string("chat.test")), ("rooms", .texts(["a": "general"])),
      ("handles", .texts(["a": "alice"])),
    ] {
      var wrong = settings
      wrong[name] = value
      #expect(throws: SeamError.self, "\(name)") { try MatrixOptions(wrong) }
    }
  }
}

/// SplitMix64, so that a failure can be found again.
private struct SeededNumbers {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
