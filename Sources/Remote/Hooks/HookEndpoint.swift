import ParleyHTTPServer
import ParleyRuntime
import ParleyTLS

/// `/hooks/{name}`: turns what other programs send, signed, into messages. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class HookEndpoint: @unchecked Sendable {
  /// What came is known again for so long; milliseconds.
  private static let remembered: WallTime = 7 * 86_400_000

  private let hub: Hub
  private let hooks: [String: Hook]
  private let store: any AuthStore
  private let options: DoorOptions
  private let calls: GuardedCalls
  /// No participant's own process: what a hook says is news to all of them.
  private let instance = UUIDv4.make()

  init(hub: Hub, hooks: [Hook], store: any AuthStore, options: DoorOptions, calls: GuardedCalls) {
    self.hub = hub
    self.hooks = Dictionary(hooks.map { ($0.name, $0) }) { first, _ in first }
    self.store = store
    self.options = options
    self.calls = calls
  }

  func hook(of head: RequestHead) -> Hook? {
    guard head.path.hasPrefix("/hooks/") else { return nil }
    return hooks[String(head.path.dropFirst(7))]
  }

  func admit(_ hook: Hook, _ head: RequestHead) -> HTTPAdmission {
    guard head.method == .post else {
      return .answer(.refusal(HTTPRefusal(405, "methodNotAllowed", "POST"), fields: [("Allow", "POST")]))
    }
    guard HookSignature.isClaimed(head, hook) else { return .answer(refusal("the request is not signed")) }
    return .body(limit: hook.bodyLimit)
  }

  func handle(_ hook: Hook, _ exchange: HTTPExchange) {
    let now = hub.loop.wallClockMilliseconds
    if let problem = HookSignature.problem(exchange.head, exchange.body, hook, now: now) {
      return exchange.answer(refusal(problem))
    }
    let digest = Base64.encodeURL(Digest.sha256.hash(Array(hook.name.utf8) + [0] + exchange.body))
    calls.answer(exchange, rechecks: false) { [self] in await post(hook, exchange, digest, now) }
  }

  /// Stored first and noted then: what could not be stored may come again. Two at once are one by the key.
  private func post(
    _ hook: Hook, _ exchange: HTTPExchange, _ digest: String, _ now: WallTime
  ) async -> HTTPResponse {
    guard store.state().deliveries[digest] ?? 0 <= now else { return replayed }
    var attributes: Attributes = ["kind": MachineEvent.hook, "source": hook.source, "severity": hook.severity]
    attributes = TraceContext(exchange.head)?.adding(to: attributes) ?? attributes
    let limits = hub.setup.limits
    let author = Author(handle: hook.handle, instance: instance, stableInstance: "hook")
    let request = PostRequest(
      topic: hook.topic,
      content: hook.template.text(
        exchange.body, event: exchange.head.fields["x-github-event"], limit: limits.contentBytes),
      key: "hook-\(digest)", attributes: attributes, author: author)
    do throws(HubError) {
      let receipt = try await hub.post(request)
      let until = now + Self.remembered
      do throws(AuthStoreError) {
        try await store.change(on: hub.loop) { $0.note(delivery: digest, until: until, now: now) }
      } catch {
        Log.write(.error, "a webhook cannot be noted: it may come again", [("cause", error.description)])
      }
      if receipt.isDuplicate { return replayed }
      var writer = JSONWriter(capacity: 160)
      writer.beginObject()
      writer.member("backendMsgId", receipt.id.text)
      writer.endObject()
      return .json(200, writer.bytes)
    } catch {
      return .failure(error)
    }
  }

  private var replayed: HTTPResponse {
    options.metrics.refused(.signature)
    return .refusal(HTTPRefusal(409, "replayed", "this came before"))
  }

  private func refusal(_ reason: String) -> HTTPResponse {
    options.metrics.refused(.signature)
    return .refusal(HTTPRefusal(401, "unauthorized", reason))
  }
}
