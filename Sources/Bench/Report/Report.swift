/// All that a run found, and how it is told.
struct Report {
  let machine: Machine
  let backend: String
  let rounds: Int
  var outcomes: [Outcome] = []
  /// Scenarios that could not be measured, with the reason.
  var failures: [(scenario: String, reason: String)] = []

  /// The history checker's judgement over all scenarios.
  var verdict: History.Verdict { outcomes.reduce(into: History.Verdict()) { $0 += $1.verdict } }

  /// Whether a goal was missed by more than twice, a message was lost, or a scenario failed.
  var isGross: Bool {
    let checks = outcomes.flatMap(\.lines).flatMap(\.checks)
    return !failures.isEmpty || !verdict.isClean || checks.contains { $0.verdict == .gross && !$0.isGuide }
  }
}
