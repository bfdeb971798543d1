import ParleyCoordination
import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// `/v1`: the conversation for scripts, as JSON. What a tool does here is what it does over MCP. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class APIEndpoint: GuardedRoutes, @unchecked Sendable {
  private let rooms: Rooms
  private let options: DoorOptions
  private let calls: GuardedCalls
  private let operations: [APIOperation]
  /// No session's own: what is injected is news to those of the same handle too.
  private let instance = UUIDv4.make()
  private var limits: Limits { rooms.own.participant.hub.setup.limits }

  init(rooms: Rooms, options: DoorOptions, calls: GuardedCalls) {
    self.rooms = rooms
    self.options = options
    self.calls = calls
    operations = APIOperation.all(
      for: rooms.own.participant.hub.setup.limits, issuesKeys: options.keys != nil)
  }

  func serves(_ path: String) -> Bool { operations.contains { $0.path == path } }

  private func operation(of head: RequestHead) -> APIOperation? {
    operations.first { $0.path == head.path && $0.method == head.method }
  }

  func refusal(of head: RequestHead) -> HTTPResponse? {
    guard let operation = operation(of: head) else {
      let allowed = operations.filter { $0.path == head.path }.map(\.method.rawValue).joined(separator: ", ")
      return .refusal(HTTPRefusal(405, "methodNotAllowed", allowed), fields: [("Allow", allowed)])
    }
    guard operation.tool == nil || head.contentType == "application/json" else {
      return .refusal(HTTPRefusal(415, "unsupportedMediaType", "the body must be application/json"))
    }
    return nil
  }

  func bodyLimit(of head: RequestHead) -> Int {
    guard let operation = operation(of: head), operation.method == .post else { return 0 }
    return operation.name == .inject ? limits.contentBytes : limits.lineBytes
  }

  func handle(_ exchange: HTTPExchange, from principal: Principal) {
    guard let operation = operation(of: exchange.head) else {
      return exchange.answer(.refusal(HTTPRefusal(404, "notFound", "there is nothing here")))
    }
    if let scope = operation.scope, !principal.scopes.covers(scope) { return calls.refuse(exchange, lacking: scope) }
    // A proxy here that is not named in the configuration makes everybody look near, but says for whom it asks.
    let isNear =
      exchange.head.fields["x-forwarded-for"] == nil && exchange.head.fields["forwarded"] == nil
      && exchange.peer?.isLoopback ?? true
    guard operation.name != .inject || isNear else {
      return exchange.answer(.refusal(HTTPRefusal(403, "addressNotAllowed", "from this machine alone")))
    }
    rooms.note(exchange, of: principal, isStream: false)
    TraceContext.during(TraceContext(exchange.head)) {
      calls.answer(exchange, rechecks: operation.scope == .read) { [self] in
        do throws(HubError) {
          let room = try rooms.room(of: principal)
          return .json(200, try await answer(operation, exchange, room))
        } catch {
          return .failure(error)
        }
      }
    }
  }

  private func answer(
    _ operation: APIOperation, _ exchange: HTTPExchange, _ room: Room
  ) async throws(HubError) -> [UInt8] {
    let query = try APIQuery(exchange.head.query, operation.parameters)
    if let tool = operation.tool { return try await call(tool, try body(of: exchange), in: room) }
    let hub = room.participant.hub
    switch operation.name {
    case .document: return APIDocument.text(operations, version: options.version, for: hub.setup)
    case .listTopics: return topics(room)
    case .readMessages: return try await messages(query, hub)
    case .listTasks: return try await tasks(query, room)
    case .listUsers: return try await call(ListUsersTool(), users(query), in: room)
    case .inject: return try await inject(exchange, query, room)
    case .postMessage, .postTask, .claimTask, .updateTask, .issueKey:
      throw .badArgument(name: "path", reason: "there is nothing here")
    }
  }

  // MARK: Tools

  private func body(of exchange: HTTPExchange) throws(HubError) -> JSONSlice {
    do throws(JSONError) {
      let body = try JSONSlice(exchange.body, depth: limits.jsonDepth, limit: limits.lineBytes)
      if body.kind == .object, !body.hasLoneSurrogate { return body }
    } catch {
      throw .badArgument(name: "body", reason: "it is no JSON text: \(error)")
    }
    throw .badArgument(name: "body", reason: "it must be a JSON object of Unicode text")
  }

  private func call(
    _ tool: any Tool, _ arguments: JSONSlice, in room: Room
  ) async throws(HubError) -> [UInt8] {
    let participant = room.participant
    let context = CallContext(
      hub: participant.hub, inbox: participant.inbox, coordination: participant.coordination,
      progress: { _, _, _ in })
    switch await tool.call(arguments, in: context) {
    case .success(let members): return [UInt8(ascii: "{")] + members + [UInt8(ascii: "}")]
    case .failure(let error): throw error
    case .content(let content): return content.structured ?? Array("{}".utf8)
    }
  }

  private func users(_ query: APIQuery) -> JSONSlice {
    var arguments = JSONObject()
    for name in ["filter", "topic"] { if let text = query.text(name) { arguments[name] = .string(text) } }
    if query.flag("online_only") { arguments["online_only"] = true }
    if let limit = query.integer("limit") { arguments["limit"] = .int(Int64(limit)) }
    return (try? JSONSlice(JSONValue.object(arguments).text)) ?? .emptyObject
  }

  // MARK: Reading

  private func topics(_ room: Room) -> [UInt8] {
    let unread = room.participant.inbox.assumeIsolated { $0.unread }
    var writer = JSONWriter(capacity: 1024)
    writer.beginObject()
    writer.key("topics")
    writer.beginArray()
    for topic in room.participant.hub.setup.topics {
      writer.beginObject()
      writer.member("topic", topic.name)
      writer.member("unread", Int64(unread[topic]?.count ?? 0))
      if unread[topic]?.isCapped == true { writer.member("unreadCapped", true) }
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }

  private func messages(_ query: APIQuery, _ hub: Hub) async throws(HubError) -> [UInt8] {
    let position: Position
    switch (query.text("since"), query.text("before")) {
    case (nil, nil): position = .latest
    case (let since?, nil): position = .after(Cursor(since))
    case (nil, let before?): position = .before(Cursor(before))
    default: throw .badArgument(name: "before", reason: "cannot be combined with since")
    }
    let request = FetchRequest(
      Topic(query.text("topic") ?? ""), position, limit: query.integer("limit") ?? min(100, limits.pageMessages))
    let page = try await hub.fetch(request, wait: query.integer("wait").map { .seconds($0) })
    let answer = PageAnswer(page, of: request, bytes: query.integer("max_bytes") ?? limits.resultBytes)
    var writer = JSONWriter(capacity: answer.size)
    writer.beginObject()
    answer.write(into: &writer)
    writer.endObject()
    return writer.bytes
  }

  private func tasks(_ query: APIQuery, _ room: Room) async throws(HubError) -> [UInt8] {
    let board = try await room.participant.coordination.tasks.board(
      of: Topic(query.text("topic") ?? ""), ended: query.integer("ended") ?? 50)
    var writer = JSONWriter(capacity: 4096)
    writer.beginObject()
    writer.key("tasks")
    writer.tasks(board.live + board.ended, at: board.now, bytes: limits.resultBytes)
    writer.member("nowMs", board.now)
    writer.endObject()
    return writer.bytes
  }

  // MARK: Injecting

  /// What a program of this machine says, as it says it. It is marked as an event, so that nothing reads a command in
  /// it.
  private func inject(_ exchange: HTTPExchange, _ query: APIQuery, _ room: Room) async throws(HubError) -> [UInt8] {
    guard let text = String(validating: exchange.body, as: UTF8.self), !text.isEmpty else {
      throw .badArgument(name: "body", reason: "it must be UTF-8, and not empty")
    }
    let hub = room.participant.hub
    guard let topic = query.text("topic").map(Topic.init) ?? hub.setup.topics.first else {
      throw .badArgument(name: "topic", reason: "is required")
    }
    let event = try EventAttributes.event(source: query.text("source"), severity: query.text("severity"))
    let receipt = try await hub.post(
      PostRequest(
        topic: topic, content: text, attributes: event,
        author: Author(handle: hub.setup.author.handle, instance: instance)))
    var writer = JSONWriter(capacity: 160)
    writer.beginObject()
    writer.receipt(receipt)
    writer.endObject()
    return writer.bytes
  }
}

/// The attributes of a message that a program reports something by.
enum EventAttributes {
  private static let sourceLimit = 128

  static func event(source: String?, severity: String?) throws(HubError) -> Attributes {
    let source = source.flatMap { $0.isEmpty ? nil : $0 }
    if let source {
      guard source.utf8.count <= sourceLimit, VisibleText.visible(source, keepsLines: false) == source else {
        throw .badArgument(name: "source", reason: "must be at most \(sourceLimit) bytes without control characters")
      }
    }
    return ["kind": MachineEvent.event, "source": source, "severity": severity]
  }
}
