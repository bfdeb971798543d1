import Glibc

/// What is measured where the backend has a server: the same work in C with the server's own client library beside it.
struct ServerScenarios {
  let rig: Rig
  let target: ServerTarget
  /// Topics that no run before this one used.
  private let run = "bench-\(getpid())-\(now() % 1_000_000)"

  init(rig: Rig, target: ServerTarget) {
    self.rig = rig
    self.target = target
  }

  func run(_ scenario: Scenario) throws(BenchError) -> Outcome {
    switch scenario {
    case .start: try start()
    case .seam: try seam()
    case .post: try post()
    case .push: try push()
    case .fetch: try fetch()
    case .topics: try topics()
    default: throw BenchError("this is measured with --backend sqlite")
    }
  }

  // MARK: Scenarios

  private func start() throws(BenchError) -> Outcome {
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      try rig.interleaved(
        floor: { (_) throws(BenchError) in
          try Start.starts(40) { () throws(BenchError) in Peer(try ChildProcess(["/bin/cat"], errors: workspace.errors))
          }
        },
        parley: { (_) throws(BenchError) in
          try Start.starts(40) { () throws(BenchError) in
            try Server(settings("\(run)-start"), parley: rig.parley, workspace: workspace).peer
          }
        })
    }
    let series = Series("parley", parley)
    return Outcome(
      scenario: "start",
      lines: [
        Line(
          "exec to initialize answered", parley: series, baseline: Series("C floor (cat)", floor),
          checks: [.atMost(25, "ms", "p50", series.summary.median / 1000)])
      ])
  }

  /// Without MCP: the backend's own `post` until the sink of another backend has the message.
  private func seam() throws(BenchError) -> Outcome {
    let lines = try rig.inWorkspace { (workspace) throws(BenchError) -> [Line] in
      let trip = try rig.interleaved(
        floor: { (round) throws(BenchError) in
          try floor("roundtrip", "floor-trip\(round)", [rig.messages, 200], workspace).figures()
        },
        parley: { (round) throws(BenchError) in
          try probe("trip\(round)", count: rig.messages, window: 1, workspace).figures()
        })
      let (series, base) = (Series("seam", trip.parley), Series("C floor", trip.floor))
      let rates = try self.rates(workspace) { (round) throws(BenchError) in
        try probe("rate\(round)", count: rig.messages * 8, window: 256, workspace).figures()
      }
      return [
        Line(
          "post to sink on another connection", parley: series, baseline: base,
          checks: [.atMost(1.25, "x", "p50 / floor", series.summary.median / base.summary.median)]),
        Line(
          "posts at the seam, 256 outstanding", parley: rates.parley, baseline: rates.floor,
          checks: [
            .atLeast(0.7, "x", "rate / floor", rates.parley.summary.rate / rates.floor.summary.rate),
            .atLeast(0.7, "x", "rate / bare publish", rates.parley.summary.rate / rates.bare, guide: true),
          ]),
      ]
    }
    return Outcome(scenario: "seam", lines: lines)
  }

  private func post() throws(BenchError) -> Outcome {
    var verdict = History.Verdict()
    let rates = try rig.inWorkspace { (workspace) throws(BenchError) -> (parley: Series, floor: Series, bare: Double) in
      try self.rates(workspace) { (round) throws(BenchError) in
        let topic = "\(run)-post\(round)"
        let server = try Server.ready(settings(topic), parley: rig.parley, workspace: workspace)
        var history = History()
        try Post.warm(server.peer, &history, topic: topic)
        let posts = Posts("m", topics: [topic])
        let exchange = try server.peer.exchange(count: rig.messages * 4, window: 256) { index, id, buffer in
          history.sent(posts, index)
          posts.append(index, id: id, to: &buffer)
        } answer: { index, line in
          history.answered(posts, index, line, by: server.peer)
        }
        verdict += try history.judged(through: server)
        try server.peer.process.finish()
        return exchange
      }
    }
    let line = Line(
      "post, 256 outstanding", parley: rates.parley, baseline: rates.floor,
      checks: [.atLeast(0.7, "x", "rate / floor", rates.parley.summary.rate / rates.floor.summary.rate, guide: true)])
    return Outcome(scenario: "post", lines: [line], verdict: verdict)
  }

  private func push() throws(BenchError) -> Outcome {
    var verdict = History.Verdict()
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      try rig.interleaved(
        floor: { (round) throws(BenchError) in
          try self.floor("roundtrip", "floor-push\(round)", [rig.messages, 200], workspace).figures()
        },
        parley: { (round) throws(BenchError) in
          let topic = "\(run)-push\(round)"
          let listener = try Server.ready(
            settings(topic, handle: "listener", push: true), parley: rig.parley, workspace: workspace)
          let writer = try Server.ready(settings(topic, handle: "writer"), parley: rig.parley, workspace: workspace)
          var history = History()
          let exchange = try Push.pushes(from: writer.peer, to: listener.peer, rig.messages, &history, topic: topic)
          verdict += try history.judged(through: writer)
          for server in [writer, listener] { try server.peer.process.finish() }
          return exchange
        })
    }
    let (series, base) = (Series("parley", parley), Series("C floor", floor))
    let line = Line(
      "post to push in another process", parley: series, baseline: base,
      checks: [.atMost(2.5, "x", "p50 / floor", series.summary.median / base.summary.median)])
    return Outcome(scenario: "push", lines: [line], verdict: verdict)
  }

  private func fetch() throws(BenchError) -> Outcome {
    let stored = 5000
    let topic = "\(run)-fetch"
    let (floor, parley) = try rig.inWorkspace { (workspace) throws(BenchError) in
      _ = try self.floor("post", "floor-fetch", [stored, 256, 200], workspace, mode: ["same"]).figures()
      let server = try Server.ready(settings(topic), parley: rig.parley, workspace: workspace)
      let posts = Posts("m", topics: [topic])
      var cursors: [String] = []
      _ = try server.peer.exchange(count: stored, window: 256) { index, id, buffer in
        posts.append(index, id: id, to: &buffer)
      } answer: { _, line in
        cursors.append(server.peer.string(after: "\"cursor\":\"", in: line) ?? "")
      }
      let measured = try rig.interleaved(
        floor: { (_) throws(BenchError) in
          try self.floor("fetch", "floor-fetch", [rig.messages / 4], workspace).figures()
        },
        parley: { (_) throws(BenchError) in
          try Fetch.pages(server.peer, rig.messages / 4, after: cursors, topic: topic)
        })
      try server.peer.process.finish()
      return measured
    }
    return Outcome(
      scenario: "fetch",
      lines: [
        Line("fetch of 100 messages", parley: Series("parley", parley), baseline: Series("C floor", floor), checks: [])
      ])
  }

  /// What 1,000 subscribed topics cost over one: connections, memory, and CPU at rest.
  private func topics() throws(BenchError) -> Outcome {
    try rig.inWorkspace { (workspace) throws(BenchError) in
      var usage: [(connections: Int, memory: Int, processor: Double)] = []
      for count in [1, 1000] {
        let names = (0..<count).map { "\(run)-topic\($0)" }
        var options = settings(names[0], handle: "many\(count)", push: true)
        options.topics = names
        let server = try Server.ready(options, parley: rig.parley, workspace: workspace)
        let writer = try Server.ready(
          settings(names[count - 1], handle: "writer"), parley: rig.parley, workspace: workspace)
        var history = History()
        // The last topic's pushes show that all are subscribed.
        _ = try Push.pushes(from: writer.peer, to: server.peer, 100, &history, topic: names[count - 1])
        try writer.peer.process.finish()
        let pid = server.peer.process.pid
        let before = ProcessUsage(pid: pid)
        sleep(5)
        let after = ProcessUsage(pid: pid)
        let sockets = Files.names(in: "/proc/\(pid)/fd").count {
          Files.linkTarget("/proc/\(pid)/fd/\($0)")?.hasPrefix("socket:") == true
        }
        usage.append((sockets, after.residentBytes, (after.processorSeconds - before.processorSeconds) / 5))
        try server.peer.process.finish()
      }
      return Outcome(
        scenario: "topics",
        lines: [
          Line(
            "1,000 topics over 1",
            checks: [
              .atMost(0, "", "further connections", Double(usage[1].connections - usage[0].connections)),
              .atMost(8, "MiB", "further memory", Double(usage[1].memory - usage[0].memory) / 1_048_576),
              .atMost(0.1, "%", "CPU at rest", usage[1].processor * 100),
            ])
        ])
    }
  }

  // MARK: Pieces

  private func settings(_ topic: String, handle: String = "bench", push: Bool = false) -> Server.Settings {
    Server.Settings(handle: handle, topics: [topic], livePush: push, target: target, isWide: true)
  }

  /// Pipelined posts: Parley's by `parley`, the floor's with the same fields, and the rate of the floor's bare ones.
  private func rates(
    _ workspace: Workspace, parley: (Int) throws(BenchError) -> Exchange
  ) throws(BenchError) -> (parley: Series, floor: Series, bare: Double) {
    let count = rig.messages * 8
    var bare: [Double] = []
    let measured = try rig.interleaved(
      floor: { (round) throws(BenchError) in
        bare.append(
          try self.floor("post", "floor-bare\(round)", [count, 256, 200], workspace, mode: ["bare"]).figures().rate)
        return try self.floor("post", "floor-rate\(round)", [count, 256, 200], workspace, mode: ["same"]).figures()
      }, parley: parley)
    let name = "C floor (bare \(Report.number(bare.median))/s)"
    return (Series("parley", measured.parley), Series(name, measured.floor), bare.median)
  }

  private func floor(
    _ what: String, _ stream: String, _ numbers: [Int], _ workspace: Workspace, mode: [String] = []
  ) throws(BenchError) -> Peer {
    Peer(
      try ChildProcess(
        [target.floor, target.url, what, "\(run)-\(stream)"] + numbers.map { String($0) } + mode,
        errors: workspace.errors, wide: true))
  }

  private func probe(_ topic: String, count: Int, window: Int, _ workspace: Workspace) throws(BenchError) -> Peer {
    let name = "\(run)-\(topic)"
    let configuration = workspace.file("probe.config.yaml")
    try Files.write(
      "identity: { handle: probe }\ntopics: [\(name)]\n\(target.configuration)\n", to: configuration)
    return Peer(
      try ChildProcess(
        [
          rig.parley, "probe", name, "--config", configuration, "--count", String(count), "--window", String(window),
        ], errors: workspace.errors, wide: true))
  }
}
