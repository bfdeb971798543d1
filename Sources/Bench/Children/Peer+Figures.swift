extension Peer {
  /// What a floor or a probe prints: nanoseconds, one figure a line, then the whole time in seconds; waits for its end.
  func figures() throws(BenchError) -> Exchange {
    var latencies: [Nanoseconds] = []
    while true {
      let text = text(try waitLine())
      if let latency = Nanoseconds(text) {
        latencies.append(latency)
      } else if text.hasPrefix("seconds "), let seconds = Double(text.dropFirst(8)), !latencies.isEmpty {
        try process.finish()
        return Exchange(latencies: latencies, seconds: seconds)
      } else {
        throw BenchError("no figure: \(text)")
      }
    }
  }
}
