import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// The command line, as a user or a script sees it: output, exit codes, JSON.
@Suite struct CommandTests {
  @Test func postThenFetch() throws {
    try Workplace.use { place async throws in
      let posted = try await place.run("post", "general", "hello", "world")
      #expect(posted.status == 0 && posted.output == ["1"])
      let piped = try await place.run("post", "general", "-", "--json", input: "from a pipe\n")
      #expect(piped.status == 0 && piped.json?["durability"]?.string == "synced")
      #expect(piped.json?["duplicate"]?.bool == false)
      let fetched = try await place.run("fetch", "general")
      #expect(fetched.status == 0)
      #expect(fetched.output.map { String($0.dropFirst(6)) } == ["ada> hello world", "ada> from a pipe"])
      let lines = try await place.run("fetch", "general", "--json").output.map { try JSONValue(parsing: $0) }
      #expect(lines.count == 3)
      #expect(lines[0]["content"]?.string == "hello world" && lines[0]["senderHandle"]?.string == "ada")
      #expect(lines[2]["nextCursor"]?.string == lines[1]["cursor"]?.string)
      let cursor = try #require(lines[0]["cursor"]?.string)
      #expect(try await place.run("fetch", "general", "--since", cursor).output.count == 1)
      #expect(try await place.run("fetch", "general", "--before", cursor).output.isEmpty)
    }
  }

  @Test func aKeyIsOneMessage() throws {
    try Workplace.use { place async throws in
      let first = try await place.run("post", "general", "once", "--key", "k", "--json")
      let second = try await place.run("post", "general", "once", "--key", "k", "--json")
      #expect(first.json?["id"] == second.json?["id"] && second.json?["duplicate"]?.bool == true)
      let other = try await place.run("post", "general", "twice", "--key", "k", "--json")
      #expect(other.status == 1 && other.errorCode == "keyReused")
    }
  }

  @Test func attributesRepliesAndRecipientsRoundTrip() throws {
    try Workplace.use { place async throws in
      _ = try await place.run("post", "general", "question")
      let reply = try await place.run(
        "post", "general", "answer", "--reply-to", "1", "--to", "bob", "--attribute", "kind=work", "--attribute",
        "n=a=b")
      #expect(reply.status == 0)
      let message = try await place.run("fetch", "general", "--json").output.map { try JSONValue(parsing: $0) }[1]
      #expect(message["inReplyTo"]?.string == "1" && message["to"]?.string == "bob")
      #expect(message["attributes"]?["kind"]?.string == "work" && message["attributes"]?["n"]?.string == "a=b")
    }
  }

  @Test func exitCodesAreStable() throws {
    try Workplace.use { place async throws in
      for (arguments, status, code) in [
        (["post", "secret", "x"], 6, "topicNotAllowed"), (["post", "@ada", "x"], 6, "topicNotAllowed"),
        (["post", "general", "x", "--as", "eve"], 6, "handleNotAllowed"),
        (["fetch", "general", "--since", "nonsense"], 2, "cursorInvalid"),
        (["fetch", "general", "--since", "redis.x.1-0"], 2, "cursorInvalid"),
        (["wait", "general", "--timeout", "0.05"], 4, "timedOut"),
        (["fetch", "general", "--nonsense"], 2, "usage"), (["nonsense"], 2, "usage"),
        (["fetch", "general", "--limit", "0"], 2, "usage"), (["wait", "--timeout", "nan"], 2, "usage"),
        (["fetch", "--config", "missing.yaml", "general"], 3, "configuration"),
        (["post", "general", "x", "--attribute", "parley.x=1"], 2, "invalidRequest"),
      ] as [([String], Int32, String)] {
        let process = try place.start(arguments + ["--json"])
        process.closeInput()
        let exit = await process.waitForExit(until: place.soon)
        let told = process.errorLines.last.flatMap { try? JSONValue(parsing: $0) }?["error"]?["code"]?.string
        #expect(exit == .status(status) && told == code, "\(arguments): \(process.errorLines)")
        #expect(process.outputLines.isEmpty, "\(arguments)")
      }
      // What cannot be written was not given.
      let shell = try ChildProcess(
        loop: place.loop, path: "/bin/sh",
        arguments: ["-c", "'\(try ChildProcess.parleyPath())' config show >/dev/full"],
        environment: place.environment, directory: place.folder.path)
      #expect(await shell.waitForExit(until: place.soon) == .status(1))
      #expect(try await place.run("doctor", "--config", "missing.yaml").status == 3)
      #expect(try await place.run("post", "ctx-1", "x").status == 0)
      #expect(try await place.run("post", "general", "x", "--as", "builder").status == 0)
      #expect(try await place.run("--help").status == 0)
    }
  }

  @Test func anUnreachableBackendIsExitCode5WithItsCause() throws {
    try Workplace.use { place async throws in
      try place.write(
        "away.yaml", Workplace.configuration().replacing("db_path: parley.db", with: "db_path: /nowhere/parley.db"))
      let run = try await place.run(
        "post", "general", "x", "--config", place.folder.path("away.yaml"), "--patience", "0.3", "--json")
      #expect(run.status == 5 && run.errorCode == "unavailable", "\(run)")
      #expect(run.errors.last?.contains("/nowhere") == true)
    }
  }

  @Test func aWaitEndsWithTheMessageThatWasWaitedFor() throws {
    try Workplace.use { place async throws in
      let waiting = try place.start(["wait", "--match", "depl[oy]+ed", "--from", "ada", "--json"])
      // Its own line on standard error would need a terminal; the start is known from the log.
      for number in 0..<200 {
        _ = try await place.run("post", "ops", number == 0 ? "not yet" : "deployed \(number)")
        if await waiting.wait(until: place.loop.now.advanced(by: .milliseconds(20)), for: { $0.exit != nil }) { break }
      }
      #expect(await waiting.waitForExit(until: place.soon) == .status(0))
      let message = try JSONValue(parsing: try #require(waiting.outputLines.first))
      #expect(message["content"]?.string?.hasPrefix("deployed") == true && message["topic"]?.string == "ops")
    }
  }

  @Test func aTailShowsWhatWasAndWhatComesAndEndsQuietlyWithItsReader() throws {
    try Workplace.use { place async throws in
      _ = try await place.run("post", "general", "before")
      let tail = try place.start(["tail", "general"])
      let first = await tail.nextLine(until: place.soon)
      #expect(first?.hasSuffix("ada> before") == true)
      _ = try await place.run("post", "general", "evil \u{1b}[2J\u{202e}text")
      let second = await tail.nextLine(until: place.soon)
      #expect(second?.hasSuffix("ada> evil ⟦U+001B⟧[2J⟦U+202E⟧text") == true)
      tail.kill(SIGINT)
      #expect(await tail.waitForExit(until: place.soon) == .signal(SIGINT))
      #expect(tail.errorLines.isEmpty)
    }
  }

  @Test func topicsConfigVersionCompletions() throws {
    try Workplace.use { place async throws in
      _ = try await place.run("post", "general", "x", "--as", "builder")
      let topics = try await place.run("topics", "--json").output.map { try JSONValue(parsing: $0) }
      #expect(topics.map { $0["topic"]?.string } == ["general", "ops"])
      #expect(topics[0]["unread"]?.int == 1 && topics[1]["unread"]?.int == 0)
      let check = try await place.run("config", "check", "--json")
      #expect(check.status == 0 && check.json?["ok"]?.bool == true)
      try place.write("bad.yaml", "backend: sqlite\ntopcs: [a]\nidentity: {}\n")
      let bad = try await place.run("config", "check", "--config", place.folder.path("bad.yaml"), "--json")
      #expect(bad.status == 3 && (bad.json?["problems"]?.array?.count ?? 0) >= 2, "\(bad.output)")
      try place.write("tools.yaml", Workplace.configuration(extra: "tools: [post, parley_wait, parley_wiat]"))
      let tools = try await place.run("config", "check", "--config", place.folder.path("tools.yaml"))
      #expect(tools.status == 3 && tools.output.contains { $0.contains("tools.2") && $0.contains("parley_wait") })
      #expect(try await place.run("config", "show").output.contains { $0.contains("ada") })
      let version = try await place.run("version", "--json").json
      #expect(version?["parley"]?.string == ParleyVersion.text && version?["backends"]?["sqlite"] != nil)
      for shell in ["bash", "zsh", "fish"] { #expect(try await place.run("completions", shell).output.count > 20) }
      #expect(try await place.run("completions", "tcsh").status == 2)
    }
  }

  @Test func readMarksMoveOnlyWhenAsked() throws {
    try Workplace.use { place async throws in
      for text in ["1", "2", "3"] { _ = try await place.run("post", "general", text, "--as", "builder") }
      #expect(try await place.run("fetch", "general", "--unread").output.count == 3)
      #expect(try await place.run("fetch", "general", "--unread", "--limit", "2", "--mark-read").status == 0)
      #expect(try await place.run("topics", "--json").json?["unread"]?.int != 3)
      _ = try await place.run("post", "general", "4", "--as", "builder")
      let rest = try await place.run("fetch", "general", "--unread", "--mark-read")
      #expect(rest.output.last?.hasSuffix("builder> 4") == true)
      #expect(try await place.run("fetch", "general", "--unread").output.isEmpty)
    }
  }

  @Test func doctorFindsWhatIsWrong() throws {
    try Workplace.use { place async throws in
      let well = try await place.run("doctor", "--json")
      let findings = try well.output.map { try JSONValue(parsing: $0) }
      #expect(well.status == 0, "\(well.output)")
      #expect(findings.contains { $0["subject"]?.string == "latency" && $0["level"]?.string == "ok" })
      #expect(findings.contains { $0["subject"]?.string == "channels" })
      try place.write(".mcp.json", #"{"mcpServers":{"p":{"command":"/nowhere/parley"}}}"#)
      let client = try await place.run("doctor")
      #expect(client.status == 1 && client.output.contains { $0.contains("/nowhere/parley") }, "\(client.output)")
      try place.write("away.yaml", Workplace.configuration().replacing("parley.db", with: "/nowhere/parley.db"))
      let away = try await place.run("doctor", "--config", place.folder.path("away.yaml"), "--patience", "0.3")
      #expect(away.status == 1 && away.output.contains { $0.hasPrefix("[error] backend") }, "\(away.output)")
    }
  }

  @Test func theDemoIsWhatItSays() throws {
    try Workplace.use { place async throws in
      let demo = try await place.run("demo", "--json")
      #expect(demo.status == 0, "\(demo.errors)")
      let events = try demo.output.map { try JSONValue(parsing: $0)["event"]?.string }
      #expect(events == ["started", "started", "pushed", "pushed"])
    }
  }

  @Test func withoutAConfigurationAgentsOfOneFolderMeet() throws {
    try Workplace.use { place async throws in
      let (one, two) = (place.folder.path("one"), place.folder.path("two"))
      for folder in [one, two] { mkdir(folder, 0o700) }
      #expect(try await place.run("post", "general", "here", directory: one).status == 0)
      #expect(try await place.run("fetch", "general", directory: one).output.count == 1)
      #expect(try await place.run("fetch", "general", directory: two).output.isEmpty)
      #expect(try await place.run("config", "show", directory: one).output.contains { $0.contains("one") })
    }
  }
}
