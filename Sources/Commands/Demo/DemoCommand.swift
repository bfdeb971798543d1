import ArgumentParser
import Glibc
import ParleyRuntime

/// `parley demo`: two agents hand over work on a fresh SQLite file; everything that is printed really happened.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Watch two agents talk through a fresh SQLite file.",
    discussion: """
      Starts two MCP servers as child processes, lets one hand over work and the other answer, and shows the log. \
      Ends with 0 only if every message was pushed live to the other process.
      """)

  @OptionGroup var shared: SharedOptions

  func run() throws {
    // An agent's process that has ended is told as such; it must not end the demo with its folder left behind.
    signal(SIGPIPE, SIG_IGN)
    let folder = try DemoFolder()
    defer { folder.remove() }
    let executable = try Siblings.ownPath()
    let output = shared.output
    let loop = try EventLoop(name: "demo")
    let story = DemoStory(executable: executable, folder: folder, loop: loop, output: output)
    let worked = try loop.run { await story.play() }
    guard worked else { throw CommandFailure(.failed, code: "failed", "the demo did not come to its end") }
  }
}

/// A temporary folder with one configuration for each agent, both naming the same database.
struct DemoFolder: Sendable {
  let path: String

  init() throws(SystemError) {
    let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(base)/parley-demo-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Writes an agent's configuration and returns its path.
  func configuration(for handle: String) throws(SystemError) -> String {
    let text = """
      backend: sqlite
      identity: { handle: \(handle) }
      topics: [workshop]
      live_push: { enabled: true }
      backend_config: { db_path: \(path)/parley.db }

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
