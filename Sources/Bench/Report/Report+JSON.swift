extension Report {
  /// The whole report as one JSON object; times in microseconds.
  var json: String {
    let verdict = verdict
    return object([
      ("machine", string(machine.summary)), ("date", string(machine.date)), ("backend", string(backend)),
      ("rounds", String(rounds)),
      ("scenarios", array(outcomes.map(json))),
      (
        "failures",
        array(failures.map { object([("scenario", string($0.scenario)), ("reason", string($0.reason))]) })
      ),
      (
        "history",
        object([
          ("acknowledged", String(verdict.acknowledged)), ("pushed", String(verdict.delivered)),
          ("lost", String(verdict.lost)), ("duplicated", String(verdict.duplicated)),
          ("out_of_order", String(verdict.outOfOrder)), ("refused", String(verdict.refused)),
          ("phantoms", String(verdict.phantoms)),
        ])
      ),
      ("ok", isGross ? "false" : "true"),
    ])
  }

  private func json(_ outcome: Outcome) -> String {
    object([("scenario", string(outcome.scenario)), ("lines", array(outcome.lines.map(json)))])
  }

  private func json(_ line: Line) -> String {
    var members = [("title", string(line.title))]
    if let series = line.parley { members.append(("parley", json(series))) }
    if let series = line.baseline { members.append(("baseline", json(series))) }
    if let parley = line.parley?.summary, let base = line.baseline?.summary {
      members.append(("ratio_p50", number(parley.median / base.median)))
      members.append(("ratio_rate", number(parley.rate / base.rate)))
    }
    members.append(("checks", array(line.checks.map(json))))
    if let elsewhere = line.elsewhere { members.append(("elsewhere", string(elsewhere))) }
    return object(members)
  }

  private func json(_ series: Series) -> String {
    let figures = zip(Summary.names, series.summary.values).map { ($0, number($1)) }
    return object([("name", string(series.name))] + figures + [("per_second", number(series.summary.rate))])
  }

  private func json(_ check: Check) -> String {
    object([
      ("what", string(check.what)), ("value", number(check.value)),
      (check.isUpperBound ? "at_most" : "at_least", number(check.bound)), ("unit", string(check.unit)),
      ("guide", check.isGuide ? "true" : "false"), ("verdict", string(check.verdict.rawValue)),
    ])
  }

  private func object(_ members: [(String, String)]) -> String {
    "{" + members.map { string($0) + ":" + $1 }.joined(separator: ",") + "}"
  }

  private func array(_ values: [String]) -> String { "[" + values.joined(separator: ",") + "]" }

  // JSON has no infinities: a ratio to nothing is null.
  private func number(_ value: Double) -> String {
    value.isFinite ? String((value * 1000).rounded() / 1000) : "null"
  }

  private func string(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
