extension Report {
  /// The line above everything.
  var heading: String {
    "\(machine.summary)\nbackend \(backend); µs; medians of \(rounds) rounds, floor and Parley in turn; max is that of all rounds\n"
  }

  /// The history checker's line.
  var judgement: String {
    let verdict = verdict
    var text =
      "history: \(verdict.acknowledged) acknowledged, \(verdict.delivered) pushed: \(verdict.lost) lost, "
      + "\(verdict.duplicated) duplicated, \(verdict.outOfOrder) out of order, \(verdict.refused) refused"
    if verdict.phantoms > 0 { text += ", \(verdict.phantoms) posted by nobody" }
    if let offence = verdict.firstOffence { text += "\n  first offence: \(offence)" }
    if let refusal = verdict.firstRefusal { text += "\n  first refusal: \(refusal)" }
    return text
  }

  /// One outcome as a table.
  static func table(_ outcome: Outcome) -> String {
    outcome.lines.map { "\n" + table($0) }.joined()
  }

  private static func table(_ line: Line) -> String {
    var text = ""
    if line.parley != nil {
      let names = (Summary.names + ["per s"]).map { pad($0, 10) }.joined()
      text += pad(line.title, -34) + names + "\n"
      for series in [line.parley, line.baseline] {
        guard let series else { continue }
        let figures = (series.summary.values + [series.summary.rate]).map { pad(number($0), 10) }.joined()
        text += pad("  " + series.name, -34) + figures + "\n"
      }
      if let parley = line.parley?.summary, let base = line.baseline?.summary {
        let ratios = zip(parley.values + [parley.rate], base.values + [base.rate])
        text += pad("  ratio", -34) + ratios.map { pad($1 > 0 ? number($0 / $1) : "-", 10) }.joined() + "\n"
      }
    } else {
      text += line.title + "\n"
    }
    for check in line.checks {
      let bound = (check.isUpperBound ? "at most " : "at least ") + number(check.bound) + spaced(check.unit)
      let value = number(check.value) + spaced(check.unit)
      text += "  \(check.isGuide ? "guide" : "goal"): \(check.what) \(bound): \(value), \(check.verdict.rawValue)\n"
    }
    if let elsewhere = line.elsewhere { text += "  elsewhere: \(elsewhere)\n" }
    return text
  }

  private static func spaced(_ unit: String) -> String { ["", "x", "%", "/s"].contains(unit) ? unit : " " + unit }

  private static func pad(_ text: String, _ width: Int) -> String {
    let space = String(repeating: " ", count: max(0, abs(width) - text.count))
    return width < 0 ? text + space : space + text
  }

  /// Three significant digits below a thousand, whole numbers with thin grouping above.
  static func number(_ value: Double) -> String {
    guard value < 999.5 else {
      let digits = String(Int(value.rounded()))
      var text = ""
      for (place, digit) in digits.enumerated() {
        if place > 0, (digits.count - place) % 3 == 0 { text += "," }
        text.append(digit)
      }
      return text
    }
    let decimals = value >= 99.95 || value == value.rounded() ? 0 : value >= 9.995 ? 1 : 2
    let scale = [1.0, 10, 100][decimals]
    let whole = Int((value * scale).rounded())
    if decimals == 0 { return String(whole) }
    let fraction = String(whole % Int(scale))
    return "\(whole / Int(scale))." + String(repeating: "0", count: decimals - fraction.count) + fraction
  }
}
