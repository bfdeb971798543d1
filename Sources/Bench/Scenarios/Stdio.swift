/// The bare way in and out: `ping`, one at a time and pipelined, against a C program that sends every byte back.
enum Stdio {
  static func run(_ rig: Rig) throws(BenchError) -> Outcome {
    let lines = try [1, 256].map { (window) throws(BenchError) in
      let count = window == 1 ? rig.messages : rig.messages * 4
      let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
        let settings = Server.Settings(database: workspace.file("stdio.db"), isWide: true)
        return try rig.interleaved(
          floor: { (_) throws(BenchError) in
            let peer = try rig.floor(["echo"], workspace, wide: true)
            let exchange = try pings(peer, count, window)
            try peer.process.finish()
            return exchange
          },
          parley: { (_) throws(BenchError) in
            let server = try Server.ready(settings, parley: rig.parley, workspace: workspace)
            let exchange = try pings(server.peer, count, window)
            try server.peer.process.finish()
            return exchange
          })
      }
      return Line(
        "ping, \(window) outstanding", parley: Series("parley", parley), baseline: Series("C floor (echo)", floor),
        checks: [], elsewhere: window == 1 ? nil : "Python SDK 980 calls/s")
    }
    return Outcome(scenario: "stdio", lines: lines)
  }

  private static func pings(_ peer: Peer, _ count: Int, _ window: Int) throws(BenchError) -> Exchange {
    try peer.exchange(count: count, window: window) { _, id, buffer in
      buffer.append(contentsOf: "{\"jsonrpc\":\"2.0\",\"id\":".utf8)
      buffer.append(contentsOf: String(id).utf8)
      buffer.append(contentsOf: ",\"method\":\"ping\"}\n".utf8)
    } answer: { _, _ in
    }
  }
}
