import ParleyCoordination
import ParleyRuntime

/// What each participant has read, and what is left for those who come later.
extension Chatroom {
  // MARK: Reading positions

  func cursor(name: String, topic: String?) async throws(Refusal) -> JSONValue {
    let (fold, _) = try await current()
    try check(topic, fold)
    return ChatRecord.cursor(name, topic, fold.cursor(of: name, in: topic))
  }

  func setCursor(name: String, topic: String?, id: Int) async throws(Refusal) -> JSONValue {
    let (fold, now) = try await current()
    try check(topic, fold)
    try await check(speaker: name, fold, at: now)
    guard id <= fold.latestID(in: topic) else {
      throw Refusal(
        422, "invalid_argument",
        "message_id cannot exceed the latest message id for this \(topic == nil ? "room" : "topic")")
    }
    guard id > fold.cursor(of: name, in: topic) else {
      return ChatRecord.cursor(name, topic, fold.cursor(of: name, in: topic))
    }
    let outcome = try await say(.cursor(name: name, topic: topic, from: nil, id: id), as: name)
    guard case .cursor(let at) = outcome else { return ChatRecord.cursor(name, topic, id) }
    return ChatRecord.cursor(name, topic, at)
  }

  /// The oldest unread messages. With `marks`, each is given to one call alone, however many read at the same time.
  func readUnread(name: String, topic: String?, limit: Int, marks: Bool) async throws(Refusal) -> JSONValue {
    while true {
      let (fold, now) = try await current()
      try check(topic, fold)
      if marks { try await check(speaker: name, fold, at: now) }
      let from = fold.cursor(of: name, in: topic)
      let found = fold.messages(in: topic, after: from, for: name, limit: limit)
      var at = from
      if marks, let last = found.last {
        do throws(Refusal) {
          let outcome = try await say(.cursor(name: name, topic: topic, from: from, id: last.id), as: name)
          if case .cursor(let place) = outcome { at = place }
        } catch {
          guard error.code == "cursor_moved", !Task.isCancelled else { throw error }
          continue
        }
      }
      var record = ChatRecord.cursor(name, topic, at).object ?? [:]
      record["messages"] = .array(try await records(found, fold))
      return .object(record)
    }
  }

  // MARK: Summaries

  func writeSummary(name: String, topic: String?, content: String, scope: String) async throws(Refusal) -> JSONValue {
    guard content.utf8.count <= ChatroomFold.summaryBytes else {
      throw Refusal(
        422, "content_too_large", "content has \(content.utf8.count) bytes, the limit is \(ChatroomFold.summaryBytes)")
    }
    if scope != "all" { try rules.checkForm(scope, "scope") }
    let (fold, now) = try await current()
    try check(topic, fold, forWriting: true)
    try await check(speaker: name, fold, at: now)
    let event = ChatEvent.summary(topic: topic)
    var attributes = event.message.attributes
    attributes["scope"] = scope
    return ["id": number(try await say(event, as: name, text: (content, attributes)))]
  }

  func latestSummary(topic: String?, scope: String) async throws(Refusal) -> JSONValue {
    let (fold, _) = try await current()
    try check(topic, fold)
    return ChatRecord.summary(fold.summary(in: topic, scope: scope), topic)
  }

  /// Everything that somebody needs who takes over; `name` nil for nobody in particular.
  func handOff(name: String?, topic: String?, limit: Int) async throws(Refusal) -> JSONValue {
    let (fold, now) = try await current()
    try check(topic, fold)
    var record: JSONObject = ["participants": participants(fold, at: now)]
    if let topic, let room = fold.rooms[topic] { record["topic"] = ChatRecord.topic(room) }
    record["latest_message_id"] = .int(Int64(fold.latestID(in: topic)))
    record["cursor"] = name.map { JSONValue.int(Int64(fold.cursor(of: $0, in: topic))) } ?? JSONValue.null
    record["unread_count"] = name.map { JSONValue.int(Int64(fold.unread($0, in: topic))) } ?? JSONValue.null
    record["latest_summary"] = ChatRecord.summary(fold.latestSummary(in: topic, for: name), topic)
    record["recent_messages"] = .array(try await records(fold.newest(in: topic, for: name, limit: limit), fold))
    return .object(record)
  }
}
