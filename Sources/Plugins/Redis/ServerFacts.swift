import ParleyRuntime
import ParleyTLS

/// What a connection is for, and how it introduces itself.
struct ConnectionRole: Sendable {
  var username: String?
  var password: String?
  var database = 0
  var clientName: String?
  /// Ask the server about itself: not needed on a connection that only reads.
  var asks = false
  var tls: TLSContext?
  var tlsServerName: String?

  /// An engine for one connection; nil for a clear one.
  func cipher(for endpoint: Endpoint) throws(SeamError) -> (any StreamCipher)? {
    guard let tls else { return nil }
    guard case .tcp(let host, _) = endpoint else { return nil }
    return try tls.client(serverName: tlsServerName ?? host)
  }
}

/// What a server told of itself; what it would not tell is absent.
struct ServerFacts: Sendable {
  /// The connection's own number, for CLIENT UNBLOCK and CLIENT KILL.
  var clientID: Int?
  /// Names the server's process: client numbers mean something only together with it.
  var runID: String?
  var version: String?
  var role: String?
  var isCluster = false
  var hasAppendOnlyFile: Bool?
  var appendFsync: String?
  var evictionPolicy: String?
  var replicas = 0
  /// The server's clock when the connection was opened, milliseconds since 1970, and the loop's.
  var clock: (server: Int64, loop: LoopInstant)?

  /// The server's clock now, as far as it is known.
  func now(_ loop: EventLoop) -> Int64? {
    clock.map { $0.server + $0.loop.duration(to: loop.now).milliseconds }
  }

  /// Introduces the connection and asks what the role asks for, in one round trip.
  static func greet(
    _ connection: RedisConnection, as role: ConnectionRole, until deadline: LoopInstant,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> ServerFacts {
    var facts = ServerFacts()
    let operation = "connect to \(connection.endpoint)"
    var asked: [(name: String, ticket: UInt64)] = []
    func ask(_ arguments: String...) { asked.append((arguments[0], connection.begin(arguments))) }
    if let password = role.password {
      if let user = role.username { ask("AUTH", user, password) } else { ask("AUTH", password) }
    }
    if let name = role.clientName { ask("CLIENT", "SETNAME", name) }
    // Also on database 0: it shows that we may do anything at all here.
    ask("SELECT", String(role.database))
    let must = asked.count
    ask("CLIENT", "ID")
    if role.asks {
      ask("INFO")
      ask("TIME")
      ask("CONFIG", "GET", "appendfsync")
    }
    var replies: [RedisReply] = []
    for (name, ticket) in asked { replies.append(try await connection.reply(to: ticket, name, until: deadline)) }
    for (index, reply) in replies.prefix(must).enumerated() {
      guard case .error(let text) = reply else { continue }
      // A cluster knows database 0 alone, and an ACL may forbid to select or to name oneself: both can be done without.
      let isOptional = asked[index].name == "CLIENT" || (asked[index].name == "SELECT" && role.database == 0)
      if isOptional, !["NOAUTH", "LOADING"].contains(RedisError(text).code) { continue }
      throw RedisError(text).seamError(operation)
    }
    facts.clientID = replies[must].number
    guard role.asks else { return facts }
    facts.take(info: replies[must + 1].text ?? "")
    let time = replies[must + 2].elements.compactMap(\.number)
    if time.count == 2 { facts.clock = (Int64(time[0]) * 1000 + Int64(time[1]) / 1000, connection.loop.now) }
    facts.appendFsync = replies[must + 3]["appendfsync"]?.text
    return facts
  }

  private mutating func take(info: String) {
    // By bytes: Swift takes the "\r\n" that ends a line for one character.
    for line in info.utf8.split(whereSeparator: { $0 == 13 || $0 == 10 }) {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
      let value = String(line[line.index(after: colon)...]) ?? ""
      switch String(line[..<colon]) {
      case "run_id": runID = value
      case "redis_version": version = value
      case "role": role = value
      case "cluster_enabled": isCluster = value == "1"
      case "aof_enabled": hasAppendOnlyFile = value == "1"
      case "maxmemory_policy": evictionPolicy = value
      case "connected_slaves": replicas = Int(value) ?? 0
      default: break
      }
    }
  }

  /// How durable an acknowledged post is, without replicas.
  var durability: Durability {
    switch (hasAppendOnlyFile, appendFsync) {
    case (true?, "always"?): .synced
    case (true?, "no"?): .written
    // Every second: while a sync is slow the file is not even written, for up to 2 s (redis.conf, no-appendfsync-…).
    default: .unknown
    }
  }

  /// What people should know about the durability and the server's settings.
  var notes: [String] {
    var notes: [String] = []
    switch (hasAppendOnlyFile, appendFsync) {
    case (false?, _):
      notes.append("appendonly is off: a crash of the server loses what came after its last snapshot")
    case (true?, "everysec"?):
      notes.append("appendfsync is everysec: a crash may lose the last one or two seconds of acknowledged messages")
    default: break
    }
    if let evictionPolicy, evictionPolicy != "noeviction", !evictionPolicy.isEmpty {
      notes.append("maxmemory-policy is \(evictionPolicy): the server may delete whole topics when its memory is full")
    }
    return notes
  }
}
