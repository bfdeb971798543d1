import ParleyRuntime

/// What the door counts, for whoever watches over it. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
package final class DoorMetrics: @unchecked Sendable {
  /// Why somebody was not let in.
  package enum Failure: String, CaseIterable, Sendable {
    /// No token, or one that does not count.
    case token
    /// A token that lacks a scope.
    case scope
    case passphrase
    /// A request of a client that was refused: an unknown code, a wrong verifier, a form that cannot be read.
    case grant
    /// A code or refresh token that came a second time.
    case reuse
    /// A webhook whose signature is wrong, or that came before.
    case signature
    /// Too many attempts.
    case limit
  }

  /// Durations by how long they took: cumulative, as Prometheus has histograms.
  struct Histogram {
    static let bounds: [Duration] = [
      .microseconds(500), .milliseconds(1), .microseconds(2_500), .milliseconds(5), .milliseconds(10),
      .milliseconds(25), .milliseconds(50), .milliseconds(100), .milliseconds(250), .milliseconds(500), .seconds(1),
      .milliseconds(2_500), .seconds(5),
    ]
    private(set) var counts = [Int](repeating: 0, count: bounds.count)
    private(set) var count = 0
    private(set) var sum: Duration = .zero

    mutating func add(_ duration: Duration) {
      for (index, bound) in Self.bounds.enumerated() where duration <= bound { counts[index] += 1 }
      count += 1
      sum += duration
    }
  }

  private(set) var posts = (stored: 0, duplicate: 0, failed: 0)
  private(set) var durations = Histogram()
  private(set) var pushes = 0
  private(set) var gaps = 0
  private(set) var failures: [Failure: Int] = [:]

  package init() {}

  func posted(_ outcome: Result<Receipt, SeamError>, after duration: Duration) {
    switch outcome {
    case .success(let receipt):
      if receipt.isDuplicate { posts.duplicate += 1 } else { posts.stored += 1 }
      durations.add(duration)
    case .failure: posts.failed += 1
    }
  }

  func pushed() { pushes += 1 }
  func noticedGap() { gaps += 1 }
  func refused(_ failure: Failure) { failures[failure, default: 0] += 1 }

  /// What holds at the moment it is asked.
  struct Present {
    var health: Health
    var sessions: Int
    var calls: Int
    var connections: Int
  }

  /// In Prometheus' text format, version 0.0.4.
  func text(_ present: Present) -> String {
    var page = Page()
    page.family("parley_posts_total", "counter", "Posts that came by the door, by what became of them.")
    page.value("parley_posts_total", posts.stored, ("outcome", "stored"))
    page.value("parley_posts_total", posts.duplicate, ("outcome", "duplicate"))
    page.value("parley_posts_total", posts.failed, ("outcome", "failed"))
    page.family("parley_post_duration_seconds", "histogram", "How long the backend took to store a post.")
    for (bound, count) in zip(Histogram.bounds, durations.counts) {
      page.value("parley_post_duration_seconds_bucket", count, ("le", Self.seconds(bound)))
    }
    page.value("parley_post_duration_seconds_bucket", durations.count, ("le", "+Inf"))
    page.line("parley_post_duration_seconds_sum \(Self.seconds(durations.sum))")
    page.value("parley_post_duration_seconds_count", durations.count)
    page.family("parley_pushes_total", "counter", "Messages that were pushed into sessions.")
    page.value("parley_pushes_total", pushes)
    page.family("parley_gaps_total", "counter", "Places in live topics where loss could not be ruled out.")
    page.value("parley_gaps_total", gaps)
    page.family("parley_auth_failures_total", "counter", "Requests of those who were not let in, by reason.")
    for failure in Failure.allCases {
      page.value("parley_auth_failures_total", failures[failure] ?? 0, ("reason", failure.rawValue))
    }
    page.family("parley_backend_up", "gauge", "1 while posts and fetches work.")
    page.value("parley_backend_up", [.live, .degraded].contains(present.health.state) ? 1 : 0)
    page.family("parley_backend_reconnects_total", "counter", "How often the backend was connected to anew.")
    page.value("parley_backend_reconnects_total", present.health.reconnects)
    page.family("parley_sessions", "gauge", "Sessions that are open.")
    page.value("parley_sessions", present.sessions)
    page.family("parley_calls", "gauge", "Requests without a session that are being answered, listening ones included.")
    page.value("parley_calls", present.calls)
    page.family("parley_connections", "gauge", "Connections that are open.")
    page.value("parley_connections", present.connections)
    return page.text
  }

  private static func seconds(_ duration: Duration) -> String { "\(Double(duration.nanoseconds) / 1e9)" }

  private struct Page {
    private(set) var text = ""

    mutating func line(_ line: String) { text += line + "\n" }

    mutating func family(_ name: String, _ type: String, _ help: String) {
      line("# HELP \(name) \(help)")
      line("# TYPE \(name) \(type)")
    }

    mutating func value(_ name: String, _ value: Int, _ label: (name: String, value: String)? = nil) {
      line(name + (label.map { "{\($0.name)=\"\($0.value)\"}" } ?? "") + " \(value)")
    }
  }
}
