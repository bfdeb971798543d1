/// `parley_post` at FULL with 1, 16 and 256 outstanding, against C that commits what has arrived and answers.
enum Post {
  static func run(_ rig: Rig) throws(BenchError) -> Outcome {
    var outcome = Outcome(scenario: "post", lines: [])
    for window in [1, 16, 256] { try measure(window, rig, into: &outcome) }
    return outcome
  }

  private static func measure(_ window: Int, _ rig: Rig, into outcome: inout Outcome) throws(BenchError) {
    let count = window == 1 ? rig.messages : rig.messages * 4
    var verdict = History.Verdict()
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      try rig.interleaved(
        floor: { (round) throws(BenchError) in
          let peer = try rig.floor(["post", workspace.file("floor\(round).db"), "plain"], workspace, wide: true)
          var unread = History()
          try warm(peer, &unread)
          let posts = Posts("f")
          var transcript = Transcript(count: count)
          let exchange = try peer.exchange(count: count, window: window) { index, id, buffer in
            transcript.sent(index)
            posts.append(index, id: id, to: &buffer)
          } answer: { index, line in
            unsafe transcript.answered(index, peer.raw(line))
          }
          try peer.process.finish()
          return exchange
        },
        parley: { (round) throws(BenchError) in
          let settings = Server.Settings(database: workspace.file("parley\(round).db"), isWide: true)
          let server = try Server.ready(settings, parley: rig.parley, workspace: workspace)
          var history = History()
          try warm(server.peer, &history)
          let posts = Posts("m")
          var transcript = Transcript(count: count)
          let exchange = try server.peer.exchange(count: count, window: window) { index, id, buffer in
            transcript.sent(index)
            posts.append(index, id: id, to: &buffer)
          } answer: { index, line in
            unsafe transcript.answered(index, server.peer.raw(line))
          }
          transcript.tell(&history, posts)
          verdict += try history.judged(through: server)
          try server.peer.process.finish()
          return exchange
        })
    }
    outcome.verdict += verdict
    outcome.lines.append(line(window, Series("parley", parley), Series("C floor", floor)))
  }

  private static func line(_ window: Int, _ parley: Series, _ floor: Series) -> Line {
    let checks: [Check] =
      switch window {
      case 1:
        [
          .atMost(2, "x", "p50 / floor", parley.summary.median / floor.summary.median),
          .atMost(200, "µs", "p50", parley.summary.median, guide: true),
        ]
      case 256:
        [
          .atLeast(0.5, "x", "rate / floor", parley.summary.rate / floor.summary.rate),
          .atLeast(60_000, "/s", "rate", parley.summary.rate, guide: true),
        ]
      default: []
      }
    let elsewhere =
      window == 1 ? "TypeScript Parley 372 µs without fsync" : "TypeScript Parley 6,600/s at NORMAL"
    return Line("post, \(window) outstanding", parley: parley, baseline: floor, checks: checks, elsewhere: elsewhere)
  }

  /// A first few posts: the file grows to its working size, caches fill.
  static func warm(_ peer: Peer, _ history: inout History, topic: String = "general") throws(BenchError) {
    let posts = Posts("warm", topics: [topic])
    _ = try peer.exchange(count: 200, window: 8) { index, id, buffer in
      history.sent(posts, index)
      posts.append(index, id: id, to: &buffer)
    } answer: { index, line in
      history.answered(posts, index, line, by: peer)
    }
  }
}
