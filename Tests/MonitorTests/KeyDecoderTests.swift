@testable import ParleyMonitor
import Testing

@Suite struct KeyDecoderTests {
  private static let typed =
    "ab\u{1B}[A\u{1B}OB\u{1B}[1;5C\u{1B}[5~\u{1B}[3~é漢🙂\u{7F}\r\u{1B}[Z\t\u{12}\u{1B}[200~one\r\ntwo\u{1B}[A\u{1B}[201~z"
  private static let keys: [Key] = [
    .text("a"), .text("b"), .up, .down, .right, .pageUp, .delete, .text("é"), .text("漢"), .text("🙂"), .backspace,
    .enter, .backTab, .tab, .control("r"), .paste("one\ntwo\u{1B}[A"), .text("z"),
  ]

  /// However a line cuts what was typed, it is the same.
  @Test func anyTwoCutsGiveTheSameKeys() {
    let bytes = Array(Self.typed.utf8)
    for first in 0...bytes.count {
      for second in stride(from: first, through: bytes.count, by: 3) {
        var decoder = KeyDecoder()
        let keys =
          decoder.feed(bytes[..<first]) + decoder.feed(bytes[first..<second]) + decoder.feed(bytes[second...])
        #expect(keys == Self.keys, "cut at \(first) and \(second)")
        #expect(!decoder.isWaiting)
      }
    }
  }

  @Test func aLoneEscapeIsAKeyOnceNothingFollows() {
    var decoder = KeyDecoder()
    var keys = decoder.feed([0x1B])
    #expect(keys.isEmpty && decoder.isWaiting)
    keys = decoder.flush()
    #expect(keys == [.escape] && !decoder.isWaiting)
    keys = decoder.feed([0x1B, UInt8(ascii: "[")])
    #expect(keys.isEmpty && decoder.isWaiting)
    keys = decoder.flush()
    #expect(keys.isEmpty && !decoder.isWaiting)
    keys = decoder.feed(Array("x".utf8))
    #expect(keys == [.text("x")])
  }

  /// Mouse reports, answers of the terminal and damaged text leave nothing behind.
  @Test func whatIsNotKnownIsDropped() {
    for noise in ["\u{1B}[<0;10;20M", "\u{1B}[?62;c", "\u{1B}[1;2P", "\u{1B}x", "\u{0}"] {
      var decoder = KeyDecoder()
      let keys = decoder.feed(Array((noise + "k").utf8))
      #expect(keys.last == .text("k") && !keys.dropLast().contains { if case .text = $0 { true } else { false } })
    }
    for bytes in [[0xFF], [0xC3, 0x28], [0xC2, 0x85], [0xED, 0xA0, 0x80]] as [[UInt8]] {
      var decoder = KeyDecoder()
      let keys = decoder.feed(bytes + Array("k".utf8))
      #expect(
        keys.last == .text("k")
          && !keys.contains { key in
            if case .text(let character) = key { return !character.isASCII }
            return false
          })
    }
  }

  /// A sequence without an end, and a paste without one, take a bounded room.
  @Test func nothingGrowsForEver() {
    var decoder = KeyDecoder()
    _ = decoder.feed(Array("\u{1B}[".utf8) + Array(repeating: UInt8(ascii: "1"), count: 100))
    let after = decoder.feed(Array("k".utf8))
    #expect(after == [.text("k")])
    _ = decoder.feed(Array("\u{1B}[200~".utf8))
    for _ in 0..<40 { _ = decoder.feed(Array(repeating: UInt8(ascii: "p"), count: 10_000)) }
    guard case .paste(let text)? = decoder.feed(Array("\u{1B}[201~".utf8)).first else {
      Issue.record("no paste")
      return
    }
    #expect(text.utf8.count == KeyDecoder.pasteBytes)
  }

  @Test func theEditorEdits() {
    var editor = LineEditor()
    func press(_ keys: Key...) -> Bool {
      var tookAll = true
      for key in keys { tookAll = editor.take(key) && tookAll }
      return tookAll
    }
    func holds(_ took: Bool, _ text: String, _ location: SourceLocation = #_sourceLocation) {
      #expect(took && editor.text == text, sourceLocation: location)
    }
    editor.insert("hello wörld")
    holds(press(.control("w")), "hello ")
    editor.insert("e\u{301}x")
    holds(press(.backspace), "hello e\u{301}")
    holds(press(.backspace), "hello ")
    holds(press(.home, .delete), "ello ")
    holds(press(.end, .control("u")), "")
    holds(!press(.tab), "")
    editor.insert(String(repeating: "漢", count: 10) + "\nend")
    let (text, cursor) = editor.window(9)
    #expect(text.hasSuffix("⏎end") && cursor <= 9 && Glyph.width(of: text) == cursor)
    var small = LineEditor(limit: 5)
    small.insert("abc漢x")
    #expect(small.text == "abc")
  }
}
