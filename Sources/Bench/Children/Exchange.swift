/// The outcome of a number of requests: one latency each, and how long all took.
struct Exchange {
  var latencies: [Nanoseconds]
  var seconds: Double

  /// Answers per second.
  var rate: Double { Double(latencies.count) / seconds }
}

extension Peer {
  /// Sends `count` requests, at most `window` of them unanswered at a time; `request` gets its index and its id.
  ///
  /// A latency runs from just before the write that carries the request until the read that brought the answer has
  /// returned. What an answer frees is sent again in one write, as a host with many calls does.
  func exchange(
    count: Int, window: Int, request: (Int, Int, inout [UInt8]) -> Void, answer: (Int, Line) -> Void
  ) throws(BenchError) -> Exchange {
    var sentAt = [Nanoseconds](repeating: 0, count: count)
    var latencies = [Nanoseconds](repeating: 0, count: count)
    let firstID = takeIDs(count)
    var buffer: [UInt8] = []
    var sent = 0
    var answered = 0
    let begun = now()
    while answered < count {
      buffer.removeAll(keepingCapacity: true)
      let batch = sent..<min(count, answered + window)
      for index in batch { request(index, firstID + index, &buffer) }
      if !batch.isEmpty {
        let time = now()
        for index in batch { sentAt[index] = time }
        sent = batch.upperBound
        try write(buffer)
      }
      try fill()
      let time = now()
      while let line = nextLine() {
        guard let id = answerID(line), id >= firstID else { continue }
        latencies[id - firstID] = time - sentAt[id - firstID]
        answered += 1
        answer(id - firstID, line)
      }
    }
    return Exchange(latencies: latencies, seconds: Double(now() - begun) / 1e9)
  }
}
