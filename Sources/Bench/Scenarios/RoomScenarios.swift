import Glibc

/// What is measured where a topic is a room that people share, on servers that take milliseconds for a message: the
/// same work by the bare protocol beside it.
struct RoomScenarios {
  let rig: Rig
  let target: ServerTarget
  /// Rooms that no run before this one used; lower case, as XMPP folds names.
  private let run = "bench-\(getpid())-\(now() % 1_000_000)"
  /// A page that is fetched.
  private static let pageSize = 200

  init(rig: Rig, target: ServerTarget) {
    self.rig = rig
    self.target = target
  }

  func run(_ scenario: Scenario) throws(BenchError) -> Outcome {
    switch scenario {
    case .push: try push()
    case .fetch: try fetch()
    case .topics: try topics()
    default: throw BenchError("this is measured with --backend sqlite, redis or nats")
    }
  }

  /// One round's messages: a server of rooms stores tens to hundreds in a second where others store thousands.
  private var count: Int { max(10, rig.messages / target.kind.slowness) }

  private func push() throws(BenchError) -> Outcome {
    var verdict = History.Verdict()
    var bare: [Exchange] = []
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      try rig.interleaved(
        floor: { (round) throws(BenchError) in
          try self.floor(&bare, workspace) { (name) throws(BenchError) in
            let topic = "\(run)-\(name)\(round)"
            // Over XMPP the floor meets in a room of the same making.
            if target.kind == .xmpp {
              let maker = try Server.ready(settings([topic]), parley: rig.parley, workspace: workspace)
              try first(of: [topic], through: maker.peer)
              try maker.peer.process.finish()
            }
            return ["roundtrip", target.room(of: topic), String(count), "200"]
          }
        },
        parley: { (round) throws(BenchError) in
          let topic = "\(run)-push\(round)"
          let writer = try Server.ready(settings([topic], handle: "writer"), parley: rig.parley, workspace: workspace)
          // The first post makes the room, which takes a server as long as many posts.
          try first(of: [topic], through: writer.peer)
          let listener = try Server.ready(
            settings([topic], handle: "listener", push: true), parley: rig.parley, workspace: workspace)
          try settled(listener)
          var history = History()
          let exchange = try Push.pushes(
            from: writer.peer, to: listener.peer, count, &history, topic: topic, warm: 5)
          // Its log begins after that first post.
          verdict += try history.judged(through: listener)
          for server in [writer, listener] { try server.peer.process.finish() }
          return exchange
        })
    }
    let (series, base) = (Series("parley", parley), Series("\(target.kind.protocolName) floor", floor))
    let line = Line(
      "post to push in another process", parley: series, baseline: base,
      checks: checks(1.15, series, base, bare))
    return Outcome(scenario: "push", lines: [line], verdict: verdict)
  }

  private func fetch() throws(BenchError) -> Outcome {
    let stored = 2 * Self.pageSize
    let pages = target.kind.pages(for: count)
    let topic = "\(run)-fetch"
    var bare: [Exchange] = []
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      let server = try Server.ready(settings([topic]), parley: rig.parley, workspace: workspace)
      let posts = Posts("m", topics: [topic])
      var cursors = [String](repeating: "", count: stored)
      var ids = cursors
      _ = try server.peer.exchange(count: stored, window: 16) { index, id, buffer in
        posts.append(index, id: id, to: &buffer)
      } answer: { index, line in
        cursors[index] = server.peer.string(after: "\"cursor\":\"", in: line) ?? ""
        ids[index] = server.peer.string(after: "\"backendMsgId\":\"", in: line) ?? ""
      }
      let places = (0..<pages).map { ids[Fetch.place($0, of: stored - Self.pageSize)] }
      let measured = try rig.interleaved(
        floor: { (_) throws(BenchError) in
          try self.floor(&bare, workspace) { _ in
            ["fetch", target.room(of: topic), String(pages)] + places
          }
        },
        parley: { (_) throws(BenchError) in
          try Fetch.pages(server.peer, pages, after: cursors, topic: topic, size: Self.pageSize)
        })
      try server.peer.process.finish()
      return measured
    }
    let (series, base) = (Series("parley", parley), Series("\(target.kind.protocolName) floor", floor))
    return Outcome(
      scenario: "fetch",
      lines: [
        Line(
          "fetch of \(Self.pageSize) messages", parley: series, baseline: base,
          checks: checks(1.3, series, base, bare))
      ])
  }

  /// What 100 topics cost on one connection: memory, and CPU at rest.
  private func topics() throws(BenchError) -> Outcome {
    let names = (0..<100).map { "\(run)-topic\($0)" }
    return try rig.inWorkspace { (workspace) throws(BenchError) in
      let writer = try Server.ready(settings(names, handle: "writer"), parley: rig.parley, workspace: workspace)
      try first(of: names, through: writer.peer)
      try writer.peer.process.finish()
      var usage: [(connections: Int, memory: Int, processor: Double)] = []
      for count in [1, names.count] {
        var options = settings(Array(names.suffix(count)), handle: "many\(count)", push: true)
        options.isWide = true
        let server = try Server.ready(options, parley: rig.parley, workspace: workspace)
        try settled(server)
        let poster = try Server.ready(
          settings([names[names.count - 1]], handle: "poster"), parley: rig.parley, workspace: workspace)
        var history = History()
        // The last topic's pushes show that all are subscribed.
        _ = try Push.pushes(
          from: poster.peer, to: server.peer, 20, &history, topic: names[names.count - 1], warm: 5)
        try poster.peer.process.finish()
        // What the pushes left behind, such as a request that ends with them, belongs to them.
        sleep(1)
        let pid = server.peer.process.pid
        let before = ProcessUsage(pid: pid)
        sleep(10)
        let after = ProcessUsage(pid: pid)
        let sockets = Files.names(in: "/proc/\(pid)/fd").count {
          Files.linkTarget("/proc/\(pid)/fd/\($0)")?.hasPrefix("socket:") == true
        }
        usage.append((sockets, after.residentBytes, (after.processorSeconds - before.processorSeconds) / 10))
        try server.peer.process.finish()
      }
      return Outcome(
        scenario: "topics",
        lines: [
          Line(
            "100 topics over 1",
            checks: [
              .atMost(
                target.kind.idleConnections, "", "further connections",
                Double(usage[1].connections - usage[0].connections)),
              .atMost(30, "MiB", "memory", Double(usage[1].memory) / 1_048_576),
              .atMost(0.1, "%", "CPU at rest", usage[1].processor * 100),
            ])
        ])
    }
  }

  // MARK: Pieces

  /// One post to each topic: a room comes about with its first.
  private func first(of topics: [String], through peer: Peer) throws(BenchError) {
    let posts = Posts("first", topics: topics)
    _ = try peer.exchange(count: topics.count, window: 4) { index, id, buffer in
      posts.append(index, id: id, to: &buffer)
    } answer: { _, _ in
    }
  }

  private func settings(_ topics: [String], handle: String = "bench", push: Bool = false) -> Server.Settings {
    Server.Settings(handle: handle, topics: topics, livePush: push, target: target, isWide: true)
  }

  /// Waits until a session has caught up with all its topics: what is posted before that is not pushed.
  private func settled(_ server: Server) throws(BenchError) {
    let peer = server.peer
    for _ in 0..<300 {
      let id = peer.takeIDs(1)
      let call = #""method":"tools/call","params":{"name":"parley_status","arguments":{}}}"#
      try peer.write(Array("{\"jsonrpc\":\"2.0\",\"id\":\(id),\(call)\n".utf8))
      var line = try peer.waitLine()
      while peer.answerID(line) != id { line = try peer.waitLine() }
      if peer.end(of: "\"caughtUp\":true", in: line) != nil { return }
      usleep(100_000)
    }
    throw BenchError("a session did not catch up with its topics within 30 s")
  }

  /// Runs the floor; over XMPP with the stream management (XEP-0198) without which a session loses what a cut connection
  /// carried, and once more without it: `bare`.
  private func floor(
    _ bare: inout [Exchange], _ workspace: Workspace, _ arguments: (String) throws(BenchError) -> [String]
  ) throws(BenchError) -> Exchange {
    func run(_ name: String, managed: Bool) throws(BenchError) -> Exchange {
      let line = [target.floor] + target.floorArguments(managed: managed) + (try arguments(name))
      return try Peer(try ChildProcess(line, errors: workspace.errors, wide: true)).figures()
    }
    if target.kind == .xmpp { bare.append(try run("bare", managed: false)) }
    return try run("floor", managed: true)
  }

  private func checks(_ bound: Double, _ series: Series, _ base: Series, _ bare: [Exchange]) -> [Check] {
    let goal = Check.atMost(bound, "x", "p50 / floor", series.summary.median / base.summary.median)
    guard !bare.isEmpty else { return [goal] }
    let median = Series("", bare).summary.median
    let name = "p50 / floor without stream management (\(Report.number(median)) µs)"
    return [goal, .atMost(bound, "x", name, series.summary.median / median, guide: true)]
  }
}
