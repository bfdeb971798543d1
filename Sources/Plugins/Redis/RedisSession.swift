import ParleyRuntime
import ParleyTLS

/// One session with a server, the master that Sentinels name, or a cluster: the command connections, and which of them
/// a key belongs to. Confined to its loop.
///
/// There is one command connection for each node; when any of them ends, the session is lost.
//
// @unchecked: confined to the loop's thread.
final class RedisSession: @unchecked Sendable {
  let loop: EventLoop
  let options: RedisOptions
  /// The first node's command connection: the only one outside of a cluster.
  private(set) var main: RedisConnection
  private let role: ConnectionRole
  private let lost: (SeamError) -> Void
  private var isClosed = false

  /// A cluster's nodes by `host:port`, and which of them has a slot.
  private var nodes: [Endpoint: RedisConnection] = [:]
  private var owners: [Endpoint?] = []

  private init(
    loop: EventLoop, options: RedisOptions, role: ConnectionRole, main: RedisConnection,
    lost: @escaping (SeamError) -> Void
  ) {
    self.loop = loop
    self.options = options
    self.role = role
    self.main = main
    self.lost = lost
    nodes[main.endpoint] = main
  }

  /// Finds the server, connects and learns what it is. `lost` is called once when the session ends by itself.
  static func open(
    _ options: RedisOptions, loop: EventLoop, until deadline: LoopInstant, lost: @escaping (SeamError) -> Void,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisSession {
    var role = ConnectionRole(
      username: options.username, password: options.password, database: options.database,
      clientName: options.clientName, asks: true, tlsServerName: options.tlsServerName)
    if options.url.isEncrypted { role.tls = try await TLSContext.load(options.tls, loop: loop, until: deadline) }
    let relay = LossRelay()
    let endpoints: [Endpoint]
    if options.sentinels.isEmpty {
      endpoints = [options.url.endpoint] + options.clusterNodes
    } else {
      endpoints = [try await Sentinel.master(options, tls: role.tls, loop: loop, until: deadline)]
    }
    let main = try await firstThatAnswers(endpoints, role, options, loop, until: deadline, relay)
    let session = RedisSession(loop: loop, options: options, role: role, main: main, lost: lost)
    do throws(SeamError) {
      if let serverRole = main.facts.role, serverRole != "master", !main.facts.isCluster {
        throw SeamError(
          .unavailable, operation: "connect to \(main.endpoint)",
          cause: "the server is a replica, posts need the master; 'sentinels' finds it after a failover")
      }
      if main.facts.isCluster {
        try await session.learnSlots(until: deadline)
        for owner in Set(session.owners.compactMap { $0 }) { _ = try await session.node(owner, until: deadline) }
      }
    } catch {
      session.close()
      throw error
    }
    relay.lost = { [weak session] in session?.end($0) }
    if let early = relay.early {
      session.close()
      throw early
    }
    return session
  }

  private static func firstThatAnswers(
    _ endpoints: [Endpoint], _ role: ConnectionRole, _ options: RedisOptions, _ loop: EventLoop,
    until deadline: LoopInstant, _ relay: LossRelay, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisConnection {
    var failure = SeamError(.unavailable, operation: "connect", cause: "no address is configured")
    for endpoint in endpoints {
      do throws(SeamError) {
        return try await RedisConnection.open(
          to: endpoint, as: role, loop: loop, timeout: options.timeout, until: deadline, lost: { relay.tell($0) })
      } catch {
        failure = error
        guard error.code == .unavailable else { break }
      }
    }
    throw failure
  }

  func close() {
    isClosed = true
    for node in nodes.values { node.close() }
  }

  private func end(_ error: SeamError) {
    guard !isClosed else { return }
    close()
    lost(error)
  }

  // MARK: Which connection

  var isCluster: Bool { main.facts.isCluster }

  /// The command connection for a key, as far as it is known; another node answers MOVED.
  func connection(for key: String) -> RedisConnection {
    guard isCluster, let owner = owners[RedisKeys.slot(of: key)], let node = nodes[owner], node.isOpen else {
      return main
    }
    return node
  }

  /// Opens a further connection to the node of a key, for blocking reads.
  func openReader(
    for key: String, until deadline: LoopInstant, lost: @escaping (SeamError) -> Void,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisConnection {
    var role = role
    role.asks = false
    role.clientName = role.clientName.map { $0 + "-reader" }
    return try await RedisConnection.open(
      to: connection(for: key).endpoint, as: role, loop: loop, timeout: options.timeout, until: deadline, lost: lost)
  }

  private func node(
    _ endpoint: Endpoint, until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisConnection {
    if let known = nodes[endpoint], known.isOpen { return known }
    let opened = try await RedisConnection.open(
      to: endpoint, as: role, loop: loop, timeout: options.timeout, until: deadline,
      lost: { [weak self] in self?.end($0) })
    // Another task may have been faster.
    if let known = nodes[endpoint], known.isOpen {
      opened.close()
      return known
    }
    guard !isClosed else {
      opened.close()
      throw SeamError(.unavailable, operation: "connect to \(endpoint)", cause: "the session has ended")
    }
    nodes[endpoint] = opened
    return opened
  }

  private func learnSlots(
    until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) {
    let reply = try await main.call(["CLUSTER", "SLOTS"], until: deadline)
    if case .error(let text) = reply { throw RedisError(text).seamError("read the cluster's slots") }
    owners = Array(repeating: nil, count: 16_384)
    for range in reply.elements {
      let parts = range.elements
      guard parts.count >= 3, let first = parts[0].number, let last = parts[1].number, first <= last,
        (0..<16_384).contains(first), (0..<16_384).contains(last)
      else { continue }
      let master = parts[2].elements
      guard master.count >= 2, let port = master[1].number else { continue }
      let endpoint = Endpoint.tcp(host: host(master[0].text), port: port)
      for slot in first...last { owners[slot] = endpoint }
    }
  }

  /// An empty host means the one that was asked.
  private func host(_ name: String?) -> String {
    if let name, !name.isEmpty { return name }
    if case .tcp(let host, _) = main.endpoint { return host }
    return "127.0.0.1"
  }

  // MARK: Commands

  /// Sends a command about a key and waits for its reply, following a cluster's redirections; error replies are values.
  func call(
    _ arguments: [String], key: String, until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisReply {
    var target = connection(for: key)
    var asks = false
    for _ in 0..<8 {
      if asks { _ = target.begin(["ASKING"]) }
      let reply = try await target.call(arguments, until: deadline)
      guard case .error(let text) = reply else { return reply }
      let error = RedisError(text)
      if let (slot, place, isAsk) = error.redirection {
        target = try await follow(place, slot: slot, isAsk: isAsk, until: deadline)
        asks = isAsk
      } else if error.code == "TRYAGAIN" {
        guard await loop.sleep(for: .milliseconds(50)) else { return reply }
      } else {
        return reply
      }
    }
    return .error("TRYAGAIN the cluster redirects again and again")
  }

  /// Sends commands about one key together; one round trip where the cluster does not redirect.
  func callAll(
    _ commands: [[String]], key: String, until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> [RedisReply] {
    let connection = connection(for: key)
    let tickets = commands.map { connection.begin($0) }
    var replies: [RedisReply] = []
    defer { for ticket in tickets.dropFirst(replies.count) { connection.forget(ticket) } }
    for (index, ticket) in tickets.enumerated() {
      let reply = try await connection.reply(to: ticket, commands[index][0], until: deadline)
      if case .error(let text) = reply, RedisError(text).redirection != nil || RedisError(text).code == "TRYAGAIN" {
        replies.append(try await call(commands[index], key: key, until: deadline))
      } else {
        replies.append(reply)
      }
    }
    return replies
  }

  private func follow(
    _ place: String, slot: Int, isAsk: Bool, until deadline: LoopInstant, isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> RedisConnection {
    guard
      case .tcp(let name, let port) = try RedisURL.endpoint(
        place.hasPrefix(":") ? host(nil) + place : place, defaultPort: 6379)
    else { throw SeamError(.unavailable, operation: "follow the cluster", cause: "'\(place)' is no address") }
    let endpoint = Endpoint.tcp(host: name, port: port)
    let connection = try await node(endpoint, until: deadline)
    if !isAsk, owners.indices.contains(slot) { owners[slot] = endpoint }
    return connection
  }
}

/// Hands a loss to the session that is still being made, once there is one.
//
// @unchecked: confined to the loop's thread.
private final class LossRelay: @unchecked Sendable {
  var lost: ((SeamError) -> Void)?
  private(set) var early: SeamError?

  func tell(_ error: SeamError) {
    if let lost { lost(error) } else { early = error }
  }
}
