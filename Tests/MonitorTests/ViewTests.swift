import ParleyCoordination
@testable import ParleyMonitor
import ParleyRuntime
import Testing

@Suite struct ViewTests {
  /// A picture with everything in it, some of it hostile.
  private static func withState(_ body: @escaping @Sendable (MonitorState) throws -> Void) throws {
    try MonitorWorld.play { world in
      for number in 0..<40 { try await world.say("message \(number) 漢字 🙂 with some words to wrap around the edge") }
      try await world.say("esc \u{1B}[2J bidi \u{202E} nul-less\n\nthird line\tend", on: "ops")
      try await world.say(String(repeating: "long ", count: 4000), on: "ops")
      _ = try await world.adaTasks.post(TaskPost(topic: Topic("general"), title: "a task 名前"))
      try await world.withFeed { feed, _ in
        try body(MonitorState(await feed.snapshot(of: nil), options: MonitorOptions()))
      }
    }
  }

  /// Whatever the size, the scroll and what is selected: a whole picture, which a terminal shows as it is.
  @Test func everySizeIsAWholePicture() throws {
    try Self.withState { start in
      var state = start
      state.editor.insert("typing 漢字漢字漢字 and on and on, far beyond what fits into a line of any such terminal")
      for (rows, columns) in [
        (1, 1), (2, 10), (5, 20), (6, 21), (10, 40), (24, 75), (24, 76), (24, 80), (50, 132), (80, 300),
      ] {
        for scroll in [0, 3, 100_000] {
          for selected in [nil, MonitorPlace.topic(Topic("ops"))] {
            (state.scroll, state.selected) = (scroll, selected)
            let screen = MonitorView.render(state, rows: rows, columns: columns)
            #expect(screen.isWhole && screen.rows == rows && screen.columns == columns)
            if let cursor = screen.cursor { #expect(cursor.row < rows && cursor.column < columns) }
            var paper = PaperTerminal(rows: rows, columns: columns)
            paper.take(ScreenDiff.bytes(from: nil, to: screen, withColours: true))
            #expect(paper.complaints.isEmpty && paper.text == screen.text, "\(rows) x \(columns)")
          }
        }
      }
    }
  }

  @Test func theScreenSaysWhatMatters() throws {
    try Self.withState { start in
      var state = start
      let text = MonitorView.render(state, rows: 30, columns: 100).text.joined(separator: "\n")
      for words in [
        "all topics", "TOPICS", "general 41", "ops 2", "HERE", "ada", "TASKS 1 open or held", "live", "/help",
      ] {
        #expect(text.contains(words), "\(words) is not in\n\(text)")
      }
      state.unreadOnly = true
      state.showsHelp = true
      state.isReadOnly = true
      let help = MonitorView.render(state, rows: 40, columns: 100).text.joined(separator: "\n")
      #expect(
        help.contains("UNREAD") && help.contains("/topic") && !help.contains("/claim") && help.contains("read-only"))
    }
  }

  @Test func selectingGoesAround() throws {
    try Self.withState { start in
      var state = start
      var seen: [String] = []
      for _ in 0..<4 {
        seen.append(state.selectedName)
        state.select(step: 1)
      }
      #expect(seen == ["all topics", "general", "ops", "all topics"])
      for name in ["all topics", "ops", "general"] {
        state.select(step: -1)
        #expect(state.selectedName == name)
      }
      // A closed place is listed where closed ones are asked for, and the selected one always.
      var closed = PlaceLine(.room("old"), name: "chatroom/old")
      closed.isClosed = true
      state.snapshot.places.append(closed)
      #expect(state.places.count == 2)
      state.status = .all
      #expect(state.places.count == 3)
      state.status = .closed
      #expect(state.places.map(\.name) == ["general", "chatroom/old"])
      #expect(state.snapshot.place(named: "chat") == .room("old") && state.snapshot.place(named: "") == nil)
      #expect(state.snapshot.latest == .topic(Topic("ops")) || state.snapshot.latest == .topic(Topic("general")))
    }
  }

  @Test func linesAndJSONSayTheSame() throws {
    try Self.withState { state in
      let lines = MonitorText.lines(state, width: 60)
      #expect(lines.allSatisfy { Glyph.width(of: $0) <= 60 || $0 == lines[0] })
      #expect(lines.allSatisfy { line in !line.unicodeScalars.contains { $0.value < 0x20 || $0 == "\u{202E}" } })
      var writer = JSONWriter()
      writer.monitor(state, limit: 30)
      let json = try JSONValue(parsing: String(decoding: writer.bytes, as: UTF8.self))
      #expect(json["mode"]?.string == "overview" && json["topic"]?.isNull == true)
      #expect(json["topics"]?.array?.map { $0["unread_count"]?.int } == [41, 2])
      #expect(json["messages"]?.array?.count == state.messages.count && json["tasks"]?.array?.count == 1)
      #expect(json["participants"]?.array?.count == 1 && json["backend"]?["state"]?.string == "live")
    }
  }

  @Test func commandsAreRead() {
    let commands: [(String, MonitorInput)] = [
      ("hello /there", .post("hello /there", to: nil)), ("//etc", .post("/etc", to: nil)),
      ("/to bob see this", .post("see this", to: Handle("bob"))), ("/claim", .claim(nil)),
      ("/claim 7f3a", .claim("7f3a")),
      ("/done 7f3a it  runs", .finish("7f3a", .done("it  runs"))), ("/task two words", .taskPost(title: "two words")),
      ("/topic", .topic(nil)), ("/topic all", .topic(nil)), ("/topic ops", .topic("ops")), ("/from", .sender(nil)),
      ("/status closed", .status(.closed)), ("/unread", .unread), ("/read", .markRead), ("/q", .quit),
    ]
    for (line, expected) in commands {
      #expect(MonitorInput.parse(line) == .success(expected), "\(line)")
    }
    for line in ["/", "/nonsense", "/claim 1 2", "/done", "/status what", "/to bob", "/task", "/read now"] {
      guard case .failure(let problem) = MonitorInput.parse(line) else {
        Issue.record("\(line) was taken")
        continue
      }
      #expect(!problem.text.isEmpty)
    }
  }
}
