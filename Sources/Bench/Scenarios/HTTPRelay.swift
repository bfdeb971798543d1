/// `backend: parley`: two processes over a door, beside the same two on the door's own file.
struct HTTPRelay {
  let rig: Rig
  private static let topics = ["general", "posts"]
  private var count: Int { max(2, rig.messages / 5) }

  func measure(into outcome: inout Outcome) throws(BenchError) {
    var verdict = History.Verdict()
    let (direct, relayed) = try rig.inWorkspace { (workspace) throws(BenchError) in
      try rig.interleaved(
        floor: { (round) throws(BenchError) in
          try figures(through: nil, workspace.file("direct\(round).db"), workspace, &verdict)
        },
        parley: { (round) throws(BenchError) in
          let door = try DoorProcess("relay\(round)", rig: rig, workspace: workspace)
          let figures = try figures(through: door, door.database, workspace, &verdict)
          try door.finish()
          return figures
        })
    }
    for (title, relayed, direct) in [
      ("backend: parley, post", relayed.map(\.post), direct.map(\.post)),
      ("backend: parley, post to push", relayed.map(\.push), direct.map(\.push)),
    ] {
      outcome.lines.append(
        Line(title, parley: Series("over the door", relayed), baseline: Series("on the file", direct), checks: []))
    }
    outcome.verdict += verdict
  }

  /// `database` is the file where it all arrives.
  private func figures(
    through door: DoorProcess?, _ database: String, _ workspace: Workspace, _ verdict: inout History.Verdict
  ) throws(BenchError) -> (post: Exchange, push: Exchange) {
    func settings(_ handle: String, push: Bool) throws(BenchError) -> Server.Settings {
      var settings = Server.Settings(handle: handle, topics: Self.topics, livePush: push, database: database)
      guard let door else { return settings }
      let token = try door.relayToken(handle, rig: rig, workspace: workspace)
      settings.backend =
        "backend: parley\nbackend_config: { url: \"http://127.0.0.1:\(door.port)\", token: \(token) }"
      return settings
    }
    let writer = try Server.ready(settings("writer", push: false), parley: rig.parley, workspace: workspace)
    // Before anybody listens, on a topic of their own: a reader is owed the whole log of its topics.
    let posts = Posts("o", topics: ["posts"])
    var history = History()
    let post = try writer.peer.exchange(count: count, window: 1) { index, id, buffer in
      history.sent(posts, index)
      posts.append(index, id: id, to: &buffer)
    } answer: { index, line in
      history.answered(posts, index, line, by: writer.peer)
    }
    let listener = try Server.ready(settings("listener", push: true), parley: rig.parley, workspace: workspace)
    var pushed = History()
    let push = try Push.pushes(from: writer.peer, to: listener.peer, count, &pushed)
    for server in [writer, listener] { try server.peer.process.finish() }
    let reader = try Server.ready(
      .init(topics: Self.topics, database: database), parley: rig.parley, workspace: workspace)
    verdict += try history.judged(through: reader)
    verdict += try pushed.judged(through: reader)
    try reader.peer.process.finish()
    return (post, push)
  }
}
