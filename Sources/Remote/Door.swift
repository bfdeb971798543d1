import ParleyHTTPServer
import ParleyRuntime

/// The routes of the HTTP door, and who may take them. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class Door: HTTPApplication, @unchecked Sendable {
  private let mcp: MCPEndpoint
  private let options: DoorOptions

  init(mcp: MCPEndpoint, options: DoorOptions) {
    self.mcp = mcp
    self.options = options
  }

  func admit(_ head: RequestHead, from peer: IPAddress?) -> HTTPAdmission {
    if let refusal = options.access.refusal(of: head) { return .answer(.refusal(refusal)) }
    switch head.path {
    case "/healthz":
      guard head.method == .get || head.method == .head else {
        let refusal = HTTPRefusal(405, "methodNotAllowed", "GET")
        return .answer(.refusal(refusal, fields: [("Allow", "GET, HEAD")]))
      }
      return .answer(.json(200, Array(#"{"status":"ok"}"#.utf8)))
    case "/mcp":
      let client = options.access.client(of: head, peer: peer)
      guard options.access.allows(client) else {
        return .answer(.refusal(HTTPRefusal(403, "addressNotAllowed", "not from this address")))
      }
      // Before method and body are looked at: a stranger learns nothing of what is served.
      if case .refused(let response) = options.authenticator.authenticate(head) {
        log(head, client, response.status)
        return .answer(response)
      }
      if let response = mcp.refusal(of: head) { return .answer(response) }
      return .body(limit: head.method == .post ? mcp.bodyLimit : 0)
    default: return .answer(.refusal(HTTPRefusal(404, "notFound", "there is nothing here")))
    }
  }

  func handle(_ exchange: HTTPExchange) {
    switch options.authenticator.authenticate(exchange.head) {
    case .refused(let response): exchange.answer(response)
    case .known(let principal): mcp.handle(exchange, from: principal)
    }
  }

  private func log(_ head: RequestHead, _ client: IPAddress?, _ status: Int) {
    Log.write(
      .info, "request refused",
      [
        ("method", head.method.rawValue), ("path", head.path), ("status", String(status)),
        ("client", client.map(\.description) ?? "unix"),
        ("agent", String((head.fields["user-agent"] ?? "").prefix(200))),
      ])
  }
}
