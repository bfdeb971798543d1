/// A fetch after a cursor in a log of 5,000,000 messages against one in 5,000: the log's length must not be felt.
enum Scale {
  static func run(_ rig: Rig) throws(BenchError) -> Outcome {
    let (small, large) = try rig.inWorkspace { (workspace) throws(BenchError) in
      let sizes = [5000, 5_000_000]
      let settings = sizes.map { Server.Settings(database: workspace.file("\($0).db")) }
      for (size, settings) in zip(sizes, settings) {
        // Parley makes the file; another program fills it, as another program may.
        try Server.ready(settings, parley: rig.parley, workspace: workspace).peer.process.finish()
        let arguments = ["fill", settings.database, "general", String(size), "200"]
        try rig.floor(arguments, workspace).process.finish(within: 600)
      }
      func pages(_ place: Int) throws(BenchError) -> Exchange {
        let server = try Server.ready(settings[place], parley: rig.parley, workspace: workspace)
        // A thousand places over the whole log, as bare SQLite ids.
        let cursors = (0..<1100).map { String(sizes[place] / 1110 * ($0 + 1)) }
        let exchange = try Fetch.pages(server.peer, rig.messages, after: cursors)
        try server.peer.process.finish()
        return exchange
      }
      return try rig.interleaved(
        floor: { (_) throws(BenchError) in try pages(0) }, parley: { (_) throws(BenchError) in try pages(1) })
    }
    let series = Series("in 5,000,000", large)
    let base = Series("in 5,000", small)
    let line = Line(
      "fetch of 100 after a cursor", parley: series, baseline: base,
      checks: [.atMost(1.3, "x", "p50 / p50 in 5,000", series.summary.median / base.summary.median)])
    return Outcome(scenario: "scale", lines: [line])
  }
}
