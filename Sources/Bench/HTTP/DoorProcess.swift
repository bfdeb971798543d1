import Glibc
import ParleyRuntime
import ParleyTestKit

/// A `parley serve --http` over a SQLite file, spoken to as an MCP client does.
final class DoorProcess {
  let port: Int
  let pid: pid_t
  let database: String
  private let process: ChildProcess
  private let configuration: String
  private let reservation: FreePort

  static let token = "parley-bench-0123456789abcdef"
  private static let patience = 15.0

  /// Starts it and waits until it listens. `sessions`: the most it shall hold at a time.
  init(_ name: String, rig: Rig, workspace: Workspace, sessions: Int = 1_000) throws(BenchError) {
    do throws(SystemError) { reservation = try FreePort() } catch { throw BenchError("\(error)") }
    port = reservation.number
    database = workspace.file("\(name).db")
    configuration = workspace.file("\(name).door.yaml")
    try Files.write(
      """
      identity: { handle: door }
      topics: [general, posts]
      catchup: { on_start: false }
      live_push: { enabled: true }
      backend: sqlite
      backend_config: { db_path: \(database), durability: full }
      http: { listen: "127.0.0.1:\(port)", token: \(Self.token), sessions: \(sessions) }

      """, to: configuration)
    process = try ChildProcess(
      [rig.parley, "serve", "--http", "--config", configuration], errors: workspace.errors)
    pid = process.pid
    let begun = now()
    while true {
      do throws(BenchError) {
        _ = try HTTPPeer(port: port)
        return
      } catch {
        guard Double(now() - begun) / 1e9 < Self.patience else { throw error }
        usleep(5_000)
      }
    }
  }

  /// A token by which a backend of another machine posts as this handle.
  func relayToken(_ handle: String, rig: Rig, workspace: Workspace) throws(BenchError) -> String {
    let arguments = ["token", "create", "--handle", handle, "--scope", "parley:relay", "--config", configuration]
    let command = Peer(try ChildProcess([rig.parley] + arguments, errors: workspace.errors))
    let token = command.text(try command.waitLine())
    try command.process.finish()
    return token
  }

  /// Tells it to end, and waits until it has.
  func finish() throws(BenchError) {
    kill(pid, SIGTERM)
    try process.finish()
  }

  var usage: ProcessUsage { ProcessUsage(pid: pid) }

  /// Everything of a request before its length.
  static func head(_ method: String = "POST", _ fields: String = "") -> String {
    "\(method) /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(token)\r\n"
      + "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\(fields)"
  }

  /// A session of 2025-11-25: its id's header line.
  static func openSession(_ peer: HTTPPeer) throws(BenchError) -> String {
    try peer.send(request(head(), Server.initializeRequest(id: 0)))
    let response = try peer.next()
    guard let line = response.head.split(separator: "\r\n").first(where: { $0.hasPrefix("Mcp-Session-Id: ") }) else {
      throw BenchError("no session: \(response.head) \(response.body)")
    }
    let field = String(line) + "\r\n"
    let noted = Array(#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.utf8)
    try peer.send(request(head("POST", field), noted))
    _ = try peer.next()
    return field
  }

  static func request(_ head: String, _ body: [UInt8]) -> [UInt8] {
    Array("\(head)Content-Length: \(body.count)\r\n\r\n".utf8) + body
  }
}

/// `parley_post` as requests over HTTP, without a session or in one.
struct HTTPPosts {
  let posts: Posts
  private let head: [UInt8]

  static let stateless =
    #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#
    + #""io.modelcontextprotocol/clientCapabilities":{}},"#

  /// `session`: the header line of the session to post in; nil for requests of their own.
  init(_ tag: String, session: String? = nil) {
    posts = Posts(tag, meta: session == nil ? Self.stateless : "")
    let fields =
      session ?? "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: parley_post\r\n"
    head = Array((DoorProcess.head("POST", fields) + "Content-Length: ").utf8)
  }

  /// Writes one request.
  func append(_ index: Int, to buffer: inout [UInt8]) {
    var body: [UInt8] = []
    body.reserveCapacity(512)
    posts.append(index, id: index + 1, to: &body)
    buffer += head
    buffer += String(body.count).utf8
    buffer += [13, 10, 13, 10]
    buffer += body
  }
}
