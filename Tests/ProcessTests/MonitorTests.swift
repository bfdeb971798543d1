import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// `parley monitor` in a real terminal (tmux), and as text and JSON.
@Suite struct MonitorTests {
  private static func configuration(_ handle: String) -> String {
    """
    backend: sqlite
    identity: { handle: \(handle) }
    topics: [general, ops]
    backend_config: { db_path: parley.db, durability: normal }

    """
  }

  @Test func aPersonLooksOnAndTakesPart() throws {
    try Workplace.use { place in
      for handle in ["ann", "bob"] { try place.write("\(handle).yaml", Self.configuration(handle)) }
      _ = try await place.run("post", "--config", "bob.yaml", "general", "good morning")
      let posted = try await place.run("task", "post", "--config", "bob.yaml", "general", "build the docs")
      let label = try #require(posted.output.first?.prefix(4))
      try await Terminal.use(place, columns: 100, rows: 30, "monitor --config ann.yaml --interval 0.05 --topic general")
      { terminal in
        try await terminal.shows("good morning", "build the docs", "TOPICS", "HERE", "sqlite live", "general 2")
        // What others do appears by itself.
        _ = try await place.run("post", "--config", "bob.yaml", "general", "esc \u{1B}[2J\u{202E} 漢字 🙂 end")
        try await terminal.shows("esc ⟦U+001B⟧[2J⟦U+202E⟧ 漢字 🙂 end")
        _ = try await place.run("post", "--config", "bob.yaml", "ops", "elsewhere")
        try await terminal.shows("ops 1")
        // What is typed is posted; a paste of several lines is one message.
        try await terminal.type("hello from ann é漢", "Enter")
        try await terminal.shows("ann> hello from ann é漢")
        try await terminal.paste("first line\nsecond line")
        try await terminal.shows("> first line⏎second line")
        try await terminal.type("", "Enter")
        try await terminal.type("/claim", "Enter")
        try await terminal.shows("\(label) is yours until", "claimed")
        try await terminal.type("/done \(label) three pages", "Enter")
        try await terminal.shows("\(label) is done", "by ann: three pages")
        let page = try await place.run("fetch", "--config", "bob.yaml", "--json", "general")
        let messages = page.output.compactMap { try? JSONValue(parsing: $0) }
        #expect(messages.contains { $0["content"]?.string == "first line\nsecond line" })
        // A person typed it, whatever the configuration says: it ends a row of answers.
        let typed = messages.first { $0["content"]?.string == "hello from ann é漢" }
        #expect(typed?["attributes"]?["parley.hop"]?.string == "0")
        let awaited = try await place.run("task", "await", "--config", "bob.yaml", "--json", posted.output[0])
        #expect(awaited.json?["result"]?.string == "three pages" && awaited.json?["by"]?.string == "ann")
        // Marks move by an explicit act.
        try await terminal.keys("C-r")
        try await terminal.shows("read up to here")
        let topics = try await place.run("topics", "--config", "ann.yaml", "--json")
        #expect(topics.json?["unread"]?.int == 0)
        // Another size is another picture.
        try await terminal.resize(columns: 60, rows: 20)
        try await terminal.hides("TOPICS")
        try await terminal.shows("general", "first line")
        try await terminal.resize(columns: 120, rows: 40)
        try await terminal.shows("TOPICS", "HERE")
        try await terminal.keys("C-c")
        try await terminal.shows("ended 0", "echo on")
        try await terminal.hides("TOPICS")
      }
    }
  }

  /// Lines of the log do not blot the picture; they are there when it has gone.
  @Test func theLogWaitsForTheTerminal() throws {
    try Workplace.use { place in
      let server = try await RedisServer.start()
      defer { server.process.kill() }
      try place.write(
        "ann.yaml",
        """
        backend: redis
        identity: { handle: ann }
        topics: [general]
        backend_config: { url: "redis://127.0.0.1:\(server.port)", timeout_ms: 500, block_ms: 300 }

        """)
      try await Terminal.use(
        place, columns: 160, rows: 30, "monitor --config ann.yaml --interval 0.05 --log-level info"
      ) { terminal in
        try await terminal.shows("redis live", "TOPICS")
        server.process.kill()
        try await terminal.shows("redis away")
        let picture = try await terminal.picture()
        #expect(!picture.contains("parley: ") && picture.contains("TOPICS"), "\(picture)")
        try await terminal.keys("C-c")
        try await terminal.shows("before", "parley: warning: backend waitingToRetry", "ended 0", "echo on")
      }
    }
  }

  /// A conversation is called by its name or its members, not by the id of its topic.
  @Test func conversationsHaveNames() throws {
    try Workplace.use { place in
      for handle in ["ann", "bob"] { try place.write("\(handle).yaml", Self.configuration(handle)) }
      let made = try await place.run(
        "conversation", "create", "--config", "bob.yaml", "--name", "plans", "ann")
      let group = String(try #require(made.output.first?.split(separator: " ").first, "\(made.errors)"))
      let sent = try await place.run("conversation", "send", "--config", "bob.yaml", group, "to the group")
      #expect(sent.status == 0, "\(sent.errors)")
      let text = try await place.run("monitor", "--once", "--config", "ann.yaml").output.joined(separator: "\n")
      #expect(text.contains("~ plans bob> to the group"), "\(text)")
      #expect(!text.contains(group), "\(text)")
    }
  }

  /// However it ends, the terminal is as it was: the screen before, echo, line editing.
  @Test(arguments: [SIGTERM, SIGINT, SIGHUP]) func aSignalGivesTheTerminalBack(_ number: CInt) throws {
    try Workplace.use { place in
      try place.write("ann.yaml", Self.configuration("ann"))
      try await Terminal.use(place, columns: 80, rows: 24, "monitor --config ann.yaml --read-only") { terminal in
        try await terminal.shows("TOPICS", "read-only")
        // Nothing is posted, and it says so.
        try await terminal.type("x", "Enter")
        try await terminal.shows("read-only: nothing is posted")
        try await terminal.signal(number)
        try await terminal.shows("ended 0", "echo on")
        try await terminal.hides("TOPICS")
        #expect(try await place.run("fetch", "--config", "ann.yaml", "general").output.isEmpty)
      }
    }
  }

  /// A store that cannot be reached is on the screen, and so is its return.
  @Test func itWaitsForAStoreThatIsAway() throws {
    try Workplace.use { place in
      let server = try await RedisServer.start()
      defer { server.process.kill() }
      let url = "redis://127.0.0.1:\(server.port)"
      try place.write(
        "ann.yaml",
        """
        backend: redis
        identity: { handle: ann }
        topics: [general]
        backend_config: { url: "\(url)", timeout_ms: 800, block_ms: 400 }

        """)
      try await Terminal.use(place, columns: 120, rows: 24, "monitor --config ann.yaml --interval 0.05") { terminal in
        try await terminal.shows("redis live", "No messages here yet.")
        server.process.kill()
        try await terminal.shows("redis away since")
        try await server.process.start()
        try await terminal.shows("redis live")
        try await terminal.type("back again", "Enter")
        try await terminal.shows("ann> back again")
        try await terminal.keys("C-c")
        try await terminal.shows("ended 0")
      }
    }
  }

  @Test func onePictureAsTextAndJSON() throws {
    try Workplace.use { place in
      for handle in ["ann", "bob", "carol"] { try place.write("\(handle).yaml", Self.configuration(handle)) }
      for number in 0..<3 { _ = try await place.run("post", "--config", "bob.yaml", "general", "message \(number)") }
      _ = try await place.run("post", "--config", "bob.yaml", "general", "for carol", "--to", "carol")
      _ = try await place.run("post", "--config", "bob.yaml", "ops", "deploy\u{1B}[31m now")
      _ = try await place.run("task", "post", "--config", "bob.yaml", "ops", "restart it")
      let text = try await place.run("monitor", "--config", "ann.yaml", "--once")
      let all = text.output.joined(separator: "\n")
      #expect(text.status == 0, "\(text.errors)")
      for words in ["all topics", "general 3", "ops 2", "bob", "restart it", "deploy⟦U+001B⟧[31m now", "message 2"] {
        #expect(all.contains(words), "\(words) is not in\n\(all)")
      }
      #expect(!all.unicodeScalars.contains("\u{1B}"))
      func picture(_ arguments: String...) async throws -> JSONValue {
        let process = try place.start(["monitor", "--config", "ann.yaml", "--once", "--format", "json"] + arguments)
        process.closeInput()
        let exit = await process.waitForExit(until: place.soon)
        #expect(exit == .status(0), "\(arguments): \(process.errorLines)")
        return try JSONValue(parsing: process.outputLines.first ?? "{}")
      }
      func contents(_ picture: JSONValue) -> [String?]? { picture["messages"]?.array?.map { $0["content"]?.string } }
      let overview = try await picture()
      #expect(overview["mode"]?.string == "overview" && overview["limit"]?.int == 30)
      #expect(overview["topics"]?.array?.map { $0["unread_count"]?.int } == [3, 2])
      #expect(overview["tasks"]?.array?.count == 1 && overview["backend"]?["state"]?.string == "live")
      #expect(contents(try await picture("--topic", "general", "--limit", "2")) == ["message 2", "for carol"])
      #expect(try await picture("--latest-topic")["topic"]?.string == "ops")
      let carols = try await picture("--participant", "carol", "--topic", "general")
      #expect(carols["participant_filter"]?.string == "carol")
      #expect(carols["topics"]?.array?.first?["unread_count"]?.int == 4)
      #expect(contents(try await picture("--participant", "dan", "--topic", "general"))?.count == 3)
      _ = try await place.run("fetch", "--config", "ann.yaml", "general", "--mark-read")
      #expect(try await picture("--unread-only")["topics"]?.array?.map { $0["topic"]?.string } == ["ops"])
      #expect(try await picture("--status", "closed")["topics"]?.array?.isEmpty == true)
      for (arguments, status) in [
        (["--topic", "nowhere"], 6), (["--topic", "ops", "--latest-topic"], 2), (["--limit", "0"], 2),
        (["--interval", "0"], 2), (["--interval", "nan"], 2), (["--unread-only", "--topic", "ops"], 2),
        (["--status", "ajar"], 2), (["--format", "xml"], 2),
      ] {
        let process = try place.start(["monitor", "--config", "ann.yaml", "--once"] + arguments)
        process.closeInput()
        #expect(await process.waitForExit(until: place.soon) == .status(CInt(status)), "\(arguments)")
      }
    }
  }

  /// Where no terminal is, each change is one more picture.
  @Test func withoutATerminalItPrintsWhatChanges() throws {
    try Workplace.use { place in
      for handle in ["ann", "bob"] { try place.write("\(handle).yaml", Self.configuration(handle)) }
      let monitor = try place.start(["monitor", "--config", "ann.yaml", "--format", "json", "--interval", "0.05"])
      let first = await monitor.nextLine(until: place.soon).flatMap { try? JSONValue(parsing: $0) }
      #expect(first?["messages"]?.array?.isEmpty == true)
      _ = try await place.run("post", "--config", "bob.yaml", "general", "news")
      var told = false
      while !told, let line = await monitor.nextLine(until: place.soon) {
        told = try JSONValue(parsing: line)["messages"]?.array?.last?["content"]?.string == "news"
      }
      #expect(told)
      monitor.kill(SIGTERM)
      _ = await monitor.waitForExit(until: place.soon)
    }
  }

  /// The chatroom's topics are open and closed, and take what is typed.
  @Test func aChatroomsTopicsAreListed() throws {
    try Workplace.use { place in
      try place.write("ann.yaml", Self.configuration("ann") + "compat: [chatroom]\n")
      let client = try Client(place, config: "ann.yaml")
      try await client.initialize()
      for (number, id) in ["design", "old"].enumerated() {
        _ = await client.call(10 + number, "open_topic", ["topic_id": .string(id), "title": "a topic"])
      }
      _ = await client.call(
        20, "send_message", ["name": "planner", "topic_id": "design", "content": "blue or green?"])
      _ = await client.call(21, "close_topic", ["topic_id": "old"])
      func topics(_ status: String) async throws -> [String?]? {
        let run = try await place.run(
          "monitor", "--config", "ann.yaml", "--once", "--format", "json", "--status", status)
        return run.json?["topics"]?.array?.map { $0["topic"]?.string }
      }
      #expect(try await topics("open") == ["general", "ops", "chatroom/design"])
      #expect(try await topics("closed") == ["chatroom/old"])
      #expect(try await topics("all") == ["general", "ops", "chatroom/design", "chatroom/old"])
      try await Terminal.use(
        place, columns: 100, rows: 24, "monitor --config ann.yaml --interval 0.05 --topic chatroom/design"
      ) { terminal in
        try await terminal.shows("planner> blue or green?")
        try await terminal.type("green", "Enter")
        try await terminal.shows("ann> green")
        try await terminal.keys("C-c")
        try await terminal.shows("ended 0")
        let read = await client.call(22, "read_messages", ["topic_id": "design"])
        #expect("\(String(describing: read))".contains("green"))
      }
    }
  }
}

/// A tmux of its own with one pane, in which a command of parley runs and a shell says how it ended.
struct Terminal: Sendable {
  let place: Workplace
  private let socket: String

  /// Runs `body` with the terminal, and ends tmux in any case.
  static func use(
    _ place: Workplace, columns: Int, rows: Int, _ command: String, _ body: (Terminal) async throws -> Void
  ) async throws {
    let terminal = try await open(place, columns: columns, rows: rows, command)
    do {
      try await body(terminal)
      try await terminal.tmux(["kill-server"])
    } catch {
      try await terminal.tmux(["kill-server"])
      throw error
    }
  }

  private static func open(
    _ place: Workplace, columns: Int, rows: Int, _ command: String
  ) async throws -> Terminal {
    let terminal = Terminal(place: place, socket: place.folder.path("tmux.sock"))
    let parley = try ChildProcess.parleyPath()
    // What the shell wrote before is there again when the alternate screen is left.
    let script =
      "printf 'before\\n'; '\(parley)' \(command); printf 'ended %s\\n' $?; "
      + "stty -a | grep -qw -- -echo || printf 'echo on\\n'; cat"
    try place.write("run.sh", script + "\n")
    _ = try await terminal.tmux(
      ["-f", "/dev/null", "new-session", "-d", "-x", "\(columns)", "-y", "\(rows)", "-s", "t", "sh run.sh"])
    return terminal
  }

  @discardableResult
  private func tmux(_ arguments: [String]) async throws -> [String] {
    let process = try ChildProcess(
      loop: place.loop, path: "/usr/bin/tmux", arguments: ["-u", "-S", socket] + arguments,
      environment: place.environment.merging(["LANG": "C.UTF-8", "TERM": "xterm-256color"]) { $1 },
      directory: place.folder.path)
    process.closeInput()
    let exit = await process.waitForExit(until: place.soon)
    #expect(exit == .status(0), "tmux \(arguments): \(process.errorLines)")
    return process.outputLines
  }

  /// What is on the screen now.
  func picture() async throws -> String { try await tmux(["capture-pane", "-p", "-t", "t"]).joined(separator: "\n") }

  private func wait(_ condition: (String) -> Bool) async throws -> String? {
    let deadline = place.soon
    var picture = ""
    while place.loop.now < deadline {
      picture = try await self.picture()
      if condition(picture) { return nil }
      await place.loop.sleep(for: .milliseconds(50))
    }
    return picture
  }

  func shows(_ words: String..., location: SourceLocation = #_sourceLocation) async throws {
    if let picture = try await wait({ picture in words.allSatisfy { picture.contains($0) } }) {
      Issue.record(
        "\(words.filter { !picture.contains($0) }) is not on the screen:\n\(picture)", sourceLocation: location)
    }
  }

  func hides(_ words: String, location: SourceLocation = #_sourceLocation) async throws {
    if let picture = try await wait({ !$0.contains(words) }) {
      Issue.record("\(words) is still on the screen:\n\(picture)", sourceLocation: location)
    }
  }

  /// Types text, then keys by tmux's names.
  func type(_ text: String, _ keys: String...) async throws {
    if !text.isEmpty { try await tmux(["send-keys", "-t", "t", "-l", text]) }
    for key in keys { try await self.keys(key) }
  }

  func keys(_ key: String) async throws { try await tmux(["send-keys", "-t", "t", key]) }

  func paste(_ text: String) async throws {
    try await tmux(["set-buffer", text])
    try await tmux(["paste-buffer", "-p", "-t", "t"])
  }

  func resize(columns: Int, rows: Int) async throws {
    try await tmux(["resize-window", "-t", "t", "-x", "\(columns)", "-y", "\(rows)"])
  }

  /// Sends a signal to the program that the shell runs.
  func signal(_ number: CInt) async throws {
    let shell = try await tmux(["display-message", "-p", "-t", "t", "#{pane_pid}"]).first ?? ""
    let children = try #require(TextFile.read("/proc/\(shell)/task/\(shell)/children"))
    let child = try #require(children.split(separator: " ").compactMap { pid_t($0) }.first)
    #expect(kill(child, number) == 0)
  }
}
