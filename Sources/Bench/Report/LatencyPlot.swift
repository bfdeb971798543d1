/// Percentile curves of floor and Parley, one panel per measurement, both axes logarithmic, as an SVG picture.
///
/// The horizontal axis is stretched towards the tail, as in HdrHistogram's plots: 90 %, 99 %, 99.9 % stand equally far
/// apart, so that what happens once in a thousand is as easy to see as the median.
struct LatencyPlot {
  private let panels: [Line]
  private let title: String
  private let subtitle: String

  private static let width = 960.0
  private static let panelHeight = 270.0
  private static let columns = 2
  private static let header = 84.0
  private static let footer = 34.0

  /// Takes the measurements of one request at a time: where many are outstanding, latency is the queue's length.
  init(_ report: Report) {
    panels = report.outcomes.flatMap(\.lines).filter { line in
      guard let parley = line.parley, line.baseline != nil else { return false }
      return parley.latencies.count > 1 && !line.title.contains("256") && !line.title.contains("16 out")
    }
    title = "Parley beside plain C: latency by percentile"
    subtitle = report.machine.summary
  }

  var svg: String {
    let rows = (panels.count + Self.columns - 1) / Self.columns
    let height = Self.header + Double(rows) * Self.panelHeight + Self.footer
    var body = text(32, 36, "title", title) + text(32, 58, "note", subtitle)
    for (place, line) in panels.enumerated() {
      let cell = (Self.width - 32) / Double(Self.columns)
      let x = 16 + Double(place % Self.columns) * cell
      let y = Self.header + Double(place / Self.columns) * Self.panelHeight
      body += PlotPanel(line, x: x, y: y, width: cell, height: Self.panelHeight).svg
    }
    body += text(
      32, height - 14, "note", "Lower is better. Each curve holds every request of all rounds; µs, logarithmic.")
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(height))" \
      width="\(Int(Self.width))" height="\(Int(height))" role="img" aria-label="\(escaped(title))">
      <style>
      \(Self.style)
      </style>
      <rect class="page" width="100%" height="100%" rx="10"/>
      \(body)</svg>

      """
  }

  private static let style = """
    text { font-family: system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; fill: #1f2733; }
    .page { fill: #ffffff; }
    .title { font-size: 19px; font-weight: 600; }
    .panel { font-size: 14px; font-weight: 600; }
    .note, .tick { font-size: 11.5px; fill: #66707f; }
    .name { font-size: 12px; font-weight: 600; }
    .grid { stroke: #e4e8ee; stroke-width: 1; }
    .axis { stroke: #aab3c0; stroke-width: 1; }
    .curve { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
    .parley { stroke: #d9480f; } text.parley { fill: #d9480f; stroke: none; } circle.parley { fill: #d9480f; }
    .floor { stroke: #2b6cb0; } text.floor { fill: #2b6cb0; stroke: none; } circle.floor { fill: #2b6cb0; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6eaf0; }
      .page { fill: #12161c; }
      .note, .tick { fill: #97a1b0; }
      .grid { stroke: #252c36; }
      .axis { stroke: #4b5563; }
      .parley { stroke: #ff8a4c; } text.parley { fill: #ff8a4c; } circle.parley { fill: #ff8a4c; }
      .floor { stroke: #63a4e8; } text.floor { fill: #63a4e8; } circle.floor { fill: #63a4e8; }
    }
    """
}

/// One text element; `style` names its class.
func text(_ x: Double, _ y: Double, _ style: String, _ content: String, anchor: String = "start") -> String {
  "<text x=\"\(place(x))\" y=\"\(place(y))\" class=\"\(style)\" text-anchor=\"\(anchor)\">\(escaped(content))</text>\n"
}

/// A coordinate with one decimal, enough for any screen.
func place(_ value: Double) -> String { String((value * 10).rounded() / 10) }

/// Text as XML takes it.
func escaped(_ text: String) -> String {
  var result = ""
  for character in text {
    switch character {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    default: result.append(character)
    }
  }
  return result
}
