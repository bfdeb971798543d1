import ParleyConformance
import ParleyRuntime

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
    /// In the log or delivered, but posted by nobody.
    var phantoms = 0
    var firstRefusal: String?
    var firstOffence: String?

    /// Nothing was lost, doubled, misplaced, made up or refused.
    var isClean: Bool { lost == 0 && duplicated == 0 && outOfOrder == 0 && phantoms == 0 && refused == 0 }

    /// Adds what the history checker says of one topic.
    mutating func add(_ found: ParleyConformance.Verdict) {
      acknowledged += found.acknowledged
      delivered += found.delivered
      lost += found.lost.count + found.untoldGaps.count
      duplicated += found.duplicated.count
      outOfOrder += found.outOfOrder.count
      phantoms += found.phantoms.count
      firstOffence =
        firstOffence
        ?? (found.lost + found.untoldGaps + found.duplicated + found.outOfOrder + found.phantoms).first
    }

    static func += (total: inout Verdict, more: Verdict) {
      total.acknowledged += more.acknowledged
      total.delivered += more.delivered
      total.lost += more.lost
      total.duplicated += more.duplicated
      total.outOfOrder += more.outOfOrder
      total.refused += more.refused
      total.phantoms += more.phantoms
      total.firstOffence = total.firstOffence ?? more.firstOffence
      total.firstRefusal = total.firstRefusal ?? more.firstRefusal
    }
  }

  private enum Event {
    case sent(topic: String, key: String)
    case answered(topic: String, key: String, id: String?)
  }

  private var events: [(writer: String, event: Event)] = []
  private var deliveries: [String: [String: [Entry]]] = [:]
  private var firstRefusal: String?

  /// Notes a post that is about to be written.
  mutating func sent(_ posts: Posts, _ index: Int) {
    events.append((posts.tag, .sent(topic: posts.topic(index), key: posts.key(index))))
  }

  /// Notes the answer to a post; one without an id counts as refused.
  mutating func answered(_ posts: Posts, _ index: Int, _ line: Peer.Line, by peer: Peer) {
    answered(posts, index, id: peer.string(after: "\"backendMsgId\":\"", in: line), line: peer.text(line))
  }

  /// Notes the answer to a post, and the id in it.
  mutating func answered(_ posts: Posts, _ index: Int, id: String?, line: @autoclosure () -> String) {
    if id == nil, firstRefusal == nil { firstRefusal = String(line().prefix(400)) }
    events.append((posts.tag, .answered(topic: posts.topic(index), key: posts.key(index), id: id)))
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

  /// Reads the final logs through `server` and lets the history checker judge, topic by topic.
  ///
  /// Every reader was subscribed before the first post, so it is owed the whole log.
  func judged(through server: Server) throws(BenchError) -> Verdict {
    var checkers: [String: HistoryChecker] = [:]
    var posts: [String: HistoryChecker.Post] = [:]
    var verdict = Verdict()
    for (writer, event) in events {
      switch event {
      case .sent(let topic, let key):
        posts[key] = checkers[topic, default: .init()].attempt(writer: writer, key: key, content: key)
      case .answered(let topic, let key, let id):
        guard let post = posts[key] else { continue }
        if let id {
          checkers[topic, default: .init()].acknowledge(post, id: MessageID(id))
        } else {
          checkers[topic, default: .init()].leaveUnknown(post)
          verdict.refused += 1
        }
      }
    }
    for (topic, unread) in checkers {
      var checker = unread
      for (reader, given) in deliveries {
        let name = checker.addReader(reader)
        for entry in given[topic] ?? [] { checker.deliver(id: MessageID(entry.id), content: entry.key, to: name) }
        checker.expectComplete(name)
      }
      let log = try server.log(of: topic).map { HistoryChecker.Entry(id: MessageID($0.id), content: $0.key) }
      verdict.add(checker.verdict(log: log))
    }
    verdict.firstRefusal = firstRefusal
    return verdict
  }
}
