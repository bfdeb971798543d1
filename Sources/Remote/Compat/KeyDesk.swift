import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// `POST /v1/keys`: gives a token to whoever asks for a handle that nobody has, where the configuration lets it.
/// Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class KeyDesk: @unchecked Sendable {
  static let path = "/v1/keys"
  /// Tokens given out so that are kept at the same time.
  private static let capacity = 1_000
  /// What `parley token list` shows of them.
  private static let name = "self-service"
  private static let labelBytes = 128

  /// As it stands in the OpenAPI document.
  static let operation = APIOperation(
    name: .issueKey, method: .post, path: path, summary: "A token for whoever asks, for a handle that nobody has",
    scope: nil,
    result: [
      "type": "object", "required": ["key", "key_id", "tier", "expires_at", "agent_label", "warning"],
      "properties": [
        "key": ["type": "string"], "key_id": ["type": "string"], "tier": ["type": "string"],
        "expires_at": ["type": "null"], "agent_label": ["type": "string"], "warning": ["type": "string"],
      ],
    ], success: 201,
    body: (
      "application/json",
      [
        "type": "object", "required": ["agent_label"],
        "properties": [
          "agent_label": ["type": "string", "minLength": 1, "description": "The handle, at most 128 bytes"]
        ],
      ]
    ))

  private let store: any AuthStore
  private let loop: EventLoop
  private let compat: CompatOptions
  /// Keys of one address, and of all, in an hour.
  private var limiter = AttemptLimiter(perAddress: 5, inAll: 100, minutes: 60)

  init(_ store: any AuthStore, compat: CompatOptions, loop: EventLoop) {
    self.store = store
    self.compat = compat
    self.loop = loop
  }

  func admit(_ head: RequestHead) -> HTTPAdmission {
    guard head.method == .post else {
      return .answer(.refusal(HTTPRefusal(405, "methodNotAllowed", "POST"), fields: [("Allow", "POST")]))
    }
    guard head.contentType == "application/json" else {
      return .answer(.refusal(HTTPRefusal(415, "unsupportedMediaType", "the body must be application/json")))
    }
    return .body(limit: 4 << 10)
  }

  /// Answers a request of somebody at an address.
  func answer(_ body: [UInt8], from client: IPAddress?) async -> HTTPResponse {
    guard let label = (try? JSONValue(parsing: body))?["agent_label"]?.string else {
      return .refusal(HTTPRefusal(422, "missing_field", "agent_label is required"))
    }
    let now = loop.wallClockMilliseconds
    guard limiter.take(client, now: now) else {
      let refusal = HTTPRefusal(429, "rate_limit_exceeded", "too many keys were asked for; try again in an hour")
      return .refusal(refusal, fields: [("Retry-After", "3600")])
    }
    Audit.note("key asked for", client, [("label", label)])
    switch await issue(label) {
    case .success(let key): return .json(201, Array(key.text.utf8))
    case .failure(let refusal):
      return .refusal(HTTPRefusal(refusal.status, refusal.code, refusal.reason))
    }
  }

  /// A token whose handle is the label.
  func issue(_ label: String) async -> Result<JSONValue, Refusal> {
    let handle = Handle(label)
    if let problem = handle.problem(limit: Self.labelBytes) {
      return .failure(Refusal(422, "invalid_label", "agent_label \(problem)"))
    }
    let taken = Refusal(409, "label_in_use", "the label is in use; choose another")
    guard compat.isFree(handle) else { return .failure(taken) }
    let (secret, now) = (Secret.token.make(), loop.wallClockMilliseconds)
    let record = TokenRecord(
      id: Secret.makeID(), name: Self.name, scopes: Scopes([.relay, .post]), handle: handle, created: now, expires: nil)
    do throws(AuthStoreError) {
      let refusal = try await store.change(on: loop) { state -> Refusal? in
        // Two that ask at the same time are judged one after the other.
        guard !state.tokens.values.contains(where: { $0.handle == handle }) else { return taken }
        guard state.tokens.values.count(where: { $0.name == Self.name }) < Self.capacity else {
          return Refusal(503, "unavailable", "too many keys were given out")
        }
        state.tokens[Secret.digest(secret)] = record
        return nil
      }
      if let refusal { return .failure(refusal) }
    } catch {
      return .failure(Refusal(503, "unavailable", "the key cannot be kept"))
    }
    return .success([
      "key": .string(secret), "key_id": .string(record.id), "tier": "self-service", "expires_at": nil,
      "agent_label": .string(label),
      "warning": "Keep the key: it is shown once, and whoever has it speaks as this label.",
    ])
  }
}
