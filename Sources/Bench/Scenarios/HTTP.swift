import CLinux
import Glibc

/// The HTTP door over SQLite, beside the same server library that answers a constant.
struct HTTP {
  let rig: Rig
  private static let connections = 32

  init(rig: Rig) { self.rig = rig }

  func run() throws(BenchError) -> Outcome {
    var outcome = Outcome(scenario: "http", lines: [])
    try posts(into: &outcome)
    try HTTPStreams(rig: rig).measure(into: &outcome)
    try HTTPRelay(rig: rig).measure(into: &outcome)
    return outcome
  }

  // MARK: Posts

  private func posts(into outcome: inout Outcome) throws(BenchError) {
    var verdict = History.Verdict()
    var constants: (one: [Exchange], many: [Exchange]) = ([], [])
    var seam: [Exchange] = []
    var door: (stateless: [Exchange], session: [Exchange], many: [Exchange]) = ([], [], [])
    try rig.inWorkspace { (workspace) throws(BenchError) in
      for round in 0..<rig.rounds {
        let (one, many) = try Watchdog.limit(seconds: 120) { () throws(BenchError) -> (one: Exchange, many: Exchange) in
          try constant(workspace)
        }
        constants.one.append(one)
        constants.many.append(many)
        seam.append(try Watchdog.limit(seconds: 120) { () throws(BenchError) in try posted(round, workspace) })
        let server = try DoorProcess("door\(round)", rig: rig, workspace: workspace)
        var history = History()
        try Watchdog.limit(seconds: 120) { () throws(BenchError) in
          let peer = try HTTPPeer(port: server.port)
          _ = try post(HTTPPosts("warm"), peer, 200, &history)
          door.stateless.append(try post(HTTPPosts("s"), peer, rig.messages, &history))
          let session = try DoorProcess.openSession(peer)
          door.session.append(try post(HTTPPosts("l", session: session), peer, rig.messages, &history))
          door.many.append(try contest(HTTPPosts("m"), server, &history))
        }
        try server.finish()
        let reader = try Server.ready(.init(database: server.database), parley: rig.parley, workspace: workspace)
        verdict += try history.judged(through: reader)
        try reader.peer.process.finish()
      }
    }
    let (base, one) = (Series("constant", constants.one), Series("seam", seam))
    let sum = base.summary.median + one.summary.median
    for (title, exchanges) in [("a session", door.session), ("no session", door.stateless)] {
      let series = Series("parley", exchanges)
      outcome.lines.append(
        Line(
          "parley_post over HTTP, \(title)", parley: series, baseline: base,
          checks: [.atMost(1.5, "x", "p50 / (constant + seam)", series.summary.median / sum)],
          elsewhere: "TypeScript Parley 2.2 ms"))
    }
    outcome.lines.append(Line("one durable post through the seam", parley: one, checks: []))
    let many = Series("parley", door.many)
    outcome.lines.append(
      Line(
        "parley_post, \(Self.connections) connections", parley: many, baseline: Series("constant", constants.many),
        checks: [.atLeast(15_000, "/s", "rate", many.summary.rate)]))
    outcome.verdict += verdict
  }

  /// The constant has as many bytes as an answer of `parley_post`, and is asked with the same requests.
  private func constant(_ workspace: Workspace) throws(BenchError) -> (one: Exchange, many: Exchange) {
    let child = Peer(try ChildProcess([rig.bench, "constant", "600"], errors: workspace.errors))
    guard let port = Int(child.text(try child.waitLine())) else { throw BenchError("the constant has no port") }
    let posts = HTTPPosts("c")
    let peer = try HTTPPeer(port: port)
    _ = try peer.exchange(count: 200) {
      posts.append($0, to: &$1)
    } answer: { _, _ in
    }
    let one = try peer.exchange(count: rig.messages) {
      posts.append($0, to: &$1)
    } answer: { _, _ in
    }
    let peers = try (0..<Self.connections).map { (_) throws(BenchError) -> HTTPPeer in
      try HTTPPeer(port: port)
    }
    let many = try HTTPPeer.contest(peers, count: rig.messages * 4) {
      posts.append($0, to: &$1)
    } answer: { _, _ in
    }
    child.process.stop()
    return (one, many)
  }

  /// One durable post after the other at the seam, without MCP and without HTTP.
  private func posted(_ round: Int, _ workspace: Workspace) throws(BenchError) -> Exchange {
    let configuration = workspace.file("seam\(round).config.yaml")
    try Files.write(
      """
      identity: { handle: probe }
      topics: [general]
      backend: sqlite
      backend_config: { db_path: \(workspace.file("seam\(round).db")), durability: full }

      """, to: configuration)
    return try Peer(
      try ChildProcess(
        [
          rig.parley, "probe", "general", "--config", configuration, "--count", String(rig.messages), "--window", "1",
          "--answers",
        ], errors: workspace.errors)
    ).figures()
  }

  private func post(
    _ posts: HTTPPosts, _ peer: HTTPPeer, _ count: Int, _ history: inout History
  ) throws(BenchError) -> Exchange {
    var answers: [[UInt8]] = []
    answers.reserveCapacity(count)
    let exchange = try peer.exchange(count: count) {
      posts.append($0, to: &$1)
    } answer: {
      answers.append($1)
    }
    for index in 0..<count {
      history.sent(posts.posts, index)
      note(answers[index], posts, index, &history)
    }
    return exchange
  }

  private func contest(
    _ posts: HTTPPosts, _ server: DoorProcess, _ history: inout History
  ) throws(BenchError) -> Exchange {
    let count = rig.messages * 4
    let peers = try (0..<Self.connections).map { (_) throws(BenchError) -> HTTPPeer in
      try HTTPPeer(port: server.port)
    }
    var events: [(index: Int, answer: [UInt8]?)] = []
    events.reserveCapacity(2 * count)
    let exchange = try HTTPPeer.contest(peers, count: count) { index, buffer in
      events.append((index, nil))
      posts.append(index, to: &buffer)
    } answer: { index, answer in
      events.append((index, answer))
    }
    for (index, answer) in events {
      if let answer { note(answer, posts, index, &history) } else { history.sent(posts.posts, index) }
    }
    return exchange
  }

  private func note(_ answer: [UInt8], _ posts: HTTPPosts, _ index: Int, _ history: inout History) {
    let text = String(decoding: answer, as: UTF8.self)
    history.answered(posts.posts, index, id: Transcript.messageID(in: text), line: text)
  }
}
