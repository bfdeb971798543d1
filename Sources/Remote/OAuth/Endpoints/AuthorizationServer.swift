import ParleyHTTPServer
import ParleyRuntime

/// The built-in authorization server for one owner (OAuth 2.1): metadata, registration, consent, tokens, revocation.
/// Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class AuthorizationServer: @unchecked Sendable {
  /// The longest form or registration.
  static let bodyLimit = 32 << 10

  let loop: EventLoop
  let store: any AuthStore
  let options: AuthorizationOptions
  let clients: ClientDirectory
  let metrics: DoorMetrics
  var registrationLimiter: AttemptLimiter
  var pageLimiter: AttemptLimiter
  var tokenLimiter: AttemptLimiter
  let owner: OwnerCheck

  init(
    loop: EventLoop, store: any AuthStore, options: AuthorizationOptions, owner: OwnerCheck, metrics: DoorMetrics
  ) {
    self.loop = loop
    self.owner = owner
    self.metrics = metrics
    self.store = store
    self.options = options
    clients = ClientDirectory(
      loop: loop, store: store, registration: Registration(key: store.key, rules: options.redirects),
      documents: MetadataDocuments(loop: loop, rules: options.redirects, fetch: options.fetch),
      lifetimes: options.lifetimes)
    func limiter(_ limits: (perAddress: Int, inAll: Int)) -> AttemptLimiter {
      AttemptLimiter(perAddress: limits.perAddress, inAll: limits.inAll, minutes: 15)
    }
    registrationLimiter = limiter(options.registrations)
    pageLimiter = limiter(options.pages)
    tokenLimiter = limiter(options.refusedTokens)
  }

  var now: WallTime { loop.wallClockMilliseconds }

  /// The routes beside the metadata.
  enum Route: String {
    case authorize = "/authorize"
    case consent = "/authorize/consent"
    case token = "/token"
    case revoke = "/revoke"
    case register = "/register"

    /// People's browsers come here, from wherever their owner is.
    var isForPeople: Bool { self == .authorize || self == .consent }
    var method: HTTPMethod { self == .authorize ? .get : .post }

    var mediaType: String? {
      switch self {
      case .authorize: nil
      case .register: "application/json"
      case .consent, .token, .revoke: "application/x-www-form-urlencoded"
      }
    }
  }

  /// What to do with a request for a route, before its body is read.
  func admit(_ route: Route, _ head: RequestHead) -> HTTPAdmission {
    guard head.method == route.method else {
      let refusal = HTTPRefusal(405, "methodNotAllowed", route.method.rawValue)
      return .answer(.refusal(refusal, fields: [("Allow", route.method.rawValue)]))
    }
    guard route.mediaType == nil || head.contentType == route.mediaType else {
      return .answer(
        .refusal(HTTPRefusal(415, "unsupportedMediaType", "the body must be \(route.mediaType ?? "")")))
    }
    return .body(limit: route.method == .get ? 0 : Self.bodyLimit)
  }

  /// Answers a request for a route, now or later.
  func handle(_ route: Route, _ exchange: HTTPExchange, from client: IPAddress?) {
    loop.spawn { [self] in
      let response: HTTPResponse
      switch route {
      case .authorize: response = await authorize(exchange.head, client)
      case .consent: response = await consent(exchange.head, exchange.body, client)
      case .token: response = await token(exchange.head, exchange.body, client)
      case .revoke: response = await revoke(exchange.head, exchange.body, client)
      case .register: response = register(exchange.body, client)
      }
      exchange.answer(response)
    }
  }

  // MARK: Registration

  private func register(_ body: [UInt8], _ address: IPAddress?) -> HTTPResponse {
    guard registrationLimiter.take(address, now: now) else { return tooMany() }
    do throws(OAuthError) {
      let answer = try clients.registration.register(body, now: now)
      Audit.note("client registered", address, [("client", OAuthClient.shortID(answer.client.id))])
      var value: JSONObject = [
        "client_id": .string(answer.client.id), "client_id_issued_at": .int(answer.issued),
        "client_name": .string(answer.client.name),
        "redirect_uris": .array(answer.client.redirects.map { .string($0.text) }),
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "token_endpoint_auth_method": .string(answer.client.method.rawValue), "scope": .string(Scopes.usual.text),
      ]
      if let secret = answer.secret {
        value["client_secret"] = .string(secret)
        value["client_secret_expires_at"] = 0
      }
      return .json(201, Array(JSONValue.object(value).text.utf8), fields: [("Pragma", "no-cache")])
    } catch {
      return error.response
    }
  }

  func tooMany() -> HTTPResponse {
    metrics.refused(.limit)
    return OAuthError(.slowDown, "too many requests; try again later").response
  }

  var unavailable: OAuthError { OAuthError(.serverError, "the request could not be carried out") }
}

/// What an operator should be able to read later: who was let in, by whom, and what was refused. Never a secret.
enum Audit {
  static func note(
    _ event: String, _ address: IPAddress?, _ fields: [(String, String)] = [], level: Log.Level = .info
  ) {
    Log.write(level, "auth: \(event)", [("client_address", address.map(\.description) ?? "unix")] + fields)
  }
}

extension OAuthClient {
  /// A name for lists and logs: registrations' ids are long.
  static func shortID(_ id: String) -> String {
    id.hasPrefix("https://") ? id : "c" + SHA256.hexadecimal(id, digits: 10)
  }
}
