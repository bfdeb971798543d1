import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// The listener of the Duo broker: nobody is asked for a token, so only this machine is heard, and no web page.
/// Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class BrokerListener: HTTPApplication, @unchecked Sendable {
  private let loop: EventLoop
  private let broker: DuoBroker
  private let bodyLimit: Int
  private let rules = AccessRules()
  private var tasks: [UInt64: Task<Void, Never>] = [:]
  private var last: UInt64 = 0
  private var isEnding = false

  init(_ broker: DuoBroker, loop: EventLoop, bodyLimit: Int) {
    self.broker = broker
    self.loop = loop
    self.bodyLimit = bodyLimit
  }

  func admit(_ head: RequestHead, from peer: IPAddress?) -> HTTPAdmission {
    if let refusal = rules.refusal(of: head) { return .answer(.error(refusal.status, refusal.reason)) }
    // What comes through a proxy comes from elsewhere.
    guard peer?.isLoopback == true, head.fields["x-forwarded-for"] == nil, head.fields["forwarded"] == nil else {
      return .answer(.error(403, "from this machine alone"))
    }
    switch head.method {
    case .get: return .body(limit: 0)
    case .post:
      // A page of any origin may send other types without being asked whether it may.
      guard head.contentType == "application/json" else {
        return .answer(.error(415, "the body must be application/json"))
      }
      return .body(limit: bodyLimit)
    default: return .answer(.error(405, "GET or POST"))
    }
  }

  func handle(_ exchange: HTTPExchange) {
    guard !isEnding else { return exchange.answer(.error(503, "the broker ends")) }
    guard let request = Self.request(exchange) else {
      return exchange.answer(.error(400, "the path, the query or the JSON body cannot be read"))
    }
    last += 1
    let id = last
    let task = loop.spawn { [self] in
      let (status, body) = await broker.answer(request)
      tasks[id] = nil
      exchange.answer(.json(status, Array(body.text.utf8)))
    }
    tasks[id] = task
    exchange.onGone = { task.cancel() }
  }

  /// Ends what waits.
  func end() {
    isEnding = true
    for task in tasks.values { task.cancel() }
  }

  private static func request(_ exchange: HTTPExchange) -> DuoBroker.Request? {
    let head = exchange.head
    let isPost = head.method == .post
    var body = JSONValue.object([:])
    if isPost {
      guard let parsed = try? JSONValue(parsing: exchange.body), parsed.object != nil else { return nil }
      body = parsed
    }
    // Parts are resolved as values of a form are: a percent sign and two digits are a byte of UTF-8.
    let parts = head.path.split(separator: "/").map { part in
      FormFields("part=" + part.replacing("+", with: "%2B"))?.entries.first?.value
    }
    guard let query = FormFields(head.query ?? ""), !parts.contains(where: { $0 == nil }) else { return nil }
    return DuoBroker.Request(
      isPost: isPost, path: parts.compactMap { $0 },
      query: Dictionary(query.entries.map { ($0.name, $0.value) }) { first, _ in first }, body: body)
  }
}

extension HTTPResponse {
  /// A refusal in that system's form.
  fileprivate static func error(_ status: Int, _ reason: String) -> HTTPResponse {
    .json(status, Array(JSONValue.object(["error": .string(reason)]).text.utf8))
  }
}
