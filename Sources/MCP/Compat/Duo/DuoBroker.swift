import ParleyRuntime

/// The requests of that system's broker, over the same partners and conversations as its tools.
///
/// It knows its callers by what they say of themselves, so it is for a listener that only this machine can reach.
package struct DuoBroker: Sendable {
  /// A request with its path's parts, percent-encoding resolved.
  package struct Request: Sendable {
    package var isPost: Bool
    package var path: [String]
    package var query: [String: String]
    /// Of a POST: a JSON object.
    package var body: JSONValue

    package init(isPost: Bool, path: [String], query: [String: String], body: JSONValue) {
      self.isPost = isPost
      self.path = path
      self.query = query
      self.body = body
    }
  }

  private let partners: DuoPartners

  package init(_ partners: DuoPartners) { self.partners = partners }

  /// The answer's status and JSON.
  package func answer(_ request: Request) async -> (status: Int, body: JSONValue) {
    do throws(Refusal) {
      return (200, .object(try await record(request)))
    } catch {
      return (error.status, ["error": .string(error.reason), "code": .string(error.code)])
    }
  }

  private func record(_ request: Request) async throws(Refusal) -> JSONObject {
    let path = request.path
    switch (request.isPost, path.first ?? "", path.count) {
    case (true, "register", 1): return try await register(request.body)
    case (true, "unregister", 1):
      try await partners.unregister(try Self.text("partnerId", request.body))
      return ["success": true]
    case (true, "talk", 1): return try await talk(request.body)
    case (false, "listen", 2): return try await listen(path[1], request.query)
    case (true, "conversations", 1): return try await create(request.body)
    case (false, "conversations", 2): return try await conversations(of: path[1])
    case (true, "conversations", 3) where path[2] == "leave": return try await leave(path[1], request.body)
    case (false, "conversations", 3) where path[2] == "messages": return try await messages(path[1], request.query)
    case (false, "conversations", 3) where path[2] == "participants":
      return ["participants": DuoRecord.participants(try await partners.history(path[1], limit: 1).conversation)]
    case (false, "partners", 1): return try await list()
    case (true, "partners", 3) where path[2] == "status":
      try await partners.partner(path[1]).setStatus(request.body["message"]?.string)
      return ["success": true]
    case (true, "partners", 3) where path[2] == "notifications":
      _ = try await partners.partner(path[1]).setNotices(request.body["enabled"]?.bool ?? true)
      return ["success": true]
    case (false, "health", 1): return try await health()
    default: throw Refusal(404, "not_found", "there is nothing here")
    }
  }

  private static func text(_ name: String, _ body: JSONValue) throws(Refusal) -> String {
    guard let text = body[name]?.string, !text.isBlank, !text.utf8.contains(0) else {
      throw Refusal(400, "invalid_argument", "\(name) required")
    }
    return text
  }

  private func register(_ body: JSONValue) async throws(Refusal) -> JSONObject {
    let partner = try await partners.register(
      try Self.text("partnerId", body), name: body["name"]?.string, project: body["projectPath"]?.string)
    return ["success": true, "partner": .object(partner.json)]
  }

  private func talk(_ body: JSONValue) async throws(Refusal) -> JSONObject {
    let (from, content) = (try Self.text("fromId", body), try Self.text("content", body))
    let (to, conversation) = (body["to"]?.string, body["conversationId"]?.string)
    guard to != nil || conversation != nil else {
      throw Refusal(400, "invalid_argument", "to or conversationId required")
    }
    return DuoRecord.sent(try await partners.partner(from).talk(content, to: to, conversation: conversation))
  }

  private func listen(_ id: String, _ query: [String: String]) async throws(Refusal) -> JSONObject {
    let duo = try await partners.partner(id)
    let minutes = DuoTools.minutes(asked: query["timeout"].flatMap { Int($0) } ?? DuoTools.defaultMinutes)
    // While it waits it is there, however long that takes.
    let life = partners.loop.spawn { await duo.run() }
    let heard = await duo.listen(query["conversationId"], minutes: minutes)
    life.cancel()
    await life.value
    return DuoRecord.heard(try heard.get(), minutes: minutes)
  }

  private func create(_ body: JSONValue) async throws(Refusal) -> JSONObject {
    let (creator, name) = (try Self.text("creatorId", body), try Self.text("name", body))
    let others = (body["participants"]?.array ?? []).compactMap(\.string)
    let made = try await partners.partner(creator).create(name.trimmed, participants: others)
    var record = DuoRecord.conversation(made)
    record["participants"] = DuoRecord.participants(made)
    return ["success": true, "conversation": .object(record)]
  }

  private func conversations(of id: String) async throws(Refusal) -> JSONObject {
    let (_, all) = try await partners.partner(id).listConversations()
    return [
      "conversations": .array(
        all.map { conversation, unread in
          var record = DuoRecord.conversation(conversation)
          record["unread_count"] = .int(Int64(unread))
          record["participants"] = DuoRecord.participants(conversation)
          return .object(record)
        })
    ]
  }

  private func leave(_ id: String, _ body: JSONValue) async throws(Refusal) -> JSONObject {
    let isArchived = try await partners.partner(try Self.text("partnerId", body)).leave(id)
    return ["success": true, "left": true, "archived": .bool(isArchived)]
  }

  private func messages(_ id: String, _ query: [String: String]) async throws(Refusal) -> JSONObject {
    let limit = min(max(query["limit"].flatMap { Int($0) } ?? 50, 1), 500)
    let (_, conversation, messages) = try await partners.history(id, limit: limit)
    return [
      "conversation": .object(DuoRecord.conversation(conversation)),
      "messages": .array(messages.map(DuoRecord.message)),
    ]
  }

  private func list() async throws(Refusal) -> JSONObject {
    [
      "partners": .array(
        try await partners.records().map { partner in
          var record = partner.json
          record["isListening"] = .bool(partner.isListening)
          return .object(record)
        })
    ]
  }

  private func health() async throws(Refusal) -> JSONObject {
    let all = try await partners.records()
    return [
      "status": "ok", "partners": .int(Int64(all.count)), "online": .int(Int64(all.count(where: \.isOnline))),
      "listening": .int(Int64(all.count(where: \.isListening))),
    ]
  }
}
