import Glibc
import ParleyRuntime

/// A real `parley serve --http`, in a directory and on a port of its own; killed with its value.
/// Confined to the loop.
//
// @unchecked: confined to the loop.
public final class DoorServer: @unchecked Sendable {
  /// Where it listens on 127.0.0.1.
  public let port: FreePort
  /// Configuration, database and tokens.
  public let folder: TemporaryDirectory
  private let loop: EventLoop
  private var process: ChildProcess?

  /// Starts a door over a SQLite file. `configuration` is YAML beside identity, backend and the place where it listens;
  /// `http` are further keys of the block `http`, in YAML's flow style. Throws `ServerFailure` where it does not open.
  public convenience init(
    loop: EventLoop, http: String = "insecure: true", configuration: String = "topics: [general]"
  ) async throws {
    try self.init(loop: loop, port: try FreePort(), backend: nil, http: http, configuration: configuration)
    try await start()
  }

  /// Makes a door that `start` starts; `backend` is the YAML of another backend than a SQLite file of its own.
  public init(loop: EventLoop, port: FreePort, backend: String?, http: String, configuration: String) throws {
    self.loop = loop
    self.port = port
    folder = try TemporaryDirectory()
    let text = """
      \(backend ?? "backend: sqlite\nbackend_config: { db_path: \(folder.path("parley.db")) }")
      identity: { handle: door }
      http: { listen: "127.0.0.1:\(port.number)", \(http) }
      \(configuration)

      """
    try TextFile.write(text, to: folder.path("parley.config.yaml"))
  }

  deinit { process?.kill() }

  /// The address of the door.
  public var url: String { "http://127.0.0.1:\(port.number)" }

  /// The serving process; nil while it is stopped.
  public var processID: pid_t? { process?.id }

  /// What a program needs of the environment.
  public var environment: [String: String] {
    ["HOME": folder.path, "XDG_STATE_HOME": folder.path("state"), "PATH": "/usr/bin:/bin"]
  }

  /// What it has said on standard error.
  public var errorLines: [String] { process?.errorLines ?? [] }

  /// Runs another command with the same configuration, with this on its standard input; its output, line by line.
  public func run(_ arguments: [String], input: String = "") async throws -> [String] {
    let child = try ChildProcess(
      loop: loop, path: try ChildProcess.parleyPath(),
      arguments: arguments + ["--config", folder.path("parley.config.yaml")], environment: environment,
      directory: folder.path)
    if !input.isEmpty { child.send(input) }
    child.closeInput()
    guard case .status(0)? = await child.waitForExit(until: soon) else {
      throw ServerFailure("\(arguments): \(child.errorLines)")
    }
    return child.outputLines
  }

  /// Starts it again after `stop`.
  public func start() async throws {
    let child = try ChildProcess(
      loop: loop, path: try ChildProcess.parleyPath(),
      arguments: ["serve", "--http", "--config", folder.path("parley.config.yaml")], environment: environment,
      directory: folder.path)
    child.closeInput()
    process = child
    let isOpen = await child.wait(until: soon) { child in
      child.exit != nil || child.errorLines.contains { $0.contains("door open") }
    }
    guard isOpen, child.exit == nil else { throw ServerFailure("the door does not open: \(child.errorLines)") }
  }

  /// Ends it by a signal and waits until it is gone.
  public func stop(_ signal: CInt = SIGTERM) async {
    process?.kill(signal)
    _ = await process?.waitForExit(until: soon)
    process = nil
  }

  private var soon: LoopInstant { loop.now.advanced(by: .seconds(30)) }
}
