import Glibc

/// What it costs to hand work over: from `parley_task_post` in one process to the answer of its `parley_wait`, with
/// claim and `done` by another process, which waits for work or is told of it; and whether open tasks make a claim
/// dearer.
///
/// Both are compared with Parley itself: with a message's way on the same backend in the same round, and with few tasks.
struct Tasks {
  let rig: Rig
  /// Topics that no run before this one used; lower case, as XMPP folds names.
  private let prefix = "bench-\(getpid())-\(now() % 1_000_000)"
  private static let few = 10
  private static let many = 1000

  init(rig: Rig) { self.rig = rig }

  private var slowness: Int { rig.target?.kind.slowness ?? 1 }
  /// One round's tasks; three messages each.
  private var count: Int { max(10, rig.messages / 10 / slowness) }

  func run() throws(BenchError) -> Outcome {
    let (waited, told, pushes) = try handOver()
    let (many, few) = try claims()
    return Outcome(
      scenario: "tasks",
      lines: [
        Line(
          "task posted, claimed by who waits for one, done, await answered", parley: waited, baseline: pushes,
          checks: [.atMost(4, "x", "p50 / post to push", waited.summary.median / pushes.summary.median)]),
        Line(
          "the same, claimed by who is told its id", parley: told, baseline: pushes,
          checks: [.atMost(4, "x", "p50 / post to push", told.summary.median / pushes.summary.median, guide: true)]),
        Line(
          "claim of the next of \(Self.many) open tasks", parley: many, baseline: few,
          checks: [.atMost(1.3, "x", "p50 / with \(Self.few)", many.summary.median / few.summary.median)]),
      ])
  }

  // MARK: Hand-over

  private func handOver() throws(BenchError) -> (waited: Series, told: Series, pushes: Series) {
    let (pushes, both) = try rig.inWorkspace { (workspace) throws(BenchError) in
      try rig.interleaved(
        floor: { (round) throws(BenchError) in
          let topic = "\(prefix)-push\(round)"
          let (writer, listener) = try pair([topic], pushes: true, workspace, "push\(round)")
          var history = History()
          let exchange = try Push.pushes(
            from: writer.peer, to: listener.peer, count, &history, topic: topic, warm: min(100, count))
          for server in [writer, listener] { try server.peer.process.finish() }
          return exchange
        },
        parley: { (round) throws(BenchError) in
          (
            waited: try cycles(workspace, "waited\(round)", waited), told: try cycles(workspace, "told\(round)", told)
          )
        })
    }
    return (
      Series("parley", both.map(\.waited)), Series("parley", both.map(\.told)), Series("post to push", pushes)
    )
  }

  private func cycles(
    _ workspace: Workspace, _ name: String,
    _ cycle: (Int, String, _ poster: Peer, _ worker: Peer) throws(BenchError) -> Nanoseconds
  ) throws(BenchError) -> Exchange {
    let topic = "\(prefix)-\(name)"
    let (poster, worker) = try pair([topic], pushes: false, workspace, name)
    for index in 0..<min(100, count) { _ = try cycle(index, topic, poster.peer, worker.peer) }
    let begun = now()
    var latencies: [Nanoseconds] = []
    for index in 0..<count { latencies.append(try cycle(index, topic, poster.peer, worker.peer)) }
    let exchange = Exchange(latencies: latencies, seconds: Double(now() - begun) / 1e9)
    for server in [poster, worker] { try server.peer.process.finish() }
    return exchange
  }

  /// The worker's claim has been there before there is a task.
  private func waited(_ index: Int, _ topic: String, _ poster: Peer, _ worker: Peer) throws(BenchError) -> Nanoseconds {
    let claiming = try ask(worker, "parley_task_claim", "\"topic\":\"\(topic)\",\"timeout_ms\":30000")
    _ = try take(worker, try ping(worker))
    let begun = now()
    let waiting = try awaited(try self.task(index, on: topic, poster), poster)
    let (task, fence) = try claimed(worker, claiming)
    return try end(task, fence, waiting, poster, worker) - begun
  }

  /// The worker claims by id what the poster tells.
  private func told(_ index: Int, _ topic: String, _ poster: Peer, _ worker: Peer) throws(BenchError) -> Nanoseconds {
    let begun = now()
    let task = try self.task(index, on: topic, poster)
    let waiting = try awaited(task, poster)
    let fence = try claimed(worker, try ask(worker, "parley_task_claim", "\"task\":\"\(task)\"")).fence
    return try end(task, fence, waiting, poster, worker) - begun
  }

  /// The worker reports; when the poster's wait was answered.
  private func end(
    _ task: String, _ fence: String, _ waiting: Int, _ poster: Peer, _ worker: Peer
  ) throws(BenchError) -> Nanoseconds {
    let done = try ask(
      worker, "parley_task_update",
      "\"task\":\"\(task)\",\"action\":\"done\",\"fence\":\"\(fence)\",\"text\":\"it is done\"")
    let answer = try take(poster, waiting)
    let end = now()
    guard poster.string(after: "\"status\":\"", in: answer) == "done" else {
      throw BenchError("await answered \(poster.text(answer).prefix(300))")
    }
    _ = try take(worker, done)
    return end
  }

  // MARK: Claims

  private func claims() throws(BenchError) -> (many: Series, few: Series) {
    let rounds = try rig.inWorkspace { (workspace) throws(BenchError) -> [(many: Exchange, few: Exchange)] in
      var rounds: [(many: Exchange, few: Exchange)] = []
      for round in 0..<rig.rounds {
        let topics = (few: "\(prefix)-few\(round)", many: "\(prefix)-many\(round)")
        let (poster, worker) = try pair([topics.few, topics.many], pushes: false, workspace, "claims\(round)")
        // A server of rooms would take minutes to take 1,000 tasks one by one.
        for (topic, count) in [(topics.few, Self.few), (topics.many, Self.many)] { try post(count, topic, poster.peer) }
        var latencies: (many: [Nanoseconds], few: [Nanoseconds]) = ([], [])
        // In turn, so that both meet the same machine; the first ones read the logs.
        for index in 0..<count + 5 {
          let few = try replaced(index, topics.few, poster.peer, worker.peer)
          let many = try replaced(index, topics.many, poster.peer, worker.peer)
          guard index >= 5 else { continue }
          latencies.few.append(few)
          latencies.many.append(many)
        }
        rounds.append(
          (Exchange(latencies: latencies.many, seconds: 1), Exchange(latencies: latencies.few, seconds: 1)))
        for server in [poster, worker] { try server.peer.process.finish() }
      }
      return rounds
    }
    return (Series("\(Self.many) open", rounds.map(\.many)), Series("\(Self.few) open", rounds.map(\.few)))
  }

  private func post(_ count: Int, _ topic: String, _ poster: Peer) throws(BenchError) {
    _ = try poster.exchange(count: count, window: 64) { index, id, buffer in
      buffer += Self.request(id, "parley_task_post", "\"topic\":\"\(topic)\",\"title\":\"task \(index)\"")
    } answer: { _, _ in
    }
  }

  /// Claims the next task, ends it, and posts another in its place; the time of the claim alone.
  private func replaced(
    _ index: Int, _ topic: String, _ poster: Peer, _ worker: Peer
  ) throws(BenchError) -> Nanoseconds {
    let begun = now()
    let (task, fence) = try claimed(worker, try ask(worker, "parley_task_claim", "\"topic\":\"\(topic)\""))
    let time = now() - begun
    let done = try ask(
      worker, "parley_task_update", "\"task\":\"\(task)\",\"action\":\"done\",\"fence\":\"\(fence)\",\"text\":\"done\"")
    _ = try take(worker, done)
    _ = try self.task(index, on: topic, poster)
    return time
  }

  // MARK: Pieces

  private func pair(
    _ topics: [String], pushes: Bool, _ workspace: Workspace, _ name: String
  ) throws(BenchError) -> (Server, Server) {
    var settings = Server.Settings(topics: topics, database: workspace.file("\(name).db"), target: rig.target)
    settings.isWide = rig.target != nil
    settings.handle = "writer"
    let first = try Server.ready(settings, parley: rig.parley, workspace: workspace)
    settings.handle = "listener"
    settings.livePush = pushes
    return (first, try Server.ready(settings, parley: rig.parley, workspace: workspace))
  }

  private func task(_ index: Int, on topic: String, _ poster: Peer) throws(BenchError) -> String {
    let id = try ask(poster, "parley_task_post", "\"topic\":\"\(topic)\",\"title\":\"task \(index)\"")
    return try string("\"task\":\"", poster, id)
  }

  private func awaited(_ task: String, _ poster: Peer) throws(BenchError) -> Int {
    try ask(poster, "parley_wait", "\"tasks\":[\"\(task)\"],\"timeout_ms\":30000")
  }

  private func claimed(_ worker: Peer, _ id: Int) throws(BenchError) -> (task: String, fence: String) {
    let line = try take(worker, id)
    guard let task = worker.string(after: "\"task\":\"", in: line),
      let fence = worker.string(after: "\"fence\":\"", in: line)
    else { throw BenchError("nothing was claimed: \(worker.text(line).prefix(300))") }
    return (task, fence)
  }

  private func string(_ name: StaticString, _ peer: Peer, _ id: Int) throws(BenchError) -> String {
    let line = try take(peer, id)
    guard let text = peer.string(after: name, in: line) else {
      throw BenchError("refused: \(peer.text(line).prefix(300))")
    }
    return text
  }

  private func ask(_ peer: Peer, _ tool: String, _ arguments: String) throws(BenchError) -> Int {
    let id = peer.takeIDs(1)
    try peer.write(Array(Self.request(id, tool, arguments)))
    return id
  }

  private func ping(_ peer: Peer) throws(BenchError) -> Int {
    let id = peer.takeIDs(1)
    try peer.write(Array("{\"jsonrpc\":\"2.0\",\"id\":\(id),\"method\":\"ping\"}\n".utf8))
    return id
  }

  /// Waits for the answer to a request and passes over everything else.
  private func take(_ peer: Peer, _ id: Int) throws(BenchError) -> Peer.Line {
    var line = try peer.waitLine()
    while peer.answerID(line) != id { line = try peer.waitLine() }
    return line
  }

  private static func request(_ id: Int, _ tool: String, _ arguments: String) -> String.UTF8View {
    """
    {"jsonrpc":"2.0","id":\(id),"method":"tools/call","params":{"name":"\(tool)","arguments":{\(arguments)}}}

    """.utf8
  }
}
