/// What was acknowledged, what each reader was given and what the log holds in the end, gathered for judgement.
struct History {
  /// A message: what its content begins with, and the backend's id of it.
  struct Entry: Hashable {
    var key: String
    var id: String
  }

  /// The judgement over one or more runs.
  struct Verdict {
    var acknowledged = 0
    var delivered = 0
    var lost = 0
    var duplicated = 0
    var outOfOrder = 0
    var refused = 0
    var firstRefusal: String?

    /// Nothing was lost, doubled, misplaced or refused.
    var isClean: Bool { lost == 0 && duplicated == 0 && outOfOrder == 0 && refused == 0 }

    static func += (total: inout Verdict, more: Verdict) {
      total.acknowledged += more.acknowledged
      total.delivered += more.delivered
      total.lost += more.lost
      total.duplicated += more.duplicated
      total.outOfOrder += more.outOfOrder
      total.refused += more.refused
      total.firstRefusal = total.firstRefusal ?? more.firstRefusal
    }
  }

  private var acknowledged: [String: [Entry]] = [:]
  private var deliveries: [String: [String: [Entry]]] = [:]
  private var logs: [String: [Entry]] = [:]
  private var verdict = Verdict()

  /// Notes the answer to a post; one without an id counts as refused.
  mutating func answered(_ posts: Posts, _ index: Int, _ line: Peer.Line, by peer: Peer) {
    guard let id = peer.string(after: "\"backendMsgId\":\"", in: line) else {
      verdict.refused += 1
      if verdict.firstRefusal == nil { verdict.firstRefusal = String(peer.text(line).prefix(400)) }
      return
    }
    acknowledged[posts.topic(index), default: []].append(Entry(key: posts.key(index), id: id))
  }

  /// Notes a line that may be a push; returns the key of the message it carries.
  mutating func pushed(_ line: Peer.Line, to reader: String, by peer: Peer) -> String? {
    guard peer.end(of: "\"notifications/claude/channel\"", in: line) != nil,
      let key = peer.string(after: "\"content\":\"", in: line),
      let id = peer.string(after: "\"msg_id\":\"", in: line),
      let topic = peer.string(after: "\"topic\":\"", in: line)
    else { return nil }
    deliveries[reader, default: [:]][topic, default: []].append(Entry(key: key, id: id))
    return key
  }

  /// Reads the final logs through `server` and judges.
  mutating func judged(through server: Server) throws(BenchError) -> Verdict {
    for topic in acknowledged.keys { logs[topic] = try server.log(of: topic) }
    return judge()
  }

  private func judge() -> Verdict {
    var verdict = verdict
    for (topic, posts) in acknowledged {
      let log = logs[topic] ?? []
      verdict.acknowledged += posts.count
      var places: [Entry: Int] = [:]
      var keys: Set<String> = []
      for (place, entry) in log.enumerated() {
        places[entry] = place
        if !keys.insert(entry.key).inserted { verdict.duplicated += 1 }
      }
      verdict.lost += posts.count { places[$0] == nil }
      for reader in deliveries.values {
        judge(reader[topic] ?? [], places: places, length: log.count, into: &verdict)
      }
    }
    return verdict
  }

  // From its first delivery on, a reader is owed every later message of the log, once and in the log's order.
  private func judge(_ given: [Entry], places: [Entry: Int], length: Int, into verdict: inout Verdict) {
    verdict.delivered += given.count
    var last = -1
    var seen: Set<Int> = []
    for entry in given {
      guard let place = places[entry] else {
        verdict.outOfOrder += 1
        continue
      }
      if !seen.insert(place).inserted { verdict.duplicated += 1 } else if place < last { verdict.outOfOrder += 1 }
      last = max(last, place)
    }
    if let first = seen.min() { verdict.lost += length - first - seen.count }
  }
}
