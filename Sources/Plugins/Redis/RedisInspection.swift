import ParleyRuntime

/// What a look at the server finds, for `doctor`: who it is, what its settings mean here, and what the user may do.
public struct RedisInspection: Sendable {
  /// One thing that Parley does, and whether the server permits it.
  public struct Right: Sendable {
    /// What needs it, for people.
    public let purpose: String
    /// The server's refusal; nil where it is permitted.
    public let refusal: String?
    /// Without it Parley does not work; else it works less well.
    public let isEssential: Bool
    /// What to add to the user's ACL.
    public let rule: String
  }

  /// Where it was looked at, without user information.
  public let location: String
  /// The server's version; nil where it does not tell.
  public let version: String?
  /// What an acknowledged post of ours survives.
  public let durability: Durability
  /// What people should know about the server's settings.
  public let notes: [String]
  /// The eviction policy; nil where it does not tell.
  public let evictionPolicy: String?
  /// Replicas that follow the server now.
  public let replicas: Int
  /// The server is part of a cluster.
  public let isCluster: Bool
  /// The user's rights.
  public let rights: [Right]
  /// The server waits in a blocking read; else new messages are looked for by turns.
  public let blocks: Bool
  /// The median of twenty round trips.
  public let roundTrip: Duration

  /// Connects, looks, and leaves nothing behind. Throws what `RedisBackend.connect` would.
  public static func look(_ options: RedisOptions, patience: Duration = .seconds(10)) async throws(SeamError)
    -> RedisInspection
  {
    let loop: EventLoop
    do throws(SystemError) { loop = try EventLoop.thread(named: "redis doctor") } catch {
      throw SeamError(.unavailable, native: Int(error.code), operation: "doctor", cause: error.description)
    }
    defer { loop.stop() }
    return try await loop.spawn { () async -> Result<RedisInspection, SeamError> in
      do throws(SeamError) { return .success(try await inspect(options, loop, patience)) } catch {
        return .failure(error)
      }
    }.value.get()
  }

  private static func inspect(
    _ options: RedisOptions, _ loop: EventLoop, _ patience: Duration
  ) async throws(SeamError) -> RedisInspection {
    let deadline = loop.now.advanced(by: patience)
    let session = try await RedisSession.open(options, loop: loop, until: deadline, lost: { _ in })
    defer { session.close() }
    let connection = session.main
    var trips: [Duration] = []
    for _ in 0..<20 {
      let start = loop.now
      _ = try await connection.call(["PING"], until: deadline)
      trips.append(start.duration(to: loop.now))
    }
    let rights = try await rights(session, options, until: deadline)
    let blocks = try await waits(session, options, loop, until: deadline)
    let facts = connection.facts
    return RedisInspection(
      location: options.location, version: facts.version, durability: facts.durability, notes: facts.notes,
      evictionPolicy: facts.evictionPolicy, replicas: facts.replicas, isCluster: facts.isCluster, rights: rights,
      blocks: blocks, roundTrip: trips.sorted()[trips.count / 2])
  }

  /// Commands that change nothing: on a stream that does not exist, about a connection that does not.
  private static func rights(
    _ session: RedisSession, _ options: RedisOptions, until deadline: LoopInstant,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> [Right] {
    let keys = RedisKeys(prefix: options.keyPrefix)
    let stream = keys.stream("~doctor-rights")
    let nobody = String(Int64.max)
    var probes: [(purpose: String, isEssential: Bool, rule: String, command: [String])] = [
      ("read a topic", true, "+xrange +xrevrange", ["XRANGE", stream, "-", "+", "COUNT", "1"]),
      ("receive new messages", true, "+xread", ["XREAD", "COUNT", "1", "STREAMS", stream, "0"]),
      ("tell gaps", true, "+xinfo|stream +get", ["XINFO", "STREAM", stream]),
      ("post", true, "+xadd", ["XADD", stream, "NOMKSTREAM", "*", "a", "b"]),
      (
        "begin topics, and post with a caller's key", true, "+eval +exists +incr +set",
        ["EVAL", "return 1", "1", stream]
      ),
      ("receive without asking for the message before", false, "+xlen", ["XLEN", stream]),
      ("change the set of topics without a new connection", false, "+client|unblock", ["CLIENT", "UNBLOCK", nobody]),
      (
        "post exactly once over broken connections", false, "+client|kill +client|id", ["CLIENT", "KILL", "ID", nobody]
      ),
      ("know how durable posts are", false, "+config|get +info", ["CONFIG", "GET", "appendfsync"]),
    ]
    if options.retentionDays != nil || options.maximumLength != nil {
      probes.append(("trim by length", false, "+xtrim", ["XTRIM", stream, "MAXLEN", "~", "1000000000"]))
    }
    if options.replicas > 0 {
      probes.append(("wait for replicas", true, "+wait +incrby", ["WAIT", "0", "1"]))
    }
    var rights: [Right] = []
    for probe in probes {
      let reply = try await session.call(probe.command, key: stream, until: deadline)
      var refusal: String?
      if case .error(let text) = reply, RedisError(text).code == "NOPERM" || text.contains("unknown command") {
        refusal = text
      }
      rights.append(
        Right(purpose: probe.purpose, refusal: refusal, isEssential: probe.isEssential, rule: probe.rule))
    }
    return rights
  }

  /// Whether a blocking read waits: one of 50 ms on a stream that does not exist.
  private static func waits(
    _ session: RedisSession, _ options: RedisOptions, _ loop: EventLoop, until deadline: LoopInstant,
    isolation: isolated (any Actor)? = #isolation
  ) async throws(SeamError) -> Bool {
    let stream = RedisKeys(prefix: options.keyPrefix).stream("~doctor-rights")
    let reader = try await session.openReader(for: stream, until: deadline, lost: { _ in })
    defer { reader.close() }
    let start = loop.now
    let reply = try await reader.call(["XREAD", "BLOCK", "50", "STREAMS", stream, "0"], until: deadline)
    if case .error = reply { return false }
    return start.duration(to: loop.now) >= .milliseconds(25)
  }
}

extension RedisOptions {
  /// The version of hiredis that was compiled against.
  public static let libraryVersion = RedisHandle.version
}
