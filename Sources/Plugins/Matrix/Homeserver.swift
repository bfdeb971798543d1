import ParleyHTTPClient
import ParleyRuntime

/// The homeserver as one account sees it: requests of the Client-Server API, with tokens that renew themselves.
///
/// A request that is refused for its token is made once more when a new one was had. Rate limits are told, not waited
/// for.
actor Homeserver: LoopActor {
  nonisolated let loop: EventLoop
  let options: MatrixOptions
  private let http: HTTPClient
  private let origin: String
  private var credentials: Credentials?
  /// The last answer came over HTTP/2.
  private(set) var isHTTP2 = false
  /// One renewal at a time; who comes meanwhile waits for it.
  private var isRenewing = false
  private let renewed: Waiters<Void>

  init(loop: EventLoop, options: MatrixOptions) {
    self.loop = loop
    self.options = options
    http = HTTPClient(
      loop: loop,
      options: HTTPClientOptions(
        certificateAuthorities: options.certificateAuthorities,
        connectTimeout: min(options.requestTimeout, .seconds(10)),
        userAgent: "Parley/\(ParleyVersion.text)", idleConnections: Self.connections,
        hostConnections: Self.connections))
    origin = Credentials.origin(of: options)
    renewed = Waiters(loop: loop)
  }

  /// Over HTTP/1.1: one for /sync, four for everything else.
  private static let connections = 5

  func close() async { await http.close() }

  // MARK: Who we are

  /// Finds working credentials: of the configuration, of the token file, or by a login. Returns account and device.
  func authenticate(deadline: LoopInstant) async throws(MatrixFailure) -> (account: String, device: String?) {
    if let kept = try keptCredentials() {
      credentials = kept
    } else if case .token(let access, let refresh) = options.login {
      credentials = Credentials(
        userID: "", deviceID: options.deviceID, accessToken: access, refreshToken: refresh, origin: origin)
    } else {
      credentials = nil
      try await renew(instead: nil, deadline: deadline)
    }
    let answer = try await call(.get, "v3/account/whoami", deadline: deadline)
    guard let account = answer.member("user_id")?.string else { throw .malformed("whoami without user_id") }
    let device = answer.member("device_id")?.string
    credentials?.userID = account
    credentials?.deviceID = device
    return (account, device)
  }

  private func keptCredentials() throws(MatrixFailure) -> Credentials? {
    guard let path = options.tokenFile else { return credentials }
    do throws(SystemError) {
      return try TokenFileHandle.read(path).flatMap { Credentials($0, origin: origin) }
    } catch { throw .unauthorized("the token file cannot be read: \(error)") }
  }

  /// Replaces a token that was refused; returns at once where somebody else has replaced it meanwhile.
  private func renew(instead old: String?, deadline: LoopInstant) async throws(MatrixFailure) {
    while isRenewing {
      guard case .value = await renewed.wait(renewed.ticket(), until: deadline) else {
        throw .transport(HTTPFailure(.timedOut, cause: "waiting for a new access token"))
      }
    }
    if let old, credentials?.accessToken != old { return }
    isRenewing = true
    defer {
      isRenewing = false
      renewed.resumeAll(())
    }
    guard let path = options.tokenFile else {
      credentials = try await obtain(credentials, deadline: deadline)
      return
    }
    let file = try await lockedFile(path, deadline: deadline)
    if let kept = try keptCredentials(), kept.accessToken != old {
      credentials = kept
      return
    }
    let fresh = try await obtain(try keptCredentials() ?? credentials, deadline: deadline)
    // Written before it is used: a refresh token that was used once is worth nothing, also to our successor.
    do throws(SystemError) { try file.write(fresh.text) } catch {
      throw .unauthorized("the token file cannot be written: \(error)")
    }
    credentials = fresh
  }

  private func lockedFile(_ path: String, deadline: LoopInstant) async throws(MatrixFailure) -> TokenFileHandle {
    while true {
      do throws(SystemError) {
        if let file = try TokenFileHandle.acquire(path) { return file }
      } catch { throw .unauthorized("the token file cannot be locked: \(error)") }
      guard loop.now < deadline, await loop.sleep(for: .milliseconds(20)) else {
        throw .transport(HTTPFailure(.timedOut, cause: "another process holds \(path).lock"))
      }
    }
  }

  /// New tokens: by the refresh token, else by the password.
  private func obtain(_ old: Credentials?, deadline: LoopInstant) async throws(MatrixFailure) -> Credentials {
    if let old, let refreshToken = old.refreshToken {
      do throws(MatrixFailure) {
        return try await refresh(old, refreshToken, deadline: deadline)
      } catch {
        guard let status = error.status, status < 500, status != 429 else { throw error }
        guard case .password = options.login else {
          throw .unauthorized(
            "the refresh token is refused (\(error.seamError("refresh").cause)): put a new one in place")
        }
      }
    }
    guard case .password(let user, let password) = options.login else {
      throw .unauthorized("the access token is refused: put a new one in place")
    }
    return try await logIn(user, password, device: old?.deviceID ?? options.deviceID, deadline: deadline)
  }

  private func logIn(
    _ user: String, _ password: String, device: String?, deadline: LoopInstant
  ) async throws(MatrixFailure) -> Credentials {
    var body: JSONObject = [
      "type": "m.login.password", "identifier": ["type": "m.id.user", "user": .string(user)],
      "password": .string(password), "initial_device_display_name": "Parley", "refresh_token": true,
    ]
    if let device { body["device_id"] = .string(device) }
    do throws(MatrixFailure) {
      let answer = try await request(.post, "v3/login", body: .object(body), token: nil, deadline: deadline)
      return try tokens(answer, userID: answer.member("user_id")?.string ?? user, device: device)
    } catch {
      if error.status == 403 { throw .unauthorized("user or password is wrong (\(error.seamError("login").cause))") }
      throw error
    }
  }

  private func refresh(
    _ old: Credentials, _ refreshToken: String, deadline: LoopInstant
  ) async throws(MatrixFailure) -> Credentials {
    let answer: JSONSlice
    if let clientID = options.clientID {
      let endpoint = try await tokenEndpoint(deadline: deadline)
      let fields = [("grant_type", "refresh_token"), ("refresh_token", refreshToken), ("client_id", clientID)]
      let form = fields.map { $0 + "=" + URLText.encode($1) }.joined(separator: "&")
      answer = try await exchange(
        HTTPRequest(
          .post, endpoint, headers: [.init("Content-Type", "application/x-www-form-urlencoded")],
          body: Array(form.utf8)), deadline: deadline)
    } else {
      answer = try await request(
        .post, "v3/refresh", body: ["refresh_token": .string(refreshToken)], token: nil, deadline: deadline)
    }
    return try tokens(answer, userID: old.userID, device: old.deviceID, previous: refreshToken)
  }

  /// Where an OAuth-native server says that tokens are renewed (`/auth_metadata`, MSC2965); https unless we speak http.
  private func tokenEndpoint(deadline: LoopInstant) async throws(MatrixFailure) -> String {
    var metadata: JSONSlice
    do throws(MatrixFailure) {
      metadata = try await request(.get, "v1/auth_metadata", token: nil, deadline: deadline)
    } catch {
      guard error.status == 404 || error.code == "M_UNRECOGNIZED" else { throw error }
      metadata = try await request(.get, "unstable/org.matrix.msc2965/auth_metadata", token: nil, deadline: deadline)
    }
    guard let endpoint = metadata.member("token_endpoint")?.string,
      endpoint.hasPrefix("https://") || options.homeserver.hasPrefix("http://")
    else { throw .malformed("auth_metadata without a safe token_endpoint") }
    return endpoint
  }

  private func tokens(
    _ answer: JSONSlice, userID: String, device: String?, previous: String? = nil
  ) throws(MatrixFailure) -> Credentials {
    guard let access = answer.member("access_token")?.string else { throw .malformed("no access_token") }
    return Credentials(
      userID: userID, deviceID: answer.member("device_id")?.string ?? device, accessToken: access,
      refreshToken: answer.member("refresh_token")?.string ?? previous, origin: origin)
  }

  // MARK: Requests

  /// One request of the API as the account; `path` follows `/_matrix/client/` and is percent-encoded already.
  func call(
    _ method: HTTPRequest.Method, _ path: String, query: [(String, String)] = [], body: JSONValue? = nil,
    deadline: LoopInstant
  ) async throws(MatrixFailure) -> JSONSlice {
    guard let token = credentials?.accessToken else { throw .unauthorized("not logged in") }
    do throws(MatrixFailure) {
      return try await request(method, path, query: query, body: body, token: token, deadline: deadline)
    } catch {
      guard error.code == "M_UNKNOWN_TOKEN" else { throw error }
      try await renew(instead: token, deadline: deadline)
      guard let fresh = credentials?.accessToken else { throw .unauthorized("not logged in") }
      return try await request(method, path, query: query, body: body, token: fresh, deadline: deadline)
    }
  }

  /// What the server calls itself. It owes that to other servers alone, but many answer both on one port; Synapse also
  /// has an address of its own for it.
  func software(deadline: LoopInstant) async -> String? {
    let told = try? await exchange(
      HTTPRequest(.get, options.homeserver + "/_matrix/federation/v1/version"), deadline: deadline)
    if let server = told?.member("server"), let name = server.member("name")?.string {
      return name + (server.member("version")?.string.map { " " + $0 } ?? "")
    }
    let synapse = try? await exchange(
      HTTPRequest(.get, options.homeserver + "/_synapse/admin/v1/server_version"), deadline: deadline)
    return synapse?.member("server_version")?.string.map { "Synapse " + $0 }
  }

  /// A request without an account.
  func publicCall(_ path: String, deadline: LoopInstant) async throws(MatrixFailure) -> JSONSlice {
    try await request(.get, path, token: nil, deadline: deadline)
  }

  private func request(
    _ method: HTTPRequest.Method, _ path: String, query: [(String, String)] = [], body: JSONValue? = nil,
    token: String?, deadline: LoopInstant
  ) async throws(MatrixFailure) -> JSONSlice {
    var url = "\(options.homeserver)/_matrix/client/\(path)"
    for (index, (name, value)) in query.enumerated() {
      url += (index == 0 ? "?" : "&") + name + "=" + URLText.encode(value)
    }
    var headers: [HTTPRequest.Header] = []
    if let token { headers.append(.init("Authorization", "Bearer \(token)")) }
    var bytes: [UInt8]?
    if let body {
      headers.append(.init("Content-Type", "application/json"))
      var writer = JSONWriter()
      writer.value(body)
      bytes = writer.bytes
    }
    return try await exchange(HTTPRequest(method, url, headers: headers, body: bytes), deadline: deadline)
  }

  private func exchange(_ request: HTTPRequest, deadline: LoopInstant) async throws(MatrixFailure) -> JSONSlice {
    let answer: HTTPResponse
    do throws(HTTPFailure) { answer = try await http.send(request, deadline: deadline) } catch {
      throw .transport(error)
    }
    isHTTP2 = answer.isHTTP2
    guard (200..<300).contains(answer.status) else { throw Self.refusal(answer) }
    do throws(JSONError) { return try DeepContent.parse(answer.body) } catch { throw .malformed("\(error)") }
  }

  private static func refusal(_ answer: HTTPResponse) -> MatrixFailure {
    let body = (try? JSONSlice(answer.body)) ?? .emptyObject
    let milliseconds = body.member("retry_after_ms")?.int
    let seconds = answer.header("retry-after").flatMap { Int64($0) }
    let wait = milliseconds ?? seconds.map { $0.multipliedReportingOverflow(by: 1000).partialValue }
    return .refused(
      status: answer.status,
      code: body.member("errcode")?.string ?? body.member("error")?.string ?? "HTTP \(answer.status)",
      message: body.member("error")?.string ?? body.member("error_description")?.string ?? "",
      // A hostile or broken server must not send us to sleep for a year.
      retryAfter: wait.map { .milliseconds(min(max($0, 1), 3_600_000)) },
      softLogout: body.member("soft_logout")?.bool == true)
  }
}
