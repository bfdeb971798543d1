import ParleyCoordination
import ParleyRuntime

/// What that system's broker answers, as JSON.
enum DuoRecord {
  /// A partner as it is now.
  struct Partner: Sendable {
    var partner: PartnerFold.Partner
    var isOnline: Bool
    var isListening: Bool

    /// Without whether it listens, which the list of partners alone has.
    var json: JSONObject {
      [
        "id": .string(partner.id), "name": .string(partner.name), "project_path": .text(partner.card.project),
        "created_at": .string(time(partner.since)), "last_seen": .string(time(partner.lastSeen)),
        "status": .string(isOnline ? "online" : "offline"),
        "status_message": .text(partner.status.isEmpty ? nil : partner.status),
        "notifications_enabled": .int(partner.card.isNotified ? 1 : 0),
      ]
    }
  }

  /// `2026-07-12 18:03:11`, in UTC.
  static func time(_ milliseconds: Int64) -> String { String(DuoText.time(milliseconds).dropLast(4)) }

  /// A number where the backend's ids are numbers.
  private static func id(_ message: MessageID) -> JSONValue {
    Int64(message.text).map { .int($0) } ?? .string(message.text)
  }

  static func message(_ message: Message) -> JSONValue {
    [
      "id": id(message.id), "conversation_id": .string(message.topic.name), "from_id": .string(message.sender.name),
      "content": .string(message.content), "created_at": .string(time(message.storedAt)),
    ]
  }

  static func sent(_ sent: Duo.Sent) -> JSONObject {
    [
      "success": true, "conversationId": .string(sent.conversation.name), "messageId": id(sent.message),
      "notified": .int(Int64(sent.notified)), "queued": .int(Int64(sent.queued)),
    ]
  }

  static func heard(_ heard: Duo.Heard, minutes: Int) -> JSONObject {
    var record: JSONObject = ["hasMessages": false, "messages": []]
    switch heard {
    case .messages(let news):
      record["hasMessages"] = true
      record["messages"] = .array(news.flatMap(\.messages).map(message))
    case .reconnect: record["reason"] = "reconnect"
    case .unregistered: record["reason"] = "unregistered"
    case .timeout:
      record["reason"] = "timeout"
      record["timeoutMinutes"] = .int(Int64(minutes))
    }
    return record
  }

  static func conversation(_ conversation: Conversation) -> JSONObject {
    let state = conversation.state
    return [
      "id": .string(conversation.topic.name), "name": .text(state.name),
      "type": .string(state.isDirect ? "direct" : "group"), "created_at": .string(time(state.createdAt)),
      "created_by": .string(state.creator.name), "is_archived": .int(state.isArchived ? 1 : 0),
    ]
  }

  static func participants(_ conversation: Conversation) -> JSONValue {
    .array(
      conversation.state.members.keys.sorted().map { ["id": .string($0.name), "name": .string($0.name)] })
  }
}
