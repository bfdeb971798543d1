import ParleyRuntime

/// One text on a server, with a number that every change raises, for what several processes share and change one at a
/// time. It is the one entry of a stream, whose id is the number: who waits for news is told as followers of topics are.
///
/// A server that may evict it is not used. Does not connect anew by itself.
package actor RedisCell: LoopActor {
  package nonisolated let loop: EventLoop
  package nonisolated let location: String
  private let options: RedisOptions
  private let key: String
  private var live: (session: RedisSession, reader: RedisConnection)?

  /// How long one waiting read lasts.
  private static let wait = Duration.seconds(2)
  private static let patience = Duration.seconds(10)
  private static let field = "state"

  /// Adds the entry after the one that the caller knows, and drops that, or does nothing.
  private static let script = """
    local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
    local number = last[1] and string.match(last[1][1], '^%d+') or '0'
    if number ~= ARGV[1] then return 0 end
    redis.call('XADD', KEYS[1], 'MAXLEN', '1', ARGV[2] .. '-0', 'state', ARGV[3])
    return 1
    """

  /// A cell under a key; nothing is opened before `connect`.
  package init(loop: EventLoop, options: RedisOptions, key: String) {
    self.loop = loop
    self.options = options
    self.key = key
    location = "\(options.location) (\(key))"
  }

  /// Connects. Throws `unsupported` where the server may evict keys, or does not say whether it may.
  package func connect() async throws(SeamError) {
    let deadline = loop.now.advanced(by: Self.patience)
    let session = try await RedisSession.open(options, loop: loop, until: deadline) { [weak self] _ in
      self?.assumeIsolated { $0.close() }
    }
    do throws(SeamError) {
      try Self.check(session.main.facts.evictionPolicy, location)
      let reader = try await session.openReader(for: key, until: deadline) { _ in session.close() }
      close()
      live = (session, reader)
    } catch {
      session.close()
      throw error
    }
  }

  private static func check(_ policy: String?, _ location: String) throws(SeamError) {
    guard let policy, !policy.isEmpty else {
      throw SeamError(
        .unsupported, operation: "connect to \(location)",
        cause: "the server does not say whether it evicts keys; allow the user +info")
    }
    guard policy == "noeviction" else {
      throw SeamError(
        .unsupported, operation: "connect to \(location)",
        cause: "maxmemory-policy is \(policy): the server may forget who may enter; run CONFIG SET maxmemory-policy "
          + "noeviction and CONFIG REWRITE there, or use another server")
    }
  }

  /// Ends both connections; what waits on them fails.
  package func disconnect() { close() }

  private func close() {
    live?.reader.close()
    live?.session.close()
    live = nil
  }

  private func open() throws(SeamError) -> (session: RedisSession, reader: RedisConnection) {
    guard let live else {
      throw SeamError(.unavailable, operation: "use \(location)", cause: "it is not connected")
    }
    return live
  }

  /// What is there now; 0 and empty where nothing is.
  package func read() async throws(SeamError) -> (number: Int, text: String) {
    let reply = try await open().session.call(
      ["XREVRANGE", key, "+", "-", "COUNT", "1"], key: key, until: loop.now.advanced(by: Self.patience))
    if case .error(let text) = reply { throw RedisError(text).seamError("read \(location)") }
    guard let entry = reply.elements.first else { return (0, "") }
    return try content(entry)
  }

  /// What is newer than a number; with `waits`, as soon as it is there, at most for two seconds.
  package func newer(than number: Int, waits: Bool) async throws(SeamError) -> (number: Int, text: String)? {
    let live = try open()
    let tail = ["COUNT", "1", "STREAMS", key, "\(number)-0"]
    let deadline = loop.now.advanced(by: Self.patience)
    let reply =
      waits
      ? try await live.reader.call(
        ["XREAD", "BLOCK", String(Self.wait.milliseconds)] + tail, patience: Self.wait, until: deadline)
      : try await live.session.call(["XREAD"] + tail, key: key, until: deadline)
    if case .error(let text) = reply { throw RedisError(text).seamError("follow \(location)") }
    guard let entry = reply.elements.first?.elements.dropFirst().first?.elements.first else { return nil }
    return try content(entry)
  }

  /// Puts a text in the place of the one of this number; false where another is there.
  package func replace(_ number: Int, with text: String) async throws(SeamError) -> Bool {
    let reply = try await open().session.call(
      ["EVAL", Self.script, "1", key, String(number), String(number + 1), text], key: key,
      until: loop.now.advanced(by: Self.patience))
    if case .error(let text) = reply { throw RedisError(text).seamError("change \(location)") }
    return reply.number == 1
  }

  private func content(_ entry: RedisReply) throws(SeamError) -> (number: Int, text: String) {
    let parts = entry.elements
    guard parts.count == 2, let id = parts[0].streamID, let text = parts[1][Self.field]?.text else {
      throw SeamError(.corrupt, operation: "read \(location)", cause: "the key holds something else")
    }
    return (Int(id.milliseconds), text)
  }
}

extension RedisOptions {
  /// Whether what is kept by these options could be reached with the other's: on one server with the same user or in the
  /// same database.
  package func isReachable(with other: RedisOptions) -> Bool {
    url.endpoint == other.url.endpoint
      && ((username ?? "default") == (other.username ?? "default") || database == other.database)
  }
}
