import ParleyRuntime

/// How much one sender may write: so many events within any window of a minute.
struct WriteLimit: Sendable {
  private static let window: Duration = .seconds(60)

  /// 0 for no limit.
  let perMinute: Int
  private var times: [LoopInstant] = []

  init(perMinute: Int) { self.perMinute = perMinute }

  /// Counts a write; throws where there were too many, and says when the next one may be tried.
  mutating func take(at now: LoopInstant) throws(Refusal) {
    guard perMinute > 0 else { return }
    times.removeAll { $0.duration(to: now) >= Self.window }
    if times.count >= perMinute, let oldest = times.first {
      let wait = Self.window - oldest.duration(to: now)
      throw Refusal(
        429, "rate_limit_exceeded",
        "\(perMinute) writes a minute are allowed; try again in \(wait.milliseconds / 1000 + 1) seconds")
    }
    times.append(now)
  }
}
