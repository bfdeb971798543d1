import ParleyRuntime

/// Records in the shape of that system; those of the room itself have no `topic_id`, as its older form.
enum ChatRecord {
  /// `2026-07-12T18:03:11Z`
  static func time(_ milliseconds: Int64) -> String { Timestamp.text(milliseconds).prefix(19) + "Z" }

  static func topic(_ room: ChatroomFold.Room) -> JSONValue {
    [
      "id": .string(room.id), "title": .string(room.title), "status": room.closedAt == nil ? "open" : "closed",
      "created_by": "system", "created_at": .string(time(room.createdAt)), "closed_at": .text(room.closedAt.map(time)),
      "last_activity_ts": .string(time(room.lastActivity)),
    ]
  }

  static func message(_ entry: ChatroomFold.Entry) -> JSONValue {
    var record: JSONObject = ["id": .int(Int64(entry.id)), "ts": .string(time(entry.at))]
    if let topic = entry.topic { record["topic_id"] = .string(topic) }
    record["from"] = .string(entry.from)
    record["to"] = .string(entry.to ?? "all")
    record["content"] = .text(entry.content)
    return .object(record)
  }

  static func cursor(_ name: String, _ topic: String?, _ id: Int) -> JSONValue {
    var record: JSONObject = ["name": .string(name)]
    if let topic { record["topic_id"] = .string(topic) }
    record["last_read_id"] = .int(Int64(id))
    return .object(record)
  }

  static func summary(_ summary: ChatroomFold.Summary?, _ topic: String?) -> JSONValue {
    guard let summary else { return nil }
    var record: JSONObject = ["id": .int(Int64(summary.number)), "ts": .string(time(summary.at))]
    if let topic { record["topic_id"] = .string(topic) }
    record["from"] = .string(summary.by)
    record["scope"] = .string(summary.scope)
    record["content"] = .string(summary.text)
    return .object(record)
  }
}
