/// From before the fork until the answer to `initialize` has arrived.
///
/// The floor is `/bin/cat`: fork, exec and dynamic linking of a small C program that sends the same line back.
enum Start {
  static func run(_ rig: Rig) throws(BenchError) -> Outcome {
    let startsPerRound = 40
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      let settings = Server.Settings(database: workspace.file("start.db"))
      // The database exists when a session starts, as it does every time but the first.
      try Server.ready(settings, parley: rig.parley, workspace: workspace).peer.process.finish()
      return try rig.interleaved(
        floor: { (_) throws(BenchError) in
          try starts(startsPerRound) { () throws(BenchError) in
            Peer(try ChildProcess(["/bin/cat"], errors: workspace.errors))
          }
        },
        parley: { (_) throws(BenchError) in
          try starts(startsPerRound) { () throws(BenchError) in
            try Server(settings, parley: rig.parley, workspace: workspace).peer
          }
        })
    }
    let line = Line(
      "exec to initialize answered", parley: Series("parley", parley), baseline: Series("C floor (cat)", floor),
      checks: [.atMost(8, "ms", "p50", Series("parley", parley).summary.median / 1000)],
      elsewhere: "TypeScript Parley 480 ms, Python SDK 630 ms")
    return Outcome(scenario: "start", lines: [line])
  }

  /// Starts so many, one after the other.
  static func starts(_ count: Int, _ start: () throws(BenchError) -> Peer) throws(BenchError) -> Exchange {
    var latencies: [Nanoseconds] = []
    let begun = now()
    for _ in 0..<count {
      let time = now()
      let peer = try start()
      try peer.write(Server.initializeRequest(id: peer.takeIDs(1)))
      _ = try peer.waitLine()
      latencies.append(now() - time)
      try peer.process.finish()
    }
    return Exchange(latencies: latencies, seconds: Double(now() - begun) / 1e9)
  }
}
