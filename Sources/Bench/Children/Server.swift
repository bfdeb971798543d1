/// A `parley serve` over its own configuration, spoken to as an MCP host does.
final class Server {
  let peer: Peer
  /// Where the first topic ended when the server was ready: on a server, the place before the first message of a run.
  private var origin: String?
  private let isRemote: Bool

  /// What its configuration says.
  struct Settings {
    var handle = "bench"
    var topics = ["general"]
    var livePush = false
    /// The SQLite file, where there is no `target`.
    var database = ""
    var target: ServerTarget?
    /// Lines of a configuration that name another backend.
    var backend: String?
    var isWide = false
  }

  /// Starts it; nothing is said yet.
  init(_ settings: Settings, parley: String, workspace: Workspace) throws(BenchError) {
    isRemote = settings.target != nil || settings.backend != nil
    let configuration = workspace.file("\(settings.handle).config.yaml")
    try Files.write(
      """
      identity:
        handle: \(settings.handle)
      topics: [\(settings.topics.joined(separator: ", "))]
      catchup:
        on_start: false
      live_push:
        enabled: \(settings.livePush)
      limits:
        topics_subscribed: \(max(settings.topics.count, 100))
      \(settings.backend ?? settings.target?.configuration ?? "backend: sqlite\nbackend_config: { db_path: \(settings.database), durability: full }")

      """, to: configuration)
    peer = Peer(
      try ChildProcess(
        [parley, "serve", "--config", configuration], errors: workspace.errors, wide: settings.isWide))
  }

  /// Starts it, shakes hands, and waits until its backend has answered a first call.
  static func ready(_ settings: Settings, parley: String, workspace: Workspace) throws(BenchError) -> Server {
    let server = try Server(settings, parley: parley, workspace: workspace)
    try server.initialize()
    server.origin = try server.page(of: settings.topics[0], after: nil, limit: 1).next
    return server
  }

  /// The handshake of a client that knows channels.
  func initialize() throws(BenchError) {
    try peer.write(Self.initializeRequest(id: peer.takeIDs(1)))
    _ = try peer.waitLine()
    try peer.write(Array("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n".utf8))
  }

  /// The line that opens a session.
  static func initializeRequest(id: Int) -> [UInt8] {
    Array(
      """
      {"jsonrpc":"2.0","id":\(id),"method":"initialize","params":{"protocolVersion":"2025-11-25",\
      "capabilities":{},"clientInfo":{"name":"parley-bench","version":"1"}}}

      """.utf8)
  }

  /// A request for a page.
  static func fetchRequest(id: Int, topic: String, after cursor: String?, limit: Int) -> [UInt8] {
    let since = cursor.map { ",\"since\":\"\($0)\"" } ?? ""
    return Array(
      """
      {"jsonrpc":"2.0","id":\(id),"method":"tools/call","params":{"name":"parley_fetch_recent",\
      "arguments":{"topic":"\(topic)","limit":\(limit),"max_bytes":1000000\(since)}}}

      """.utf8)
  }

  /// One page of a topic: each message's key and id, and where to go on.
  func page(
    of topic: String, after cursor: String?, limit: Int
  ) throws(BenchError) -> (entries: [History.Entry], next: String?) {
    let id = peer.takeIDs(1)
    try peer.write(Self.fetchRequest(id: id, topic: topic, after: cursor, limit: limit))
    var line = try peer.waitLine()
    while peer.answerID(line) != id { line = try peer.waitLine() }
    guard let next = peer.string(after: "\"nextCursor\":\"", in: line) else {
      throw BenchError("parley_fetch_recent was refused: \(peer.text(line).prefix(500))")
    }
    let keys = peer.strings(after: "\"content\":\"", in: line)
    let ids = peer.strings(after: "\"backendMsgId\":\"", in: line)
    return (zip(keys, ids).map { History.Entry(key: $0, id: $1) }, next)
  }

  /// The whole log of a topic, oldest first.
  func log(of topic: String) throws(BenchError) -> [History.Entry] {
    var log: [History.Entry] = []
    // "0" is the place before the first message in SQLite's bare form.
    var cursor: String? = isRemote ? origin : "0"
    while true {
      let (entries, next) = try page(of: topic, after: cursor, limit: 1000)
      log += entries
      if entries.isEmpty || next == cursor { return log }
      cursor = next
    }
  }
}
