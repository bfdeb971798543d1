import ParleyCommands
import ParleyHTTPClient
import ParleyRuntime

/// A person at a Matrix client, by plain requests of the Client-Server API.
actor MatrixPerson: DemoPerson {
  nonisolated let loop: EventLoop
  private let accounts: DemoAccounts
  private let password: String
  private let http: HTTPClient
  private var token: String?
  private var account = ""
  /// The room we are in.
  private var room: String?
  private var since: String?
  private var unread: [DemoLine] = []
  private var lastTransaction = 0

  init(loop: EventLoop, accounts: DemoAccounts, password: String) {
    self.loop = loop
    self.accounts = accounts
    self.password = password
    http = HTTPClient(
      loop: loop, options: HTTPClientOptions(certificateAuthorities: accounts.authorities, userAgent: "a person"))
  }

  static let defaultURL = "http://127.0.0.1:8008"

  func logIn(deadline: LoopInstant) async throws(SeamError) -> String {
    let body: JSONValue = [
      "type": "m.login.password", "identifier": ["type": "m.id.user", "user": .string(accounts.person)],
      "password": .string(password), "initial_device_display_name": "Parley demo",
    ]
    let answer = try await call(.post, "login", body, deadline: deadline)
    guard let token = answer.member("access_token")?.string, let account = answer.member("user_id")?.string else {
      throw Self.failed("log in", "the homeserver's answer has no access_token")
    }
    self.token = token
    self.account = account
    return account
  }

  /// Waits for the invitation to the room of that name, as a client shows it, and accepts it.
  func enter(_ topic: Topic, deadline: LoopInstant) async throws(SeamError) {
    while room == nil {
      let answer = try await sync(deadline: deadline)
      for invitation in answer.member("rooms")?.member("invite")?.members ?? JSONSlice.emptyObject.members {
        let events = invitation.value.member("invite_state")?.member("events")?.elements
        let isIt = events?.contains { $0.member("content")?.member("name")?.isString(topic.name) == true }
        guard isIt == true else { continue }
        _ = try await call(.post, "join/" + URLText.encode(invitation.name), [:], deadline: deadline)
        room = invitation.name
      }
    }
    // What the room has to show comes with the next answer.
    since = nil
  }

  func nextLine(deadline: LoopInstant) async throws(SeamError) -> DemoLine {
    while unread.isEmpty {
      let answer = try await sync(deadline: deadline)
      let place = room.flatMap { answer.member("rooms")?.member("join")?.member($0) }
      for event in place?.member("timeline")?.member("events")?.elements ?? JSONSlice.emptyObject.elements {
        guard event.member("type")?.isString("m.room.message") == true, let id = event.member("event_id")?.string,
          let sender = event.member("sender")?.string, sender != account,
          let text = event.member("content")?.member("body")?.string
        else { continue }
        unread.append(DemoLine(id: id, sender: sender, text: text))
      }
    }
    return unread.removeFirst()
  }

  func say(_ text: String, inReplyTo line: DemoLine, deadline: LoopInstant) async throws(SeamError) {
    lastTransaction += 1
    let path = "rooms/\(URLText.encode(room ?? ""))/send/m.room.message/demo\(lastTransaction)"
    let content: JSONValue = [
      "msgtype": "m.text", "body": .string(text), "m.mentions": ["user_ids": [.string(line.sender)]],
      "m.relates_to": ["m.in_reply_to": ["event_id": .string(line.id)]],
    ]
    _ = try await call(.put, path, content, deadline: deadline)
  }

  func leave() async {
    _ = try? await call(.post, "logout", [:], deadline: loop.now.advanced(by: .seconds(5)))
    await http.close()
  }

  private func sync(deadline: LoopInstant) async throws(SeamError) -> JSONSlice {
    let place = since.map { "&since=" + URLText.encode($0) } ?? ""
    let answer = try await call(.get, "sync?timeout=10000" + place, nil, deadline: deadline)
    guard let next = answer.member("next_batch")?.string else {
      throw Self.failed("sync", "the homeserver's answer has no next_batch")
    }
    since = next
    return answer
  }

  private func call(
    _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue?, deadline: LoopInstant
  ) async throws(SeamError) -> JSONSlice {
    var headers = [HTTPRequest.Header("Content-Type", "application/json")]
    if let token { headers.append(.init("Authorization", "Bearer \(token)")) }
    let url = "\(accounts.url ?? Self.defaultURL)/_matrix/client/v3/\(path)"
    let answer: HTTPResponse
    do throws(HTTPFailure) {
      answer = try await http.send(
        HTTPRequest(method, url, headers: headers, body: body.map { Array($0.text.utf8) }), deadline: deadline)
    } catch {
      throw SeamError(.unavailable, native: error.native, operation: "\(method.rawValue) \(url)", cause: error.cause)
    }
    let value = (try? JSONSlice(answer.body)) ?? .emptyObject
    guard answer.status < 300 else {
      let isRefused = answer.status == 401 || answer.status == 403
      throw SeamError(
        isRefused ? .unauthorized : .unavailable, native: answer.status,
        operation: "\(accounts.person): \(path.prefix(40))",
        cause: value.member("error")?.string ?? "HTTP \(answer.status)")
    }
    return value
  }

  private static func failed(_ operation: String, _ cause: String) -> SeamError {
    SeamError(.unavailable, operation: operation, cause: cause)
  }
}
