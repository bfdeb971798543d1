import Glibc

/// Two processes with live push over 100 topics: memory at rest, CPU and wake-ups over a window, then 20,000 posts from
/// one to the other, and memory again.
enum Idle {
  static func run(_ rig: Rig) throws(BenchError) -> Outcome {
    try rig.inWorkspace { (workspace) throws(BenchError) in
      let topics = (0..<100).map { "topic\($0)" }
      let servers = try ["writer", "listener"].map { (handle) throws(BenchError) in
        let settings = Server.Settings(
          handle: handle, topics: topics, livePush: true, database: workspace.file("idle.db"), isWide: true)
        return try Server.ready(settings, parley: rig.parley, workspace: workspace)
      }
      let fresh = servers.map { ProcessUsage(pid: $0.peer.process.pid).residentBytes }.max() ?? 0

      var history = History()
      let rate = try burst(20_000, Posts("i", topics: topics), servers.map(\.peer), &history)
      // Work that the burst left behind, such as a checkpoint, belongs to the burst.
      usleep(2_000_000)
      let worked = servers.map { ProcessUsage(pid: $0.peer.process.pid).residentBytes }.max() ?? 0
      let quiet = rest(servers, seconds: 10)
      let verdict = try Watchdog.limit(seconds: 120) { () throws(BenchError) in
        try history.judged(through: servers[0])
      }
      for server in servers { try server.peer.process.finish() }

      let mebibyte = 1_048_576.0
      return Outcome(
        scenario: "idle",
        lines: [
          Line(
            "memory",
            checks: [
              .atMost(16, "MiB", "at rest", Double(fresh) / mebibyte),
              .atMost(24, "MiB", "after 20,000 posts", Double(worked) / mebibyte),
            ], elsewhere: "TypeScript Parley 100 and 307 MB"),
          Line(
            "idle, 100 topics",
            checks: [
              .atMost(0.1, "%", "CPU", quiet.processor * 100),
              .atMost(3, "/s", "wake-ups", quiet.wakeUps),
            ]),
          Line(
            "20,000 posts pushed to another process",
            checks: [
              .atLeast(10_000, "/s", "rate", rate, guide: true)
            ]),
        ], verdict: verdict)
    }
  }

  /// Posts through the first peer and takes every push from the second; returns messages per second.
  private static func burst(
    _ count: Int, _ posts: Posts, _ peers: [Peer], _ history: inout History
  ) throws(BenchError) -> Double {
    var readiness = Readiness(peers)
    var buffer: [UInt8] = []
    var sent = 0
    var answered = 0
    var pushed = 0
    let firstID = peers[0].takeIDs(count)
    let begun = now()
    while answered < count || pushed < count {
      buffer.removeAll(keepingCapacity: true)
      while sent < min(count, answered + 256) {
        history.sent(posts, sent)
        posts.append(sent, id: firstID + sent, to: &buffer)
        sent += 1
      }
      if !buffer.isEmpty { try peers[0].write(buffer) }
      let ready = readiness.wait(milliseconds: 10_000)
      if ready.isEmpty { throw BenchError("after \(answered) answers and \(pushed) pushes nothing came for 10 s") }
      for place in ready {
        try peers[place].fill()
        while let line = peers[place].nextLine() {
          if place == 0, let id = peers[0].answerID(line) {
            history.answered(posts, id - firstID, line, by: peers[0])
            answered += 1
          } else if place == 1, history.pushed(line, to: "listener", by: peers[1]) != nil {
            pushed += 1
          }
        }
      }
    }
    return Double(count) / (Double(now() - begun) / 1e9)
  }

  /// The busier of the servers over a quiet window: share of one core, and wake-ups per second.
  private static func rest(_ servers: [Server], seconds: Int) -> (processor: Double, wakeUps: Double) {
    let before = servers.map { ProcessUsage(pid: $0.peer.process.pid) }
    let begun = now()
    sleep(UInt32(seconds))
    let window = Double(now() - begun) / 1e9
    let after = servers.map { ProcessUsage(pid: $0.peer.process.pid) }
    let used = zip(before, after).map { ($1.processorSeconds - $0.processorSeconds) / window }
    let wakeUps = zip(before, after).map { Double($1.voluntarySwitches - $0.voluntarySwitches) / window }
    return (used.max() ?? 0, wakeUps.max() ?? 0)
  }
}
