import ArgumentParser
import Glibc
import ParleyConfiguration
import ParleyRuntime

/// `parley demo`: two agents hand over work on a fresh SQLite file, or over a server that the demo is pointed at;
/// everything that is printed really happened.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Watch two agents talk through a fresh SQLite file, or over a server.",
    discussion: """
      Starts two MCP servers as child processes, lets one hand over work and the other answer, and shows the log. \
      Ends with 0 only if every message was pushed live to the other process. Over a server, the agents talk on a \
      topic of their own with a random name, which stays there. Where people have accounts (Matrix, XMPP), a person \
      with a plain client of that server takes part; the passwords are read from PARLEY_DEMO_PASSWORD (the agents') and \
      PARLEY_DEMO_PERSON_PASSWORD.
      """)

  @OptionGroup var shared: SharedOptions

  @Option(help: "Talk over a server of this backend instead of through a file.")
  var backend: String?

  @Option(help: "The server's address (default: the backend's own).")
  var url: String?

  @Option(help: "The account that the agents share, where people have accounts.")
  var agents: String?

  @Option(help: "The account of the person who takes part.")
  var person: String?

  @Option(help: "A PEM file of authorities to trust for that server instead of the system's.")
  var caFile: String?

  func validate() throws {
    guard backend != nil || [url, agents, person, caFile].allSatisfy({ $0 == nil }) else {
      throw ValidationError("--url, --agents, --person and --ca-file need --backend, which says of what.")
    }
  }

  func run() throws {
    // An agent's process that has ended is told as such; it must not end the demo with its folder left behind.
    signal(SIGPIPE, SIG_IGN)
    let place =
      if let backend {
        try DemoPlace(backend: backend, url: url, agents: agents, person: person, authorities: caFile)
      } else { DemoPlace() }
    let folder = try DemoFolder(place)
    defer { folder.remove() }
    let executable = try Siblings.ownPath()
    let output = shared.output
    let loop = try EventLoop(name: "demo")
    let story = DemoStory(executable: executable, folder: folder, loop: loop, output: output)
    let guest = try loop.run { await story.invite() }.get()
    defer { if let guest { try? loop.run { await guest.person.leave() } } }
    if place.isServer { try Self.knock(at: folder, guest: guest, on: loop) }
    let worked = try loop.run { await story.play(with: guest) }
    guard worked else { throw CommandFailure(.failed, code: "failed", "the demo did not come to its end") }
  }

  /// Connects once, so that a server that is away or refuses is told in its own words before anything is started.
  private static func knock(at folder: DemoFolder, guest: DemoGuest?, on loop: EventLoop) throws {
    let configuration = try Configuration.load(
      path: try folder.configuration(for: "planner", guest: guest?.account ?? ""), in: .process,
      backends: Launch.plugins.map(\.description),
      leasesHandle: false
    ).configuration
    let backend = try Launch.makeBackend(configuration, on: loop)
    try loop.run { () async -> Result<Void, SeamError> in
      do throws(SeamError) {
        try await backend.connect { _ in }
        await backend.disconnect()
        return .success(())
      } catch { return .failure(error) }
    }.get()
  }
}
