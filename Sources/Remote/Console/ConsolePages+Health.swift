import ParleyRuntime

extension ConsolePages {
  /// How the backend is doing, and how long posts take: the figures of `/metrics`, as pictures and as numbers.
  func health(sessions: Int, connections: Int) -> HTMLPage {
    let health = room.health
    var facts: [(String, String)] = [
      ("Backend", "\(health.state.rawValue), since \(ConsoleText.time(health.since))"),
      ("Connected anew", String(health.reconnects)),
      (
        "Posts stored, repeated, failed", "\(metrics.posts.stored), \(metrics.posts.duplicate), \(metrics.posts.failed)"
      ),
      ("Messages pushed", String(metrics.pushes)), ("Gaps", String(metrics.gaps)),
      ("Sessions, connections", "\(sessions), \(connections)"),
    ]
    if let cause = health.cause { facts.insert(("Cause", ConsoleText.line(cause.description, bytes: 500)), at: 1) }
    let rows = facts.map { "<tr><th scope=\"row\">\($0)</th><td>\($1)</td></tr>" }.joined()
    let body = """
      <div id="health" data-live="whole">
      <table>\(rows)</table>
      <h2>How long posts took</h2>
      \(durations)
      <h2>Who was not let in</h2>
      \(refused)
      </div>
      """
    return frame.page("Health", at: .health, reload: ConsoleRoute.health.rawValue, body: body)
  }

  private var durations: String {
    let histogram = metrics.durations
    var bars: [BarPicture.Bar] = []
    var below = 0
    for (bound, count) in zip(DoorMetrics.Histogram.bounds, histogram.counts) {
      bars.append(.init(label: "≤ \(Self.text(bound))", value: count - below))
      below = count
    }
    bars.append(.init(label: "longer", value: histogram.count - below))
    return BarPicture(title: "Posts by how long the backend took to store them", bars: bars).html
  }

  private var refused: String {
    BarPicture(
      title: "Refused requests by reason",
      bars: DoorMetrics.Failure.allCases.map { .init(label: $0.rawValue, value: metrics.failures[$0] ?? 0) }
    ).html
  }

  private static func text(_ duration: Duration) -> String {
    let microseconds = duration.nanoseconds / 1_000
    if microseconds < 1_000 { return "\(microseconds) µs" }
    let (value, unit) =
      microseconds < 1_000_000 ? (Double(microseconds) / 1e3, "ms") : (Double(microseconds) / 1e6, "s")
    return value == value.rounded() ? "\(Int(value)) \(unit)" : "\(value) \(unit)"
  }
}

/// A picture of counts: one bar each, with its label and its number as text.
struct BarPicture {
  struct Bar {
    let label: String
    let value: Int
  }

  let title: String
  let bars: [Bar]

  /// Inline SVG without styles and scripts; labels are the program's own.
  var html: String {
    let (row, left, width) = (20, 90, 400)
    let most = max(1, bars.map(\.value).max() ?? 1)
    let rows = bars.enumerated().map { place, bar in
      let (y, length) = (place * row, bar.value * width / most)
      return """
        <text x="\(left - 8)" y="\(y + 14)" text-anchor="end">\(HTMLPage.escape(bar.label))</text>\
        <rect class="bar" x="\(left)" y="\(y + 3)" width="\(bar.value > 0 ? max(length, 1) : 0)" height="\(row - 6)"/>\
        <text x="\(left + length + 6)" y="\(y + 14)">\(bar.value)</text>
        """
    }
    let height = bars.count * row
    return """
      <svg viewBox="0 0 \(left + width + 70) \(height)" role="img" aria-label="\(HTMLPage.escape(title))">\
      <title>\(HTMLPage.escape(title))</title>\
      <line class="axis" x1="\(left)" y1="0" x2="\(left)" y2="\(height)"/>\(rows.joined())</svg>
      """
  }
}
