/// From one process's `parley_post` to the other process's notification line, one message at a time.
///
/// The floor is two C processes: commit and touch a file; wait for it by inotify, select, write the same line.
enum Push {
  static func run(_ rig: Rig) throws(BenchError) -> Outcome {
    var verdict = History.Verdict()
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      try rig.interleaved(
        floor: { (round) throws(BenchError) in
          let database = workspace.file("floor\(round).db")
          let listener = try rig.floor(["watch", database], workspace)
          _ = try listener.waitLine()
          let writer = try rig.floor(["post", database, "touch"], workspace)
          var history = History()
          let exchange = try pushes(from: writer, to: listener, rig.messages, &history)
          listener.process.stop()
          try writer.process.finish()
          return exchange
        },
        parley: { (round) throws(BenchError) in
          let database = workspace.file("parley\(round).db")
          let listener = try Server.ready(
            .init(handle: "listener", livePush: true, database: database), parley: rig.parley, workspace: workspace)
          let writer = try Server.ready(
            .init(handle: "writer", database: database), parley: rig.parley, workspace: workspace)
          var history = History()
          let exchange = try pushes(from: writer.peer, to: listener.peer, rig.messages, &history)
          verdict += try history.judged(through: writer)
          try writer.peer.process.finish()
          try listener.peer.process.finish()
          return exchange
        })
    }
    let series = Series("parley", parley)
    let base = Series("C floor", floor)
    let line = Line(
      "post to push in another process", parley: series, baseline: base,
      checks: [
        .atMost(1.6, "x", "p50 / floor", series.summary.median / base.summary.median),
        .atMost(150, "µs", "p50", series.summary.median, guide: true),
        .atMost(1000, "µs", "p99", series.summary.values[2], guide: true),
      ],
      elsewhere: "TypeScript Parley 0 to 1,000 ms (poll)")
    return Outcome(scenario: "push", lines: [line], verdict: verdict)
  }

  /// Pushes one at a time, the first ones, `warm` of them, unmeasured.
  static func pushes(
    from writer: Peer, to listener: Peer, _ count: Int, _ history: inout History, topic: String = "general",
    warm: Int = 100
  ) throws(BenchError) -> Exchange {
    // The first ones only warm both sides up; they are judged like all others.
    _ = try push(Posts("warm", topics: [topic]), from: writer, to: listener, warm, &history)
    return try push(Posts("p", topics: [topic]), from: writer, to: listener, count, &history)
  }

  private static func push(
    _ posts: Posts, from writer: Peer, to listener: Peer, _ count: Int, _ history: inout History
  ) throws(BenchError) -> Exchange {
    var readiness = Readiness([listener, writer])
    var latencies: [Nanoseconds] = []
    latencies.reserveCapacity(count)
    var buffer: [UInt8] = []
    let begun = now()
    for index in 0..<count {
      buffer.removeAll(keepingCapacity: true)
      let key = posts.key(index)
      history.sent(posts, index)
      posts.append(index, id: writer.takeIDs(1), to: &buffer)
      var isPushed = false
      var isAnswered = false
      let sent = now()
      try writer.write(buffer)
      while !isPushed || !isAnswered {
        let ready = readiness.wait(milliseconds: 10_000)
        if ready.isEmpty { throw BenchError("no push of \(key) within 10 s") }
        for place in ready where place == 0 {
          try listener.fill()
          let arrived = now()
          while let line = listener.nextLine() {
            guard history.pushed(line, to: "listener", by: listener) == key else { continue }
            latencies.append(arrived - sent)
            isPushed = true
          }
        }
        for place in ready where place == 1 {
          try writer.fill()
          while let line = writer.nextLine() {
            guard writer.answerID(line) != nil else { continue }
            history.answered(posts, index, line, by: writer)
            isAnswered = true
          }
        }
      }
    }
    return Exchange(latencies: latencies, seconds: Double(now() - begun) / 1e9)
  }
}
