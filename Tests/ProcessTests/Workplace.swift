import Glibc
import ParleyRuntime
import ParleyTestKit
import Testing

/// A folder with a configuration and a database of its own, in which the real program is run as a user would.
final class Workplace: Sendable {
  let loop: EventLoop
  let folder: TemporaryDirectory

  init(loop: EventLoop) throws {
    self.loop = loop
    folder = try TemporaryDirectory()
    try write("parley.config.yaml", Self.configuration())
  }

  static func configuration(_ handle: String = "ada", extra: String = "") -> String {
    """
    backend: sqlite
    identity: { handle: \(handle), may_post_as: [builder] }
    topics: [general, ops]
    post_topics: ["ctx-.*"]
    live_push: { enabled: true }
    backend_config: { db_path: parley.db }
    \(extra)

    """
  }

  func write(_ name: String, _ text: String) throws {
    let descriptor = try SystemError.check("creat", creat(folder.path(name), 0o600))
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    try #require(unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
  }

  var environment: [String: String] {
    ["HOME": folder.path, "XDG_STATE_HOME": folder.path("state"), "PATH": "/usr/bin:/bin"]
  }

  func start(
    _ arguments: [String], environment extra: [String: String] = [:], directory: String? = nil
  ) throws -> ChildProcess {
    try ChildProcess(
      loop: loop, path: try ChildProcess.parleyPath(), arguments: arguments,
      environment: environment.merging(extra) { $1 }, directory: directory ?? folder.path)
  }

  struct Run: Sendable {
    let status: Int32
    let output: [String]
    let errors: [String]

    var json: JSONValue? { output.first.flatMap { try? JSONValue(parsing: $0) } }
    var errorCode: String? { errors.last.flatMap { try? JSONValue(parsing: $0) }?["error"]?["code"]?.string }
  }

  /// Runs a command to its end, at most for half a minute or as long as is said.
  func run(
    _ arguments: String..., input: String = "", environment: [String: String] = [:], directory: String? = nil,
    patience: Duration = .seconds(30)
  ) async throws -> Run {
    let process = try start(arguments, environment: environment, directory: directory)
    process.send(input)
    process.closeInput()
    let exit = await process.waitForExit(until: loop.now.advanced(by: patience))
    guard case .status(let status)? = exit else {
      Issue.record("\(arguments) ended with \(String(describing: exit)): \(process.errorLines)")
      return Run(status: -1, output: process.outputLines, errors: process.errorLines)
    }
    return Run(status: status, output: process.outputLines, errors: process.errorLines)
  }

  /// Runs a command that prints JSON, and returns every line of it.
  func runJSONLines(_ arguments: String...) async -> [JSONValue] {
    do {
      let process = try start(arguments)
      process.closeInput()
      _ = await process.waitForExit(until: soon)
      return process.outputLines.compactMap { try? JSONValue(parsing: $0) }
    } catch {
      Issue.record("\(error)")
      return []
    }
  }

  var soon: LoopInstant { loop.now.advanced(by: .seconds(30)) }

  /// Runs a test's body on a loop of its own, in a fresh workplace.
  static func use(_ body: @escaping @Sendable (Workplace) async throws -> Void) throws {
    let loop = try EventLoop(name: "test")
    try loop.run { () async -> Result<Void, any Error> in
      do {
        let place = try Workplace(loop: loop)
        try await body(place)
        return .success(())
      } catch { return .failure(error) }
    }.get()
  }
}

/// A served process as an MCP client sees it.
final class Client: Sendable {
  let process: ChildProcess
  let place: Workplace

  init(_ place: Workplace, config: String = "parley.config.yaml") throws {
    self.place = place
    process = try place.start(["serve", "--config", place.folder.path(config)])
  }

  /// A process that serves already.
  init(_ process: ChildProcess, _ place: Workplace) {
    self.place = place
    self.process = process
  }

  func send(_ line: String) { process.send(line + "\n") }

  /// The next line as JSON; nil at the end of output.
  func next() async -> JSONValue? {
    guard let line = await process.nextLine(until: place.soon) else { return nil }
    return try? JSONValue(parsing: line)
  }

  /// Waits for the answer to a request and passes over everything else.
  func answer(_ id: Int) async -> JSONValue? {
    while let message = await next() { if message["id"]?.int == Int64(id) { return message } }
    return nil
  }

  /// Waits for a live push and passes over everything else.
  func push() async -> JSONValue? {
    while let message = await next() {
      if message["method"]?.string == "notifications/claude/channel" { return message["params"] }
    }
    return nil
  }

  func initialize() async throws {
    send(
      #"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#
    )
    try #require(await answer(0)?["result"] != nil)
    send(#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
  }

  /// Calls a tool; the whole result.
  func call(_ id: Int, _ tool: String, _ arguments: JSONValue) async -> JSONValue? {
    request(id, tool, arguments)
    return await answer(id)?["result"]
  }

  /// Calls a tool and does not wait.
  func request(_ id: Int, _ tool: String, _ arguments: JSONValue) {
    let request: JSONValue = [
      "jsonrpc": "2.0", "id": .int(Int64(id)), "method": "tools/call",
      "params": ["name": .string(tool), "arguments": arguments],
    ]
    send(request.text)
  }
}
