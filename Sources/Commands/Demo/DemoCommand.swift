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
      topic of their own with a random name, which stays there.
      """)

  @OptionGroup var shared: SharedOptions

  @Option(help: "Talk over a server of this backend instead of through a file.")
  var backend: String?

  @Option(help: "The server's address (default: the backend's own).")
  var url: String?

  func validate() throws {
    guard url == nil || backend != nil else { throw ValidationError("--url needs --backend, which says of what.") }
  }

  func run() throws {
    // An agent's process that has ended is told as such; it must not end the demo with its folder left behind.
    signal(SIGPIPE, SIG_IGN)
    let place = try DemoPlace(backend: backend, url: url)
    let folder = try DemoFolder(place)
    defer { folder.remove() }
    let executable = try Siblings.ownPath()
    let output = shared.output
    let loop = try EventLoop(name: "demo")
    if place.isServer { try Self.knock(at: folder, on: loop) }
    let story = DemoStory(executable: executable, folder: folder, loop: loop, output: output)
    let worked = try loop.run { await story.play() }
    guard worked else { throw CommandFailure(.failed, code: "failed", "the demo did not come to its end") }
  }

  /// Connects once, so that a server that is away or refuses is told in its own words before anything is started.
  private static func knock(at folder: DemoFolder, on loop: EventLoop) throws {
    let configuration = try Configuration.load(
      path: try folder.configuration(for: "planner"), in: .process, backends: Launch.plugins.map(\.description),
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

/// Where the agents of a demo meet.
struct DemoPlace: Sendable {
  /// As `backend:` names it.
  let backend: String
  /// The key of `backend_config` and its value that lead there; nil for the backend's own default.
  let setting: (name: String, value: String)?
  /// Nobody else's: a server is shared.
  let topic: String
  let isServer: Bool

  /// A fresh file, or a server. Throws where the backend is not known or has no server.
  init(backend name: String?, url: String?) throws(CommandFailure) {
    guard let name else {
      (backend, setting, topic, isServer) = ("sqlite", nil, "workshop", false)
      return
    }
    let description = try Launch.description(of: name)
    guard let key = description.addressSetting else {
      throw CommandFailure(.usage, code: "usage", "\(name) has no server that a demo could be pointed at")
    }
    backend = description.name
    setting = url.map { (key, $0) }
    topic = "demo-" + UUIDv4.make().prefix(8)
    isServer = true
  }
}

/// A temporary folder with one configuration for each agent, both naming the same place.
struct DemoFolder: Sendable {
  let path: String
  let place: DemoPlace

  init(_ place: DemoPlace) throws(SystemError) {
    self.place = place
    let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(base)/parley-demo-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Writes an agent's configuration and returns its path.
  func configuration(for handle: String) throws(SystemError) -> String {
    let setting = place.isServer ? place.setting : ("db_path", "\(path)/parley.db")
    // A text in JSON is one in YAML.
    let settings = setting.map { "\($0.name): \(JSONValue.string($0.value).text)" } ?? ""
    let text = """
      backend: \(place.backend)
      identity: { handle: \(handle) }
      topics: [\(place.topic)]
      live_push: { enabled: true }
      presence: { enabled: false }
      backend_config: { \(settings) }

      """
    let file = "\(path)/\(handle).yaml"
    let descriptor = try SystemError.check("open \(file)", unsafe creat(file, 0o600))
    defer { close(descriptor) }
    Output.write(text, to: descriptor)
    return file
  }

  func remove() {
    for name in ["planner.yaml", "builder.yaml", "parley.db", "parley.db-wal", "parley.db-shm", "parley.db-notify"] {
      unsafe unlink("\(path)/\(name)")
    }
    unsafe rmdir(path)
  }
}
