import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// How `parley` becomes the executable that carries the configured backend.
@Suite struct HandoverTests {
  private static let configuration = """
    backend: elsewhere
    identity: { handle: ada }
    topics: [general]
    backend_config: { url: "elsewhere://host" }

    """

  /// A workplace whose `bin/parley` is a copy of the program, and `bin/parley-full` the given script, if any.
  private static func use(
    sibling script: String?, at place: String = "bin",
    _ body: @escaping @Sendable (Workplace, _ program: String) async throws -> Void
  ) throws {
    let original = try ChildProcess.parleyPath()
    try Workplace.use { workplace in
      try workplace.write("parley.config.yaml", Self.configuration)
      for folder in ["bin", "libexec", "libexec/parley"] { mkdir(workplace.folder.path(folder), 0o700) }
      let program = workplace.folder.path("bin/parley")
      let copy = try ChildProcess(loop: workplace.loop, path: "/bin/cp", arguments: [original, program])
      try #require(await copy.waitForExit(until: workplace.soon) == .status(0))
      if let script {
        try workplace.write("\(place)/parley-full", script)
        chmod(workplace.folder.path("\(place)/parley-full"), 0o700)
      }
      try await body(workplace, program)
    }
  }

  private static func run(
    _ workplace: Workplace, _ program: String, _ arguments: [String], input: String = "",
    environment: [String: String] = [:]
  ) async throws -> (exit: ChildProcess.Exit?, output: [String], errors: [String]) {
    let process = try ChildProcess(
      loop: workplace.loop, path: program, arguments: arguments,
      environment: workplace.environment.merging(environment) { $1 }, directory: workplace.folder.path)
    process.send(input)
    process.closeInput()
    let exit = await process.waitForExit(until: workplace.soon)
    return (exit, process.outputLines, process.errorLines)
  }

  private static let witness = """
    #!/bin/sh
    echo "$PARLEY_HANDOVER" "$@"
    cat
    exit 17
    """

  @Test(arguments: ["bin", "libexec/parley"]) func becomesItsSiblingWithItsArgumentsAndUnreadInput(
    _ place: String
  ) throws {
    try Self.use(sibling: Self.witness, at: place) { workplace, program in
      let version = ParleyVersion.text
      for arguments in [
        ["serve"], ["post", "general"], ["fetch", "general"], ["config", "check"], ["config", "show"],
        ["--config", "parley.config.yaml"], ["tail", "general", "-c", "parley.config.yaml"],
      ] {
        let run = try await Self.run(workplace, program, arguments, input: "one\ntwo\n")
        #expect(run.exit == .status(17), "\(arguments): \(run)")
        #expect(run.output == ["\(version) \(arguments.joined(separator: " "))", "one", "two"])
      }
    }
  }

  @Test func whereverTheConfigurationIs() throws {
    try Self.use(sibling: Self.witness) { workplace, program in
      mkdir(workplace.folder.path("other"), 0o700)
      try workplace.write("other/mine.yaml", Self.configuration)
      try workplace.write("parley.config.yaml", Workplace.configuration())
      let named = try await Self.run(workplace, program, ["fetch", "general", "--config", "other/mine.yaml"])
      #expect(named.exit == .status(17))
      let variable = ["PARLEY_CONFIG": "other/mine.yaml"]
      #expect(try await Self.run(workplace, program, ["fetch", "general"], environment: variable).exit == .status(17))
      #expect(try await Self.run(workplace, program, ["fetch", "general"]).exit == .status(0))
      try workplace.write("parley.config.yaml", "backend: ${KIND:-sqlite}\nidentity: {handle: a}\ntopics: [general]\n")
      #expect(
        try await Self.run(workplace, program, ["config", "check"], environment: ["KIND": "redis"]).exit == .status(17))
    }
  }

  @Test func aMissingSiblingIsAnErrorWithTheWayOut() throws {
    try Self.use(sibling: nil) { workplace, program in
      for arguments in [["serve"], ["config", "check"], ["fetch", "general"], ["doctor"]] {
        let run = try await Self.run(workplace, program, arguments)
        #expect(run.exit == .status(3), "\(arguments): \(run)")
        let text = (run.output + run.errors).joined(separator: "\n")
        #expect(text.contains("parley.config.yaml:1: backend"), "\(text)")
        #expect(text.contains("parley-full is neither beside") && text.contains("make install"), "\(text)")
      }
      let version = try await Self.run(workplace, program, ["version"])
      #expect(version.exit == .status(0) && version.output.last == "parley-full is not installed")
    }
  }

  @Test func aSiblingThatIsTheSameProgramIsNoLoop() throws {
    try Self.use(sibling: nil) { workplace, program in
      try #require(link(program, workplace.folder.path("bin/parley-full")) == 0)
      let run = try await Self.run(workplace, program, ["fetch", "general"])
      #expect(run.exit == .status(3) && run.errors.contains { $0.contains("\"elsewhere\"") }, "\(run)")
    }
  }

  @Test func anotherVersionIsRefused() throws {
    try Workplace.use { workplace in
      let run = try await Self.run(
        workplace, try ChildProcess.parleyPath() + "-full", ["fetch", "general"],
        environment: ["PARLEY_HANDOVER": "0.0.1"])
      #expect(run.exit == .status(1) && run.errors.contains { $0.contains("0.0.1") }, "\(run)")
    }
  }

  @Test func theFullProgramServesWhatTheSmallOneServes() throws {
    try Workplace.use { workplace in
      let full = try ChildProcess.parleyPath() + "-full"
      #expect(try await Self.run(workplace, full, ["post", "general", "hello"]).output == ["1"])
      #expect(try await workplace.run("fetch", "general").output.first?.hasSuffix("ada> hello") == true)
      for arguments in [["--help"], ["--version"], ["completions", "bash"]] {
        let (small, large) = (
          try await Self.run(workplace, try ChildProcess.parleyPath(), arguments),
          try await Self.run(workplace, full, arguments)
        )
        #expect(small.exit == .status(0) && small.output == large.output && !small.output.isEmpty)
      }
      let version = try await Self.run(workplace, full, ["version"])
      #expect(version.output.contains { $0.hasPrefix("sqlite library") })
      #expect(!version.output.contains { $0.hasPrefix("parley-full") })
    }
  }
}
