@testable import ParleyMonitor
import ParleyRuntime
import Testing

@Suite struct ScreenTests {
  @Test func widthsOfGlyphs() {
    for (text, width) in [
      ("abc", 3), ("é", 1), ("e\u{301}", 1), ("漢字", 4), ("한", 2), ("🙂", 2), ("👨‍👩‍👧", 2), ("☎\u{FE0F}", 2), ("→", 1),
      ("ｗ", 2), ("\u{301}", 1), ("\u{200D}", 0), ("│", 1), ("שלום", 4),
    ] {
      #expect(Glyph.width(of: text) == width, "\(text)")
    }
  }

  /// Nothing that others write reaches a terminal as a control, and nothing reorders or hides.
  @Test func controlsAreShownNotDone() {
    var screen = Screen(rows: 3, columns: 80)
    screen.put(StyledLine("a\u{1B}[2Jb\u{202E}c\u{9B}d\r\ne\u{200B}f\tg"), row: 1, column: 0, width: 80)
    #expect(screen.text[1] == "a⟦U+001B⟧[2Jb⟦U+202E⟧c⟦U+009B⟧d⟦U+000D⟧⟦U+000A⟧e⟦U+200B⟧f    g")
    let bytes = ScreenDiff.bytes(from: nil, to: screen, withColours: true)
    var paper = PaperTerminal(rows: 3, columns: 80)
    paper.take(bytes)
    #expect(paper.complaints.isEmpty && paper.text == screen.text)
    // A pile of marks is bounded.
    let pile = "o" + String(repeating: "\u{301}", count: 10_000)
    #expect(Glyph.all(of: pile).map(\.text.utf8.count).reduce(0, +) < 40)
  }

  @Test func linesAreCutAndWrapped() {
    var screen = Screen(rows: 1, columns: 6)
    screen.put(StyledLine("漢字漢字"), row: 0, column: 0, width: 6)
    #expect(screen.text == ["漢字…"])
    screen.put(StyledLine("far"), row: 5, column: 0, width: 6)
    screen.put(StyledLine("far"), row: 0, column: 9, width: 6)
    #expect(screen.text == ["漢字…"])
    let wrapped = StyledLine("the quick brown fox 漢字漢字漢字 andaverylongwordwithoutblanks").wrapped(to: 12).map(\.text)
    #expect(wrapped.allSatisfy { Glyph.width(of: $0) <= 12 } && wrapped[0] == "the quick ")
    #expect(
      wrapped.map { $0.trimming() }.joined().replacing(" ", with: "")
        == "thequickbrownfox漢字漢字漢字andaverylongwordwithoutblanks")
  }

  /// What a terminal shows after any row of pictures is the last one, whatever it showed before.
  @Test func differencesLeadToThePicture() {
    var generator = SeededGenerator(seed: 7)
    var paper = PaperTerminal(rows: 8, columns: 30)
    var shown: Screen?
    for round in 0..<400 {
      var screen = shown ?? Screen(rows: 8, columns: 30)
      for _ in 0..<Int(generator.next() % 4) {
        let words = ["", " ", "abc", "漢", "x漢y🙂", "é", "👨‍👩‍👧 home", String(repeating: "-", count: 40)]
        let style = Style(generator.next() % 2 == 0 ? .red : nil, bold: generator.next() % 2 == 0)
        screen.put(
          StyledLine(words[Int(generator.next() % 8)], style), row: Int(generator.next() % 8),
          column: Int(generator.next() % 30), width: 30)
      }
      guard screen.isWhole else {
        // Half of a wide glyph was written over: the program never does that, so begin anew.
        shown = nil
        continue
      }
      paper.take(ScreenDiff.bytes(from: shown, to: screen, withColours: true))
      #expect(paper.complaints.isEmpty && paper.text == screen.text, "round \(round)")
      shown = screen
    }
  }

  @Test func onlyWhatChangedIsWritten() {
    var before = Screen(rows: 50, columns: 200)
    for row in 0..<50 {
      before.put(StyledLine(String(repeating: "text ", count: 40)), row: row, column: 0, width: 200)
    }
    var after = before
    after.put(StyledLine("X"), row: 20, column: 100, width: 1)
    #expect(ScreenDiff.bytes(from: before, to: before, withColours: true).isEmpty)
    #expect(ScreenDiff.bytes(from: before, to: after, withColours: true).count < 40)
    #expect(ScreenDiff.bytes(from: nil, to: after, withColours: true).count > 10_000)
  }

  @Test func withoutColoursThereAreNone() {
    var screen = Screen(rows: 1, columns: 20)
    screen.put(StyledLine("red", Style(.red, bold: true)), row: 0, column: 0, width: 20)
    for withColours in [true, false] {
      var paper = PaperTerminal(rows: 1, columns: 20)
      paper.take(ScreenDiff.bytes(from: nil, to: screen, withColours: withColours))
      #expect(paper.colours == (withColours ? ["31"] : []))
    }
  }
}

extension String {
  fileprivate func trimming() -> String {
    var text = Substring(self)
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
