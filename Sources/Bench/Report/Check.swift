/// One goal beside what was measured.
struct Check {
  /// What is bounded, for example `p50 / floor`.
  let what: String
  let value: Double
  let bound: Double
  let unit: String
  let isUpperBound: Bool
  /// A guide is shown and judged, but ratios to the floor are the law where both exist.
  let isGuide: Bool

  enum Verdict: String {
    case met, missed
    /// Worse than twice the goal.
    case gross
  }

  /// A goal that the value must not exceed.
  static func atMost(
    _ bound: Double, _ unit: String = "", _ what: String, _ value: Double, guide: Bool = false
  ) -> Check {
    Check(what: what, value: value, bound: bound, unit: unit, isUpperBound: true, isGuide: guide)
  }

  /// A goal that the value must reach.
  static func atLeast(
    _ bound: Double, _ unit: String = "", _ what: String, _ value: Double, guide: Bool = false
  ) -> Check {
    Check(what: what, value: value, bound: bound, unit: unit, isUpperBound: false, isGuide: guide)
  }

  var verdict: Verdict {
    let excess = isUpperBound ? value / bound : bound / value
    if bound == 0 { return value == 0 ? .met : .gross }
    return excess <= 1 ? .met : excess <= 2 ? .missed : .gross
  }
}

/// One line of the report: a measured thing, what it is compared with, and its goals.
struct Line {
  let title: String
  var parley: Series?
  /// The floor, or for `scale` Parley itself on the small file.
  var baseline: Series?
  var checks: [Check]
  /// What a user would meet instead, as measured before.
  var elsewhere: String?

  init(_ title: String, parley: Series? = nil, baseline: Series? = nil, checks: [Check], elsewhere: String? = nil) {
    self.title = title
    self.parley = parley
    self.baseline = baseline
    self.checks = checks
    self.elsewhere = elsewhere
  }
}

/// What a scenario found.
struct Outcome {
  let scenario: String
  var lines: [Line]
  var verdict = History.Verdict()
}
