import ArgumentParser

/// What can be measured.
enum Scenario: String, CaseIterable, ExpressibleByArgument {
  case start, stdio, post, push, fetch, idle, writers, scale

  /// What runs when nothing is named: all but `scale`, which fills 1.5 GB.
  static let usual = allCases.filter { $0 != .scale }

  func run(_ rig: Rig) throws(BenchError) -> Outcome {
    switch self {
    case .start: try Start.run(rig)
    case .stdio: try Stdio.run(rig)
    case .post: try Post.run(rig)
    case .push: try Push.run(rig)
    case .fetch: try Fetch.run(rig)
    case .idle: try Idle.run(rig)
    case .writers: try Writers.run(rig)
    case .scale: try Scale.run(rig)
    }
  }
}
