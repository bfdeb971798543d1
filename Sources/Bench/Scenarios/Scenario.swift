import ArgumentParser

/// What can be measured.
enum Scenario: String, CaseIterable, ExpressibleByArgument {
  case start, stdio, post, push, fetch, idle, writers, scale, seam, topics, tasks, http

  /// What runs when nothing is named: all but `scale`, which fills 1.5 GB.
  static let usual: [Scenario] = [.start, .stdio, .post, .push, .fetch, .idle, .writers]

  /// What runs when nothing is named and the backend has a server.
  static let usualOfServers: [Scenario] = [.start, .seam, .post, .push, .fetch, .topics]

  /// What runs when nothing is named and topics are rooms that people share.
  static let usualOfRooms: [Scenario] = [.start, .push, .fetch, .topics]

  func run(_ rig: Rig) throws(BenchError) -> Outcome {
    if let target = rig.target, self != .tasks, self != .http {
      if target.kind.hasPeople, self != .start { return try RoomScenarios(rig: rig, target: target).run(self) }
      return try ServerScenarios(rig: rig, target: target).run(self)
    }
    return switch self {
    case .start: try Start.run(rig)
    case .stdio: try Stdio.run(rig)
    case .post: try Post.run(rig)
    case .push: try Push.run(rig)
    case .fetch: try Fetch.run(rig)
    case .idle: try Idle.run(rig)
    case .writers: try Writers.run(rig)
    case .scale: try Scale.run(rig)
    case .seam, .topics: throw BenchError("this is measured with --backend redis or nats")
    case .tasks: try Tasks(rig: rig).run()
    case .http: try HTTP(rig: rig).run()
    }
  }
}
