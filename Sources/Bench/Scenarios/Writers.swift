/// 32 processes that write one file, each with one post outstanding: no error, and nobody waits for a second.
///
/// The floor is 32 C processes that take turns by a lock on the sidecar.
enum Writers {
  private static let writers = 32

  static func run(_ rig: Rig) throws(BenchError) -> Outcome {
    var verdict = History.Verdict()
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      try rig.interleaved(
        floor: { (round) throws(BenchError) in
          let database = workspace.file("floor\(round).db")
          // Alone at first: turning a new file's journal into a WAL does not wait for others, it fails.
          let first = try rig.floor(["post", database, "turns"], workspace)
          var history = History()
          try Post.warm(first, &history)
          let peers =
            try [first]
            + (1..<writers).map { (_) throws(BenchError) in
              try rig.floor(["post", database, "turns"], workspace)
            }
          let exchange = try contest(peers, rig.messages, &history)
          for peer in peers { try peer.process.finish() }
          return exchange
        },
        parley: { (round) throws(BenchError) in
          let database = workspace.file("parley\(round).db")
          let servers = try (0..<writers).map { (place) throws(BenchError) in
            try Server.ready(
              .init(handle: "writer\(place)", database: database), parley: rig.parley, workspace: workspace)
          }
          var history = History()
          let exchange = try contest(servers.map(\.peer), rig.messages, &history)
          verdict += try history.judged(through: servers[0])
          for server in servers { try server.peer.process.finish() }
          return exchange
        })
    }
    let series = Series("parley", parley)
    let line = Line(
      "32 processes writing one file", parley: series, baseline: Series("C floor, turns", floor),
      checks: [
        .atMost(1000, "ms", "longest wait", series.summary.values[4] / 1000),
        .atMost(0, "", "errors", Double(verdict.refused)),
      ])
    return Outcome(scenario: "writers", lines: [line], verdict: verdict)
  }

  /// Each peer has one post outstanding until `count` posts have been answered in all.
  private static func contest(_ peers: [Peer], _ count: Int, _ history: inout History) throws(BenchError) -> Exchange {
    let posts = peers.indices.map { Posts("w\($0)") }
    var readiness = Readiness(peers)
    var sentAt = [Nanoseconds](repeating: 0, count: peers.count)
    var turns = [Int](repeating: 0, count: peers.count)
    var latencies: [Nanoseconds] = []
    var outstanding = 0
    var buffer: [UInt8] = []
    func send(_ place: Int) throws(BenchError) {
      buffer.removeAll(keepingCapacity: true)
      history.sent(posts[place], turns[place])
      posts[place].append(turns[place], id: peers[place].takeIDs(1), to: &buffer)
      outstanding += 1
      sentAt[place] = now()
      try peers[place].write(buffer)
    }
    let begun = now()
    for place in peers.indices { try send(place) }
    while outstanding > 0 {
      let ready = readiness.wait(milliseconds: 30_000)
      if ready.isEmpty { throw BenchError("no writer was answered for 30 s") }
      for place in ready {
        try peers[place].fill()
        let arrived = now()
        while let line = peers[place].nextLine() {
          guard peers[place].answerID(line) != nil else { continue }
          latencies.append(arrived - sentAt[place])
          history.answered(posts[place], turns[place], line, by: peers[place])
          turns[place] += 1
          outstanding -= 1
          if latencies.count + outstanding < count { try send(place) }
        }
      }
    }
    return Exchange(latencies: latencies, seconds: Double(now() - begun) / 1e9)
  }
}
