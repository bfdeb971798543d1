import ParleyHTTPServer
import ParleyRuntime

/// The routes of the HTTP door, and who may take them. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class Door: HTTPApplication, @unchecked Sendable {
  private let mcp: MCPEndpoint
  private let guarded: [any GuardedRoutes]
  private let hooks: HookEndpoint?
  private let console: ConsoleEndpoint?
  private let authorization: AuthorizationServer?
  private let supervisor: Supervisor
  private let options: DoorOptions
  private let calls: GuardedCalls
  /// Nil where nobody gets a key for itself.
  private let keys: KeyDesk?
  private let crossOrigin: CrossOrigin
  /// Set by whoever makes the server.
  var connectionCount: () -> Int = { 0 }
  /// Likewise.
  var callCount: () -> Int = { 0 }

  init(
    mcp: MCPEndpoint, guarded: [any GuardedRoutes], hooks: HookEndpoint?, console: ConsoleEndpoint?, keys: KeyDesk?,
    authorization: AuthorizationServer?, supervisor: Supervisor, calls: GuardedCalls, options: DoorOptions
  ) {
    self.mcp = mcp
    self.guarded = [mcp] + guarded
    self.hooks = hooks
    self.console = console
    self.keys = keys
    self.calls = calls
    self.supervisor = supervisor
    self.authorization = authorization
    self.options = options
    crossOrigin = CrossOrigin(options.pages)
  }

  func fields(for head: RequestHead) -> [(name: String, value: String)] { crossOrigin.fields(for: head) }

  func admit(_ head: RequestHead, from peer: IPAddress?) -> HTTPAdmission {
    if let refusal = options.access.refusal(of: head) { return .answer(.refusal(refusal)) }
    if let answer = crossOrigin.preflight(head) { return .answer(answer) }
    if let document = options.metadata?.answer(head) {
      log("document given", head, options.access.client(of: head, peer: peer), document.status)
      return .answer(document)
    }
    switch head.path {
    case "/healthz", "/readyz":
      guard head.method == .get || head.method == .head else {
        let refusal = HTTPRefusal(405, "methodNotAllowed", "GET")
        return .answer(.refusal(refusal, fields: [("Allow", "GET, HEAD")]))
      }
      return .answer(head.path == "/healthz" ? .json(200, Array(#"{"status":"ok"}"#.utf8)) : readiness)
    case "/metrics":
      guard head.method == .get || head.method == .head else {
        let refusal = HTTPRefusal(405, "methodNotAllowed", "GET")
        return .answer(.refusal(refusal, fields: [("Allow", "GET, HEAD")]))
      }
      let client = options.access.client(of: head, peer: peer)
      return admission(of: head, from: client, options.authenticator.authenticate(head))
    default:
      if let keys, head.path == KeyDesk.path {
        guard options.access.allows(options.access.client(of: head, peer: peer)) else {
          return .answer(.refusal(Self.notFromHere))
        }
        return keys.admit(head)
      }
      if guardedRoutes(of: head) != nil {
        let client = options.access.client(of: head, peer: peer)
        guard options.access.allows(client) else { return .answer(.refusal(Self.notFromHere)) }
        return admission(of: head, from: client, options.authenticator.authenticate(head))
      }
      if let hooks, let hook = hooks.hook(of: head) { return hooks.admit(hook, head) }
      // Like the consent page it is for people, from wherever their owner is.
      if let console, console.serves(head.path) { return console.admit(head) }
      guard let (server, route) = route(of: head) else {
        return .answer(.refusal(HTTPRefusal(404, "notFound", "there is nothing here")))
      }
      let client = options.access.client(of: head, peer: peer)
      guard route.isForPeople || options.access.allows(client) else { return .answer(.refusal(Self.notFromHere)) }
      let admission = server.admit(route, head)
      if case .answer(let response) = admission { log("request refused", head, client, response.status) }
      return admission
    }
  }

  private func guardedRoutes(of head: RequestHead) -> (any GuardedRoutes)? { guarded.first { $0.serves(head.path) } }

  /// Who it is comes before method and body: a stranger learns nothing of what is served, and has nothing read.
  private func admission(of head: RequestHead, from client: IPAddress?, _ found: Authentication) -> HTTPAdmission {
    switch found {
    case .refused(let response):
      options.metrics.refused(.token)
      log("request refused", head, client, response.status)
      return .answer(response)
    case .known(let principal):
      guard let routes = guardedRoutes(of: head) else { return .body(limit: 0, finding: principal) }
      if let response = routes.refusal(of: head) { return .answer(response) }
      return .body(limit: routes.bodyLimit(of: head), finding: principal)
    case .pending(let find):
      return .later { [self] reply in find { [self] in reply(admission(of: head, from: client, $0)) } }
    }
  }

  func handle(_ exchange: HTTPExchange) {
    if let principal = exchange.finding as? Principal { return serve(exchange, .known(principal)) }
    if let hooks, let hook = hooks.hook(of: exchange.head) {
      log("webhook", exchange.head, options.access.client(of: exchange.head, peer: exchange.peer), nil)
      return hooks.handle(hook, exchange)
    }
    if let console, console.serves(exchange.head.path) {
      let client = options.access.client(of: exchange.head, peer: exchange.peer)
      if exchange.head.method == .post { log("request", exchange.head, client, nil) }
      return console.handle(exchange, from: client)
    }
    if let keys, exchange.head.path == KeyDesk.path {
      let client = options.access.client(of: exchange.head, peer: exchange.peer)
      return calls.answer(exchange, rechecks: false) { await keys.answer(exchange.body, from: client) }
    }
    if let (server, route) = route(of: exchange.head) {
      let client = options.access.client(of: exchange.head, peer: exchange.peer)
      log("request", exchange.head, client, nil)
      return server.handle(route, exchange, from: client)
    }
    serve(exchange, options.authenticator.authenticate(exchange.head))
  }

  private func serve(_ exchange: HTTPExchange, _ found: Authentication) {
    switch found {
    case .refused(let response):
      options.metrics.refused(.token)
      log(
        "request refused", exchange.head, options.access.client(of: exchange.head, peer: exchange.peer), response.status
      )
      exchange.answer(response)
    case .known(let principal):
      if let routes = guardedRoutes(of: exchange.head) { return routes.handle(exchange, from: principal) }
      exchange.answer(figures(for: principal))
    case .pending(let find): find { [weak self] in self?.serve(exchange, $0) }
    }
  }

  private func figures(for principal: Principal) -> HTTPResponse {
    guard principal.scopes.covers(.admin) else {
      options.metrics.refused(.scope)
      return options.authenticator.refusal(lacking: .admin)
    }
    let present = DoorMetrics.Present(
      health: supervisor.assumeIsolated { $0.health }, sessions: mcp.sessionCount, calls: callCount(),
      connections: connectionCount())
    return HTTPResponse(
      200, fields: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
      body: Array(options.metrics.text(present).utf8))
  }

  /// Whether posts and fetches work; why not is for those who are let in.
  private var readiness: HTTPResponse {
    switch supervisor.assumeIsolated({ $0.health.state }) {
    case .live, .degraded: .json(200, Array(#"{"status":"ready"}"#.utf8))
    case .connecting, .waitingToRetry, .stopped:
      .json(503, Array(#"{"status":"unavailable"}"#.utf8), fields: [("Retry-After", "1")])
    }
  }

  private static let notFromHere = HTTPRefusal(403, "addressNotAllowed", "not from this address")

  private func route(of head: RequestHead) -> (AuthorizationServer, AuthorizationServer.Route)? {
    guard let authorization, let route = AuthorizationServer.Route(rawValue: head.path) else { return nil }
    return (authorization, route)
  }

  /// The path alone: what stands behind it may be a secret.
  private func log(_ event: String, _ head: RequestHead, _ client: IPAddress?, _ status: Int?) {
    Log.write(
      .info, event,
      [("method", head.method.rawValue), ("path", head.path)] + (status.map { [("status", String($0))] } ?? []) + [
        ("client", client.map(\.description) ?? "unix"),
        ("agent", String((head.fields["user-agent"] ?? "").prefix(200))),
      ])
  }
}
