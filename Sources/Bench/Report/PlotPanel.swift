import Glibc

/// One measurement in the plot: two curves over the percentiles, each with its name and median.
struct PlotPanel {
  private let line: Line
  private let left, right, top, bottom: Double
  private let x, y: Double
  private let low, high: Double
  private let tail: Double

  /// Percentiles that are marked below the curves.
  private static let marks: [(part: Double, name: String)] = [
    (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99"),
  ]

  init(_ line: Line, x: Double, y: Double, width: Double, height: Double) {
    self.line = line
    self.x = x
    self.y = y
    left = x + 58
    right = x + width - 22
    top = y + 54
    bottom = y + height - 34
    let all = [line.parley, line.baseline].compactMap { $0 }
    let least = all.map { Series.percentile(0, of: $0.latencies) }.min() ?? 1
    let most = all.map { Series.percentile(1, of: $0.latencies) }.max() ?? 10
    low = Self.below(least)
    high = Self.above(most)
    // The last place that the data can speak of: one in as many as were measured.
    tail = log10(Double(max(10, all.map(\.latencies.count).min() ?? 10)))
  }

  var svg: String {
    var svg = text(x + 16, y + 20, "panel", line.title)
    for value in Self.ladder(low, high) {
      let height = ordinate(value)
      svg += "<line class=\"grid\" x1=\"\(place(left))\" x2=\"\(place(right))\" y1=\"\(place(height))\" "
      svg += "y2=\"\(place(height))\"/>\n" + text(left - 8, height + 4, "tick", Self.label(value), anchor: "end")
    }
    for mark in Self.marks where -log10(1 - mark.part) <= tail {
      let across = abscissa(mark.part)
      svg += "<line class=\"grid\" x1=\"\(place(across))\" x2=\"\(place(across))\" y1=\"\(place(top))\" "
      svg += "y2=\"\(place(bottom))\"/>\n" + text(across, bottom + 17, "tick", mark.name + " %", anchor: "middle")
    }
    svg += "<line class=\"axis\" x1=\"\(place(left))\" x2=\"\(place(right))\" y1=\"\(place(bottom))\" "
    svg += "y2=\"\(place(bottom))\"/>\n"
    if let floor = line.baseline { svg += curve(floor, "floor") }
    if let parley = line.parley { svg += curve(parley, "parley") }
    return svg + names
  }

  // One line under the title: the curves may cross anywhere, so no place between them is free for certain.
  private var names: String {
    [(line.parley, "parley"), (line.baseline, "floor")].enumerated().map { column, entry in
      guard let series = entry.0 else { return "" }
      let across = x + 16 + Double(column) * 200
      let name = "\(series.name) · median \(Self.label(Series.percentile(0.5, of: series.latencies)))"
      return "<circle class=\"\(entry.1)\" cx=\"\(place(across + 4))\" "
        + "cy=\"\(place(y + 34))\" r=\"4\"/>\n" + text(across + 13, y + 38, "name " + entry.1, name)
    }.joined()
  }

  private func curve(_ series: Series, _ style: String) -> String {
    let steps = 160
    let points = (0...steps).map { step in
      let part = 1 - pow(10, -tail * Double(step) / Double(steps))
      return "\(place(abscissa(part))),\(place(ordinate(Series.percentile(part, of: series.latencies))))"
    }
    let median = Series.percentile(0.5, of: series.latencies)
    let across = abscissa(0.5)
    return "<polyline class=\"curve \(style)\" points=\"\(points.joined(separator: " "))\"/>\n"
      + "<circle class=\"\(style)\" cx=\"\(place(across))\" cy=\"\(place(ordinate(median)))\" r=\"3.2\"/>\n"
  }

  private func abscissa(_ part: Double) -> Double { left + (right - left) * min(-log10(1 - part) / tail, 1) }

  private func ordinate(_ value: Double) -> Double {
    bottom - (bottom - top) * (log10(value) - log10(low)) / (log10(high) - log10(low))
  }

  // 1, 2, 5, 10, … from `low` to `high`; only the powers of ten where the range is wide.
  private static func ladder(_ low: Double, _ high: Double) -> [Double] {
    let factors = high / low > 200 ? [1.0] : [1.0, 2, 5]
    let powers = Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up))
    return powers.flatMap { power in factors.map { $0 * pow(10, Double(power)) } }
      .filter { $0 >= low * 0.999 && $0 <= high * 1.001 }
  }

  private static func below(_ value: Double) -> Double {
    let power = pow(10, log10(value * 0.7).rounded(.down))
    return [5, 2, 1].map { $0 * power }.first { $0 <= value * 0.7 } ?? power
  }

  private static func above(_ value: Double) -> Double {
    let power = pow(10, log10(value).rounded(.down))
    return [2, 5, 10].map { $0 * power }.first { $0 >= value } ?? power * 10
  }

  private static func label(_ microseconds: Double) -> String {
    if microseconds >= 1e6 { return Report.number(microseconds / 1e6) + " s" }
    return microseconds >= 1000 ? Report.number(microseconds / 1000) + " ms" : Report.number(microseconds) + " µs"
  }
}
