/// `parley_fetch_recent` of 100 messages after a cursor somewhere in 5,000, against the same select in C.
enum Fetch {
  static func run(_ rig: Rig) throws(BenchError) -> Outcome {
    let stored = 5000
    var verdict = History.Verdict()
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      let posts = Posts("m")
      let filler = try rig.floor(["post", workspace.file("floor.db"), "plain"], workspace, wide: true)
      _ = try filler.exchange(count: stored, window: 256) { index, id, buffer in
        posts.append(index, id: id, to: &buffer)
      } answer: { _, _ in
      }
      try filler.process.finish()

      let settings = Server.Settings(database: workspace.file("parley.db"), isWide: true)
      let server = try Server.ready(settings, parley: rig.parley, workspace: workspace)
      var history = History()
      var cursors: [String] = []
      _ = try server.peer.exchange(count: stored, window: 256) { index, id, buffer in
        history.sent(posts, index)
        posts.append(index, id: id, to: &buffer)
      } answer: { index, line in
        history.answered(posts, index, line, by: server.peer)
        cursors.append(server.peer.string(after: "\"cursor\":\"", in: line) ?? "")
      }
      verdict += try history.judged(through: server)
      try server.peer.process.finish()

      return try rig.interleaved(
        floor: { (_) throws(BenchError) in
          let peer = try rig.floor(["fetch", workspace.file("floor.db")], workspace)
          let exchange = try pages(peer, rig.messages, after: (1...stored).map { String($0) })
          try peer.process.finish()
          return exchange
        },
        parley: { (_) throws(BenchError) in
          let server = try Server.ready(settings, parley: rig.parley, workspace: workspace)
          let exchange = try pages(server.peer, rig.messages, after: cursors)
          try server.peer.process.finish()
          return exchange
        })
    }
    let series = Series("parley", parley)
    let line = Line(
      "fetch of 100 messages", parley: series, baseline: Series("C floor", floor),
      checks: [.atMost(400, "µs", "p50", series.summary.median)], elsewhere: "TypeScript Parley 1.06 ms")
    return Outcome(scenario: "fetch", lines: [line], verdict: verdict)
  }

  /// Fetches pages of `size` from places spread evenly over `cursors`, in an order that jumps about.
  static func pages(
    _ peer: Peer, _ count: Int, after cursors: [String], topic: String = "general", size: Int = 100
  ) throws(BenchError) -> Exchange {
    var short: String?
    let exchange = try peer.exchange(count: count, window: 1) { index, id, buffer in
      let cursor = cursors[place(index, of: cursors.count - size)]
      buffer += Server.fetchRequest(id: id, topic: topic, after: cursor, limit: size)
    } answer: { index, line in
      if index == 0, peer.strings(after: "\"backendMsgId\":\"", in: line).count != size { short = peer.text(line) }
    }
    if let short { throw BenchError("a page does not hold \(size) messages: \(short.prefix(400))") }
    return exchange
  }

  /// The place of a page among so many.
  static func place(_ index: Int, of count: Int) -> Int {
    Int((UInt64(index) &* 0x9E37_79B9_7F4A_7C15) % UInt64(count))
  }
}
