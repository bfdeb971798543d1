/// How many insertions, deletions, replacements and swaps of neighbours lead from one word to another.
enum EditDistance {
  /// The optimal string alignment distance, in characters.
  static func between(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    var previous: [Int] = []
    var above = Array(0...b.count)
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var best = min(row[j] + 1, above[j + 1] + 1, above[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, previous[j - 1] + 1) }
        row.append(best)
      }
      (previous, above) = (above, row)
    }
    return above[b.count]
  }

  /// The candidate that a typing error may have come from: at most a third of its letters away (one for short words).
  static func nearest(to word: String, among candidates: [String]) -> String? {
    let folded = fold(word)
    guard !folded.isEmpty, folded.utf8.count <= 64 else { return nil }
    let ranked = candidates.map { (name: $0, distance: between(folded, fold($0))) }
    guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance <= max(1, min(3, best.name.count / 3)) ? best.name : nil
  }

  /// `liveTopics`, `live-topics` and `live_topics` are the same word.
  private static func fold(_ word: String) -> String { word.lowercased().filter { $0 != "_" && $0 != "-" } }
}
