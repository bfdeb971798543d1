import ParleyCoordination
import ParleyHTTPServer
import ParleyRuntime

/// `/console`: pages for the owner's browser, behind the owner's passphrase. Confined to the loop.
///
/// What is done here goes through the same hub as every other call: allowlist, limits and the door's code are the same.
//
// @unchecked: confined to the loop's thread.
final class ConsoleEndpoint: @unchecked Sendable {
  private static let loginBytes = 4 << 10

  private let loop: EventLoop
  private let rooms: Rooms
  private let supervisor: Supervisor
  private let options: ConsoleOptions
  private let door: DoorOptions
  private let calls: GuardedCalls
  private let owner: OwnerCheck
  let logins: ConsoleLogins
  private let streams: ConsoleStreams
  private var room: ConsoleRoom?
  /// Set by whoever makes the server: open sessions, and open connections.
  var counts: () -> (sessions: Int, connections: Int) = { (0, 0) }

  init(
    rooms: Rooms, supervisor: Supervisor, options: ConsoleOptions, door: DoorOptions, calls: GuardedCalls,
    owner: OwnerCheck
  ) {
    loop = supervisor.loop
    self.rooms = rooms
    self.supervisor = supervisor
    self.options = options
    self.door = door
    self.calls = calls
    self.owner = owner
    let logins = ConsoleLogins(loop: supervisor.loop, options: options)
    self.logins = logins
    streams = ConsoleStreams(
      loop: supervisor.loop, keepAlive: door.keepAlive, checkInterval: door.revocationInterval,
      counts: { logins.counts($0) })
  }

  // MARK: Requests

  func serves(_ path: String) -> Bool { ConsoleRoute(rawValue: path) != nil }

  /// Who is not logged in is sent to the login page before a body is read.
  func admit(_ head: RequestHead) -> HTTPAdmission {
    guard let route = ConsoleRoute(rawValue: head.path), route.methods.contains(head.method) else {
      let allowed = ConsoleRoute(rawValue: head.path)?.methods.map(\.rawValue).joined(separator: ", ") ?? ""
      return .answer(.refusal(HTTPRefusal(405, "methodNotAllowed", allowed), fields: [("Allow", allowed)]))
    }
    if head.method == .post {
      guard head.contentType == "application/x-www-form-urlencoded" else {
        return .answer(.refusal(HTTPRefusal(415, "unsupportedMediaType", "the body must be a form")))
      }
      guard logins.isFromHere(head) else {
        return .answer(.refusal(HTTPRefusal(403, "originNotAllowed", "forms of other pages are not taken")))
      }
    }
    if route == .login { return .body(limit: head.method == .post ? Self.loginBytes : 0) }
    guard logins.login(of: head) != nil else { return .answer(Self.see(.login)) }
    // Each byte of a text may be sent as three.
    let limits = rooms.own.participant.hub.setup.limits
    return .body(limit: head.method == .post ? 3 * limits.contentBytes + (16 << 10) : 0)
  }

  func handle(_ exchange: HTTPExchange, from client: IPAddress?) {
    guard let route = ConsoleRoute(rawValue: exchange.head.path) else { return exchange.answer(Self.see(.overview)) }
    if route == .login {
      return calls.answer(exchange, rechecks: false) { [self] in await login(exchange, client) }
    }
    guard let login = logins.login(of: exchange.head) else { return exchange.answer(Self.see(.login)) }
    if route == .events {
      room?.participant.presence?.note(exchange, isStream: true)
      return streams.open(exchange, login: login)
    }
    calls.answer(exchange, rechecks: false) { [self] in
      do throws(HubError) {
        let room = try theRoom()
        room.participant.presence?.note(exchange, isStream: false)
        let frame = ConsoleFrame(
          me: options.handle, token: logins.token(of: login), hasApprovals: options.approvals != nil)
        let pages = ConsolePages(
          room: room, frame: frame, metrics: door.metrics, expect: { [streams] in streams.expect($0) })
        if exchange.head.method == .get { return try await show(route, exchange.head, pages) }
        guard let form = FormFields(exchange.body), logins.isOwn(form, of: login) else {
          return Self.page(403, "This page is too old", "Open the console anew.")
        }
        if route == .logout { return await logout(login, client) }
        return await ConsoleActions(room: room, pages: pages).perform(route, form)
      } catch { return Self.page(error.status, "This cannot be done", error.description) }
    }
  }

  /// The owner takes part from the first page on.
  private func theRoom() throws(HubError) -> ConsoleRoom {
    if let room { return room }
    let participant = try rooms.addPerson(options.handle, patience: options.patience)
    let made = ConsoleRoom(participant: participant, supervisor: supervisor, approvals: options.approvals)
    room = made
    made.watch { [weak streams] in streams?.tell() }
    return made
  }

  // MARK: Pages

  private func show(
    _ route: ConsoleRoute, _ head: RequestHead, _ pages: ConsolePages
  ) async throws(HubError) -> HTTPResponse {
    switch route {
    case .topic:
      guard let query = FormFields(head.query ?? ""), let name = query["name"] else {
        throw .badArgument(name: "topic", reason: "is required")
      }
      let position: Position =
        switch (query["before"], query["after"]) {
        case (let cursor?, _): .before(Cursor(cursor))
        case (nil, let cursor?): .after(Cursor(cursor))
        case (nil, nil): .latest
        }
      let messages = try await pages.room.messages(of: Topic(name), at: position, isWhole: query["whole"] != nil)
      let draft = ConsolePages.Draft(reply: query["reply"].map(MessageID.init))
      return await pages.topic(messages, draft: draft).response(200)
    case .tasks: return await pages.tasks().response(200)
    case .approvals: return await pages.approvals().response(200)
    case .health:
      let (sessions, connections) = counts()
      return pages.health(sessions: sessions, connections: connections).response(200)
    default: return await pages.overview().response(200)
    }
  }

  static func page(_ status: Int, _ title: String, _ text: String) -> HTTPResponse {
    ConsentPage.message(title, text).response(status)
  }

  static func see(_ route: ConsoleRoute) -> HTTPResponse { see(route.rawValue) }

  /// Sends the browser to another page (RFC 9110 section 15.4.4).
  static func see(_ address: String, fields: [(name: String, value: String)] = []) -> HTTPResponse {
    HTTPResponse(303, fields: [("Location", address)] + fields)
  }

  // MARK: Logging in and out

  private func login(_ exchange: HTTPExchange, _ client: IPAddress?) async -> HTTPResponse {
    let head = exchange.head
    let isElsewhere = head.fields["sec-fetch-site"] == "cross-site"
    func form(_ status: Int, _ error: String?, _ fields: [(name: String, value: String)] = []) -> HTTPResponse {
      let (token, field) = logins.page(for: head)
      return ConsoleFrame.login(token: token, error: error, cameFromElsewhere: isElsewhere)
        .response(status, fields: [field] + fields)
    }
    guard head.method == .post else {
      return logins.login(of: head) == nil ? form(200, nil) : Self.see(.overview)
    }
    guard let fields = FormFields(exchange.body), logins.isAnswer(fields, head) else {
      return form(403, "This page was too old, or your browser keeps no cookies. Try again.")
    }
    let outcome = await owner.check(fields["passphrase"] ?? "", from: client, [("for", "console")])
    if let (status, text, more) = outcome.refusal { return form(status, text, more) }
    do throws(AuthStoreError) {
      let cookies = try await logins.begin()
      Audit.note("logged in to the console", client, level: .notice)
      return Self.see(ConsoleRoute.overview.rawValue, fields: cookies)
    } catch {
      Audit.note("the login could not be kept", client, [("cause", error.description)], level: .error)
      return form(503, "The login could not be kept. Try again.")
    }
  }

  private func logout(_ login: String, _ client: IPAddress?) async -> HTTPResponse {
    do throws(AuthStoreError) {
      let cookies = try await logins.end(login)
      streams.end(login: login)
      Audit.note("logged out of the console", client, level: .notice)
      return Self.see(ConsoleRoute.login.rawValue, fields: cookies)
    } catch {
      Audit.note("a login could not be ended", client, [("cause", error.description)], level: .error)
      return Self.page(503, "You are still logged in", "Try again.")
    }
  }

  // MARK: Ending

  /// Ends open pages.
  func end() {
    streams.endAll()
    room?.stop()
  }
}
