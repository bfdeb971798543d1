import ArgumentParser
import CFloors
import CLinux
import Glibc

/// The way in: `floor …` runs a C floor as our child, `constant …` the HTTP server's; all else is the measuring
/// command.
@main
enum Entry {
  static func main() {
    switch CommandLine.arguments.dropFirst().first {
    case "floor": exit(unsafe parley_floor(CommandLine.argc - 2, CommandLine.unsafeArgv + 2))
    case "constant": ConstantServer.serve(CommandLine.arguments.dropFirst(2))
    default: ParleyBench.main()
    }
  }
}

/// Measures a `parley` binary beside the same work in plain C.
struct ParleyBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "parley bench",
    abstract: "Measure Parley through real processes and pipes, beside plain C doing the same work.",
    discussion: """
      Scenarios: start, stdio, post, push, fetch, idle, writers, and scale, which fills 1.5 GB of disk and runs only \
      when it is named or with --full. With --backend redis or nats: start, seam, post, push, fetch and topics; with \
      --backend matrix or xmpp: start, push, fetch and topics; over a server that is started for it, or the one that \
      --url names (with PARLEY_BENCH_ACCOUNT and PARLEY_BENCH_PASSWORD where it has accounts). Tasks (--tasks) run on \
      every backend, and only when they are named; so is http, which measures the HTTP door over SQLite. Every run ends with the \
      history checker's verdict.
      """)

  /// The backends that can be measured.
  enum Backend: String, CaseIterable, ExpressibleByArgument { case sqlite, redis, nats, matrix, xmpp }

  /// A scenario, or all of the usual ones.
  enum Choice: String, CaseIterable, ExpressibleByArgument {
    case start, stdio, post, push, fetch, idle, writers, scale, seam, topics, tasks, http, all
  }

  @Argument(help: "What to measure.") var scenarios: [Choice] = [.all]
  @Flag(help: "Print one JSON object instead of tables.") var json = false
  @Option(help: ArgumentHelp("Write a latency plot.", valueName: "file")) var svg: String?
  @Option(help: "The backend to measure.") var backend = Backend.sqlite
  @Option(help: "The server of that backend; topics named bench-… stay behind on it.") var url: String?
  @Option(help: ArgumentHelp("A PEM file of authorities to trust for it instead of the system's.", valueName: "file"))
  var caFile: String?
  @Option(help: "Rounds per measurement; the report shows their medians.") var rounds = 3
  @Option(
    help:
      "Requests per round with one outstanding; pipelined rounds send four times as many, Matrix a fiftieth, XMPP a tenth."
  )
  var messages = 5000
  @Flag(help: "Also run scale.") var full = false
  @Flag(help: "Measure tasks, and nothing else unless it is named.") var tasks = false
  @Flag(help: "Exit with 1 when a goal is missed by more than twice, or a message is lost.") var check = false
  @Option(help: ArgumentHelp("Where to make databases: its disk is measured too.", valueName: "path"))
  var directory: String?

  func validate() throws {
    guard rounds > 0, messages > 1 else { throw ValidationError("--rounds and --messages must be positive") }
  }

  func run() throws {
    Watchdog.install()
    let bench = Files.linkTarget("/proc/self/exe") ?? "parley-bench"
    let sibling = bench.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    let directory = directory ?? Self.environment("TMPDIR") ?? "/tmp"
    let target = try target(floors: sibling)
    let rig = Rig(
      parley: Self.environment("PARLEY_BIN") ?? sibling + "/parley", bench: bench, directory: directory,
      rounds: rounds, messages: messages, target: target)
    guard unsafe access(rig.parley, X_OK) == 0 else {
      throw ValidationError("no parley binary at \(rig.parley); name one in PARLEY_BIN")
    }
    var report = Report(machine: Machine(directory: directory), backend: backend.rawValue, rounds: rounds)
    say(report.heading)
    for scenario in chosen {
      do {
        let outcome = try scenario.run(rig)
        report.outcomes.append(outcome)
        say(Report.table(outcome))
      } catch {
        report.failures.append((scenario.rawValue, error.description))
        say("\n\(scenario.rawValue): not measured: \(error)\n")
      }
    }
    print(json ? report.json : "\n" + report.judgement)
    if let svg { try Files.write(LatencyPlot(report).svg, to: svg) }
    if check ? report.isGross : !report.verdict.isClean || !report.failures.isEmpty { throw ExitCode.failure }
  }

  private func target(floors folder: String) throws -> ServerTarget? {
    guard let kind = ServerTarget.Kind(rawValue: backend.rawValue) else { return nil }
    guard let url else { return try .starting(kind, floors: folder) }
    return try ServerTarget(kind, url: url, folder, authorities: caFile)
  }

  private var chosen: [Scenario] {
    let all =
      switch ServerTarget.Kind(rawValue: backend.rawValue) {
      case nil: Scenario.usual
      case .some(let kind): kind.hasPeople ? Scenario.usualOfRooms : Scenario.usualOfServers
      }
    let usual = scenarios.contains(.all) && !tasks ? all : []
    let named = scenarios.compactMap { Scenario(rawValue: $0.rawValue) } + (tasks ? [.tasks] : [])
    return Scenario.allCases.filter { usual.contains($0) || named.contains($0) || (full && $0 == .scale) }
  }

  // Tables appear as they are made; with --json standard output holds the object alone.
  private func say(_ text: String) {
    if !json { print(text, terminator: "") }
    fflush(nil)
  }

  private static func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }
}
