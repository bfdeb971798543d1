/// Percentiles of one round's latencies, in microseconds, and the rate that goes with them.
struct Summary {
  static let names = ["p50", "p90", "p99", "p99.9", "max"]
  /// In the order of `names`.
  var values: [Double]
  /// Answers per second.
  var rate: Double

  var median: Double { values[0] }

  /// `latencies` in nanoseconds, in any order, at least one.
  init(_ latencies: [Nanoseconds], rate: Double) {
    let sorted = latencies.sorted()
    values = [0.5, 0.9, 0.99, 0.999, 1].map { Series.percentile($0, of: sorted) }
    self.rate = rate
  }

  /// The median of each figure over rounds; the maximum is that of all rounds.
  init(medianOf rounds: [Summary]) {
    values = Self.names.indices.map { index in
      let column = rounds.map { $0.values[index] }
      return index == Self.names.count - 1 ? column.max() ?? 0 : column.median
    }
    rate = rounds.map(\.rate).median
  }
}

/// What one of the two sides of a comparison did over all rounds.
struct Series {
  /// As in the report, for example `C floor`.
  let name: String
  /// Every latency of every round, ascending, in nanoseconds.
  let latencies: [Nanoseconds]
  let summary: Summary

  init(_ name: String, _ rounds: [Exchange]) {
    self.name = name
    latencies = rounds.flatMap(\.latencies).sorted()
    summary = Summary(medianOf: rounds.map { Summary($0.latencies, rate: $0.rate) })
  }

  /// The smallest value that at least the share `part` of the values does not exceed, in microseconds (nearest rank).
  static func percentile(_ part: Double, of sorted: [Nanoseconds]) -> Double {
    let rank = Int((part * Double(sorted.count)).rounded(.up))
    return Double(sorted[min(max(rank, 1), sorted.count) - 1]) / 1000
  }
}

extension [Double] {
  /// The middle value, or the mean of the two middle ones; 0 for none.
  var median: Double {
    if isEmpty { return 0 }
    let sorted = sorted()
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
  }
}
