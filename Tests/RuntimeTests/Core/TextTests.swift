import ParleyRuntime
import ParleyTestKit
import Testing

@Suite struct MentionsTests {
  @Test(arguments: [
    ("@bob", ["bob"]), ("hi @bob.", ["bob"]), ("@bob-", ["bob"]), ("@a:b", ["a"]), ("mail a@b.c", []),
    ("@@bob", []), ("@_x", []), ("@Bob @bob @Bob", ["Bob", "bob"]), ("(@a.b_c-d)", ["a.b_c-d"]), ("@", []),
    ("é@bob", ["bob"]), ("@é", []), ("@bob@eve", ["bob"]), ("-@bob", []), ("@1", ["1"]), ("x\n@y", ["y"]),
    ("@bob..", ["bob"]), ("@bob._-@eve", ["bob"]),
  ])
  func mentionsFollowTheRule(text: String, handles: [String]) {
    #expect(Mentions.handles(in: text).map(\.name) == handles)
  }
}

@Suite struct VisibleTextTests {
  @Test func plainTextIsUntouched() {
    for text in ["", "hello", "ünï ☕️ 👩‍👩‍👧", "line\nline\ttab"] { #expect(VisibleText.visible(text) == text) }
  }

  @Test func whatMovesHidesOrReordersIsShown() {
    #expect(VisibleText.visible("a\u{1b}[2Jb") == "a⟦U+001B⟧[2Jb")
    #expect(VisibleText.visible("a\u{202e}b\u{2066}c\u{200b}") == "a⟦U+202E⟧b⟦U+2066⟧c⟦U+200B⟧")
    #expect(VisibleText.visible("\u{9b}\u{7f}\r") == "⟦U+009B⟧⟦U+007F⟧⟦U+000D⟧")
    #expect(VisibleText.visible("a\nb\tc", keepsLines: false) == "a⟦U+000A⟧b⟦U+0009⟧c")
    #expect(VisibleText.visible("x\u{E0041}") == "x⟦U+E0041⟧")
  }
}

@Suite struct NamesTests {
  @Test(arguments: [Int64.min, -10, -1, 0, 9, 10, 99, 12_345_678_901_234_567, .max])
  func numbersAreWrittenInDecimal(number: Int64) {
    #expect(String(decimal: number) == number.description)
    #expect(String("é-", decimal: number) == "é-\(number)")
  }

  @Test func cursorsAreJoinedByDots() {
    #expect(Cursor(backend: "b", generation: "", native: "1é.2").text == "b..1é.2")
  }

  @Test func equalityIsExact() {
    let composed = "caf\u{e9}"
    let decomposed = "cafe\u{301}"
    #expect(composed == decomposed)
    #expect(Topic(composed) != Topic(decomposed))
    #expect(Handle(composed) != Handle(decomposed))
    #expect(Cursor(composed) != Cursor(decomposed))
    #expect(Set([Topic(composed), Topic(decomposed)]).count == 2)
  }

  @Test func aCursorIsReadByItsOwnBackendAlone() throws {
    let own = Cursor(backend: "sqlite", generation: "0a", native: "7.5.x")
    let parts = try own.parts(for: "sqlite")
    #expect(parts.generation == "0a" && parts.native == "7.5.x")
    #expect(try Cursor("42").parts(for: "sqlite").native == "42")
    #expect(try Cursor("a.b.c").parts(for: "sqlite").native == "a.b.c")
    // A backend that nobody has listed knows its own.
    #expect(try Cursor("unlisted.0a.7").parts(for: "unlisted") == ("0a", "7"))
    for (text, backend) in [("", "sqlite"), ("redis.1.2-0", "sqlite")] {
      let error = #expect(throws: SeamError.self) { _ = try Cursor(text).parts(for: backend) }
      #expect(error?.code == .cursorInvalid)
    }
  }

  @Test func uuidsAreVersion4() {
    let ids = (0..<100).map { _ in UUIDv4.make() }
    #expect(Set(ids).count == 100)
    for id in ids {
      let bytes = Array(id.utf8)
      #expect(bytes.count == 36 && bytes[14] == UInt8(ascii: "4") && "89ab".utf8.contains(bytes[19]))
    }
  }

  @Test func logSettingsAreRead() {
    #expect(Log.parse("debug").map { $0.level == .debug && !$0.json } == true)
    #expect(Log.parse("info,json").map { $0.level == .info && $0.json } == true)
    #expect(Log.parse("loud") == nil && Log.parse("info,xml") == nil && Log.parse("") == nil)
  }
}

@Suite struct AllowlistTests {
  private func allowlist(_ patterns: [String] = []) throws -> Allowlist {
    try Allowlist(topics: [Topic("general"), Topic("a.b")], postPatterns: patterns, presenceTopic: Topic("presence"))
  }

  @Test func onlyConfiguredTopicsAreAllowed() throws {
    let list = try allowlist()
    #expect(list.permits(Topic("general")) && list.permits(Topic("a.b")))
    #expect(!list.permits(Topic("aXb")) && !list.permits(Topic("General")) && !list.permits(Topic("other")))
  }

  @Test func patternsMatchWholeNamesAndNeverReservedOnes() throws {
    let list = try allowlist(["ctx-.*", ".*"])
    #expect(list.permits(Topic("ctx-1")) && list.permits(Topic("anything")))
    for name in ["presence", "@ada", "~conversation", "with\nnewline"] { #expect(!list.permits(Topic(name))) }
    #expect(!list.subscribes(Topic("ctx-1")) && list.subscribes(Topic("general")))
    #expect(try !allowlist(["ctx"]).permits(Topic("ctx-1")))
    #expect(try !allowlist(["a|ab"]).permits(Topic("abc")))
    #expect(try allowlist(["a|ab"]).permits(Topic("ab")))
  }

  @Test func aBadPatternIsNamed() {
    let error = #expect(throws: HubError.self) { try allowlist(["ok", "("]) }
    #expect(error == .badArgument(name: "post_topics.1", reason: "invalid regex: ("))
  }
}

@Suite struct TopicPatternTests {
  @Test(arguments: [
    "(a+)+", "(a|a)*", "([a-z]+)*x", "(.*)*y", "((a*))+", "(a|b){2,}", ".*.*.*.*x", "(a+){10}", "x(?:a|b)+y",
  ])
  func patternsThatCouldTakeForEverAreRefused(source: String) {
    #expect(throws: HubError.self) { _ = try TopicPattern(source) }
  }

  @Test(arguments: [
    ("ctx-.*", "ctx-1", true), ("a|ab", "ab", true), ("(?:team|group)-[0-9]{1,3}", "team-42", true),
    (#"\d+"#, "12", true), (#"\d+"#, "١٢", false), (#"[(+*]+"#, "(+", true), (#"\(\+"#, "(+", true),
    ("a.c", "a\nc", false),
    ("(ab)+", "abab", true),
  ])
  func usualPatternsMatchWholeNames(source: String, name: String, matches: Bool) throws {
    #expect(try TopicPattern(source).matches(name) == matches)
  }

  /// The worst that is let through, on the longest name.
  @Test func theWorstPatternIsBounded() throws {
    let pattern = try TopicPattern("a*a*a*b")
    let took = processorTime { #expect(!pattern.matches(String(repeating: "a", count: 255))) }
    #expect(took < .seconds(5), "\(took)")
  }
}
