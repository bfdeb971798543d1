import Glibc
import ParleyRuntime
import ParleyTestKit
import Synchronization
import Testing

/// Where the participants of a test meet, and by which way they come in.
enum CompatGround: String, Sendable {
  /// One file, each a process of its own.
  case sqlite
  /// A server of this kind, each a process of its own; on Matrix and XMPP all have one account.
  case redis, nats, matrix, xmpp
  /// One door over a file, each a session with a token of its own.
  case http

  /// Those on which the tool sets are shown to work alike.
  static let all: [CompatGround] = [.sqlite, .redis, .nats, .matrix, .xmpp, .http]
  /// Without Synapse, which takes some 50 ms for a message: for what needs many, or is no affair of the log.
  static let quick: [CompatGround] = [.sqlite, .redis, .nats, .xmpp, .http]
  /// One of each way in, for what no log has a part in.
  static let ways: [CompatGround] = [.sqlite, .redis, .http]
  /// Those where a process is a participant.
  static let processes: [CompatGround] = [.sqlite, .redis, .nats, .xmpp]

  /// How many messages a test of many sends: a room takes longer for each.
  var crowd: Int { self == .matrix ? 20 : self == .xmpp ? 100 : 300 }

  /// What the participants say of their presence, so that the dead are gone soon and the server is not kept busy with it.
  fileprivate var presence: String {
    self == .matrix ? "{ heartbeat_ms: 2000, ttl_ms: 10000 }" : "{ heartbeat_ms: 500, ttl_ms: 3000 }"
  }

  /// The server that is started for it; nil where the participants share a file.
  fileprivate var server: TaskStore.Kind? {
    switch self {
    case .sqlite, .http: nil
    case .redis: .redis
    case .nats: .nats
    case .matrix: .matrix
    case .xmpp: .xmpp
    }
  }
}

/// A workplace on such a ground.
final class CompatPlace: Sendable {
  let place: Workplace
  let ground: CompatGround
  /// The server that they meet on; nil where it is a file.
  private let store: TaskStore?
  private let port: FreePort?
  /// By handle: a second session of a handle has the token of the first, where that is asked for.
  private let tokens = Mutex<[String: String]>([:])
  /// Kept as long as the place.
  private let door = Mutex<ChildProcess?>(nil)

  var loop: EventLoop { place.loop }
  var folder: TemporaryDirectory { place.folder }
  var soon: LoopInstant { place.soon }

  private init(_ place: Workplace, _ ground: CompatGround) async throws {
    self.place = place
    self.ground = ground
    store = if let kind = ground.server { try await TaskStore.start(kind) } else { nil }
    port = ground == .http ? try FreePort() : nil
  }

  /// Runs a test's body on a loop of its own, in a fresh place.
  static func use(
    _ ground: CompatGround = .sqlite, _ body: @escaping @Sendable (CompatPlace) async throws -> Void
  ) throws {
    try Workplace.use { place in
      try await body(try await CompatPlace(place, ground))
    }
  }

  func write(_ name: String, _ text: String) throws { try place.write(name, text) }

  // MARK: Participants

  /// A configuration with tool sets of other systems, all of whose users meet.
  func configuration(_ handle: String, _ sets: String, extra: String = "") -> String {
    let file = "backend: sqlite\nbackend_config: { db_path: \"\(folder.path("parley.db"))\", durability: normal }"
    return """
      \(store?.lines ?? file)
      identity: { handle: \(handle) }
      topics: [general]
      presence: \(ground.presence)
      compat: [\(sets)]
      \(extra)

      """
  }

  /// A participant after its handshake: a process in `directory`, or a session that has a token with the handle.
  func client(
    _ handle: String, _ sets: String, extra: String = "", directory: String? = nil,
    environment: [String: String] = [:], sharesToken: Bool = false
  ) async throws -> CompatCaller {
    if !sharesToken { tokens.withLock { $0[handle] = nil } }
    let client = Client(try await start(handle, sets, extra, directory, environment), place)
    try await client.initialize()
    return CompatCaller(client, self)
  }

  private func start(
    _ handle: String, _ sets: String, _ extra: String, _ directory: String?, _ environment: [String: String]
  ) async throws -> ChildProcess {
    guard ground == .http else {
      let name = "\(handle)-\(loop.random()).yaml"
      try write(name, configuration(handle, sets, extra: extra))
      return try place.start(["serve", "--config", folder.path(name)], environment: environment, directory: directory)
    }
    try await openDoor(sets, extra)
    let token = try await token(handle)
    return try ChildProcess(
      loop: loop, path: "/usr/bin/python3",
      arguments: ["-c", HTTPBridge.script, String(port?.number ?? 0), token], environment: place.environment,
      directory: folder.path)
  }

  private func token(_ handle: String) async throws -> String {
    if let token = tokens.withLock({ $0[handle] }) { return token }
    let made = try await place.run(
      "token", "create", "--handle", handle, "--config", folder.path("door.yaml"))
    let token = try #require(made.output.first, "\(made.errors)")
    tokens.withLock { $0[handle] = token }
    return token
  }

  /// Opens the door for the first participant; its sets are everybody's.
  private func openDoor(_ sets: String, _ extra: String) async throws {
    guard let port, access(folder.path("door.yaml"), F_OK) != 0 else { return }
    let http = "http: { listen: \"127.0.0.1:\(port.number)\", session_idle_ms: 1000 }"
    try write(
      "door.yaml",
      configuration("door", sets, extra: "\(extra)\n\(http)\nauth: { store: \"\(folder.path("auth.store"))\" }"))
    // A door does not open before anybody could come in.
    _ = try await place.run("token", "create", "--handle", "nobody", "--config", folder.path("door.yaml"))
    let door = try place.start(["serve", "--http", "--config", folder.path("door.yaml")])
    door.closeInput()
    let isOpen = await door.wait(until: soon) { door in
      door.exit != nil || door.errorLines.contains { $0.contains("door open") }
    }
    try #require(isOpen && door.exit == nil, "\(door.errorLines)")
    self.door.withLock { $0 = door }
  }
}

/// A program that makes of a session over HTTP one over standard input and output: each line in is posted, each message
/// that comes is a line out, also those of the standing stream.
enum HTTPBridge {
  static let script = """
    import http.client, json, os, queue, sys, threading
    port, token = int(sys.argv[1]), sys.argv[2]
    session, lock, waiting = [None], threading.Lock(), queue.Queue()
    def tell(text):
        with lock:
            sys.stdout.write(text.strip() + "\\n")
            sys.stdout.flush()
    def ask(line, connection, method="POST"):
        fields = {"Authorization": "Bearer " + token, "Content-Type": "application/json",
                  "Accept": "text/event-stream" if method == "GET" else "application/json, text/event-stream"}
        if session[0]:
            fields["Mcp-Session-Id"] = session[0]
        connection.request(method, "/mcp", line.encode() if line else None, fields)
        return connection.getresponse()
    def read(answer):
        session[0] = answer.getheader("Mcp-Session-Id") or session[0]
        if (answer.getheader("Content-Type") or "").startswith("text/event-stream"):
            for raw in answer:
                if raw.startswith(b"data: {"):
                    tell(raw[6:].decode())
        else:
            body = answer.read().decode()
            if body.strip():
                tell(body)
    def connect():
        return http.client.HTTPConnection("127.0.0.1", port)
    def work():
        connection = connect()
        while True:
            read(ask(waiting.get(), connection))
    first, streaming, isOpen = connect(), connect(), False
    for line in sys.stdin:
        if isOpen:
            waiting.put(line)
            continue
        read(ask(line, first))
        if "notifications/initialized" in line:
            answer = ask(None, streaming, "GET")
            threading.Thread(target=read, args=(answer,), daemon=True).start()
            for _ in range(32):
                threading.Thread(target=work, daemon=True).start()
            isOpen = True
    read(ask(None, first, "DELETE"))
    os._exit(0)
    """
}
