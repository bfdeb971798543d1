import ParleyHTTPServer
import ParleyRuntime

/// Routes that are taken with a token. Confined to the loop.
protocol GuardedRoutes: AnyObject {
  func serves(_ path: String) -> Bool

  /// What is wrong with the head of a request by somebody who is known; nil where nothing is.
  func refusal(of head: RequestHead) -> HTTPResponse?

  /// The longest body, in bytes.
  func bodyLimit(of head: RequestHead) -> Int

  func handle(_ exchange: HTTPExchange, from principal: Principal)
}

/// Requests that are answered by a task: ended with their client, with the server, or with what let them in. Confined to
/// the loop.
//
// @unchecked: confined to the loop's thread.
final class GuardedCalls: @unchecked Sendable {
  private let loop: EventLoop
  private let options: DoorOptions
  private var tasks: [UInt64: Task<Void, Never>] = [:]
  private var last: UInt64 = 0
  private var isEnding = false

  init(loop: EventLoop, options: DoorOptions) {
    self.loop = loop
    self.options = options
  }

  /// Requests that are being answered.
  var count: Int { tasks.count }

  /// Answers by what `work` returns. With `rechecks`, where the token was revoked meanwhile that is the answer: nothing
  /// that came since goes to its bearer.
  func answer(
    _ exchange: HTTPExchange, rechecks: Bool, by work: @escaping @Sendable () async -> HTTPResponse
  ) {
    guard !isEnding else {
      return exchange.answer(.refusal(HTTPRefusal(503, "unavailable", "the server ends")))
    }
    last += 1
    let id = last
    let authenticator = options.authenticator
    let task = loop.spawn { [self] in
      let response = await work()
      tasks[id] = nil
      guard rechecks else { return exchange.answer(response) }
      Self.recheck(exchange, response, authenticator.authenticate(exchange.head))
    }
    tasks[id] = task
    exchange.onGone = { task.cancel() }
  }

  private static func recheck(_ exchange: HTTPExchange, _ response: HTTPResponse, _ found: Authentication) {
    switch found {
    case .known: exchange.answer(response)
    case .refused(let refusal): exchange.answer(refusal)
    case .pending(let find): find { recheck(exchange, response, $0) }
    }
  }

  /// Refuses for a scope that is lacking.
  func refuse(_ exchange: HTTPExchange, lacking scope: Scope) {
    let client = options.access.client(of: exchange.head, peer: exchange.peer)
    Audit.note("scope lacking", client, [("needed", scope.rawValue)])
    options.metrics.refused(.scope)
    exchange.answer(options.authenticator.refusal(lacking: scope))
  }

  /// Ends what waits.
  func end() {
    isEnding = true
    for task in tasks.values { task.cancel() }
  }
}

extension HTTPResponse {
  /// A failure as scripts see it.
  static func failure(_ error: HubError) -> HTTPResponse {
    var fields: [(name: String, value: String)] = []
    if case .seam(let failure) = error, case .rateLimited(let after) = failure.code {
      fields.append(("Retry-After", String(max(1, (after.milliseconds + 999) / 1_000))))
    }
    return .refusal(HTTPRefusal(error.status, error.code, error.description), fields: fields)
  }

  static func badRequest(_ reason: String) -> HTTPResponse { .failure(.badArgument(name: "request", reason: reason)) }
}

extension HubError {
  /// The HTTP status of a failure.
  var status: Int {
    switch self {
    case .topicNotAllowed, .handleNotAllowed: 403
    case .overLimit: 413
    case .badArgument: 400
    case .refused(let code, _): code == "taskUnknown" ? 404 : 409
    case .seam(let error): error.status
    }
  }
}

extension SeamError {
  fileprivate var status: Int {
    switch code {
    case .invalidRequest, .cursorInvalid, .unsupported: 400
    case .forbidden: 403
    case .noSuchTopic: 404
    case .keyReused: 409
    case .tooLarge: 413
    case .rateLimited: 429
    case .corrupt: 500
    case .unavailable, .unauthorized, .storageFull, .outcomeUnknown, .timedOut, .cancelled: 503
    }
  }
}
