import CLinux
import Glibc

/// A thousand event streams on one door: what they cost at rest, and how soon all of them have a message.
struct HTTPStreams {
  let rig: Rig
  private static let streams = 1_000
  private static let rounds = 20
  /// Over two of the pauses after which a quiet stream says that it lives.
  private static let rest: UInt32 = 30

  /// How a client listens.
  private enum Kind: String {
    /// The standing stream of a session, into which messages are pushed.
    case session = "sessions"
    /// `subscriptions/listen` without a session, which hears that a topic changed.
    case listening = "listeners without a session"
  }

  func measure(into outcome: inout Outcome) throws(BenchError) {
    Self.allowDescriptors()
    for kind in [Kind.session, .listening] { outcome.lines += try measure(kind) }
  }

  private func measure(_ kind: Kind) throws(BenchError) -> [Line] {
    try rig.inWorkspace { (workspace) throws(BenchError) in
      let door = try DoorProcess("streams", rig: rig, workspace: workspace, sessions: 2 * Self.streams)
      let writer = try HTTPPeer(port: door.port)
      let posts = HTTPPosts("w")
      // What the first posts and a first stream need is not theirs alone.
      _ = try writer.exchange(count: 200) {
        posts.append($0, to: &$1)
      } answer: { _, _ in
      }
      let first = try open(kind, door.port)
      usleep(500_000)
      let before = door.usage
      let streams = try (0..<Self.streams).map { (_) throws(BenchError) -> HTTPPeer in
        try open(kind, door.port)
      }
      usleep(2_000_000)
      let begun = now()
      let quiet = door.usage
      sleep(Self.rest)
      let after = door.usage
      let window = Double(now() - begun) / 1e9
      let spread = try Watchdog.limit(seconds: 120) { () throws(BenchError) -> (last: Exchange, each: Exchange) in
        try self.spread(kind, from: writer, to: streams + [first])
      }
      let worked = door.usage
      try door.finish()
      let mebibyte = 1_048_576.0
      let series = Series("post to the last stream", [spread.last])
      return [
        Line(
          "\(Self.streams) idle \(kind.rawValue)",
          checks: [
            .atMost(24, "MiB", "further memory", Double(after.residentBytes - before.residentBytes) / mebibyte),
            .atMost(0.1, "%", "CPU", (after.processorSeconds - quiet.processorSeconds) / window * 100),
            .atMost(
              48, "MiB", "further memory after \(Self.rounds) messages to all",
              Double(worked.residentBytes - before.residentBytes) / mebibyte, guide: true),
          ]),
        Line(
          "a message to \(Self.streams) \(kind.rawValue)", parley: series,
          baseline: Series("post to each stream", [spread.each]),
          checks: [.atMost(50, "ms", "p50", series.summary.median / 1000)]),
      ]
    }
  }

  private func open(_ kind: Kind, _ port: Int) throws(BenchError) -> HTTPPeer {
    let peer = try HTTPPeer(port: port)
    switch kind {
    case .session:
      let session = try DoorProcess.openSession(peer)
      try peer.send(Array((DoorProcess.head("GET", session) + "\r\n").utf8))
    case .listening:
      let fields = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n"
      let body =
        #"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{\#(HTTPPosts.stateless)"#
        + #""notifications":{"resourceSubscriptions":["parley://topic/general"]}}}"#
      try peer.send(DoorProcess.request(DoorProcess.head("POST", fields), Array(body.utf8)))
    }
    let head = try peer.skipHead()
    guard head.contains("text/event-stream") else { throw BenchError("no stream: \(head)") }
    return peer
  }

  /// Posts one message at a time, the next when every stream had it: for each, when the last stream had it and when
  /// each of them had.
  private func spread(
    _ kind: Kind, from writer: HTTPPeer, to streams: [HTTPPeer]
  ) throws(BenchError) -> (last: Exchange, each: Exchange) {
    var readiness = Readiness(descriptors: [writer.descriptor] + streams.map(\.descriptor))
    var (last, each): ([Nanoseconds], [Nanoseconds]) = ([], [])
    let posts = HTTPPosts("s")
    let begun = now()
    var pause: Nanoseconds = 0
    for index in 0..<Self.rounds {
      var request: [UInt8] = []
      posts.append(index, to: &request)
      var open = Set(streams.indices)
      var isAnswered = false
      let sent = now()
      try writer.send(request)
      while !open.isEmpty || !isAnswered {
        let ready = readiness.wait(milliseconds: 10_000)
        if ready.isEmpty { throw BenchError("after 10 s a message had not come to \(open.count) streams") }
        for place in ready {
          if place == 0 {
            try writer.fill()
            if writer.take() != nil { isAnswered = true }
            continue
          }
          try streams[place - 1].fill()
          guard streams[place - 1].sees(kind == .session ? "claude/channel" : "resources/updated") else { continue }
          if open.remove(place - 1) != nil { each.append(now() - sent) }
        }
      }
      last.append(each.last ?? 0)
      // Changes that follow each other closely are told once: the next message is to be one of its own.
      let paused = now()
      usleep(300_000)
      pause += now() - paused
    }
    let seconds = Double(now() - begun - pause) / 1e9
    return (Exchange(latencies: last, seconds: seconds), Exchange(latencies: each, seconds: seconds))
  }

  /// A thousand connections take more descriptors than the usual limit.
  private static func allowDescriptors() {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard unsafe getrlimit(resource, &limit) == 0 else { return }
    limit.rlim_cur = min(max(limit.rlim_cur, rlim_t(2 * streams + 256)), limit.rlim_max)
    _ = unsafe setrlimit(resource, &limit)
  }
}
