import ParleyRuntime

/// Writes drafts as the content of `m.room.message`: a body that people read, and beside it what Parley needs.
struct EventWriter: Sendable {
  /// The largest text that is posted, in bytes of UTF-8. An event has at most 65,536 bytes (Client-Server API, size
  /// limits), of which the envelope, attributes and JSON's escapes need their share.
  static let contentLimit = 48 * 1024
  /// The largest content, in bytes of JSON.
  private static let encodedLimit = 62_000

  let style: MatrixOptions.HandleStyle

  /// What stands before the text where the style asks for it.
  static func prefix(_ handle: Handle) -> String { "[\(handle.name)] " }

  /// The content of a draft. `mentions` are Matrix ids; `recurs` says that the key may have been used before.
  ///
  /// Throws `tooLarge` for what does not fit into an event.
  func content(of draft: Draft, mentions: [String], recurs: Bool) throws(SeamError) -> JSONValue {
    guard draft.content.utf8.count <= Self.contentLimit else { throw Self.tooLarge(draft.content.utf8.count) }
    let isPrefixed = style == .prefix
    var content: JSONObject = [
      "msgtype": "m.text",
      "body": .string(isPrefixed ? Self.prefix(draft.author.handle) + draft.content : draft.content),
      "m.mentions": mentions.isEmpty ? [:] : ["user_ids": .array(mentions.map { .string($0) })],
      "app.parley.topic": .string(draft.topic.name),
      "app.parley.handle": .string(draft.author.handle.name),
      "app.parley.instance": .string(draft.author.instance),
      "app.parley.key": .string(draft.key.text),
    ]
    if isPrefixed { content["app.parley.prefixed"] = true }
    if style == .profile {
      let name = JSONValue.string(draft.author.handle.name)
      content["com.beeper.per_message_profile"] = ["id": name, "displayname": name]
    }
    if recurs { content["app.parley.recurring_key"] = true }
    if let to = draft.to { content["app.parley.to"] = .string(to.name) }
    if !draft.attributes.isEmpty {
      content["app.parley.attributes"] = .object(
        JSONObject(draft.attributes.map { (name: $0.key, value: JSONValue.string($0.value)) }))
    }
    if let reply = draft.inReplyTo {
      if LogPlace.isEventID(reply.text) {
        content["m.relates_to"] = ["m.in_reply_to": ["event_id": .string(reply.text)]]
      } else {
        content["app.parley.in_reply_to"] = .string(reply.text)
      }
    }
    let value = JSONValue.object(content)
    let size = value.text.utf8.count
    guard size <= Self.encodedLimit else { throw Self.tooLarge(size) }
    return value
  }

  private static func tooLarge(_ size: Int) -> SeamError {
    SeamError(
      .tooLarge(limit: contentLimit), operation: "post",
      cause: "\(size) bytes are more than a Matrix event carries (64 KiB with all its parts)")
  }

  /// The transaction id: the same for the same key and content, so that a server that has seen it from this device
  /// answers with the first event.
  static func transaction(of draft: Draft) -> String {
    var parts = [draft.topic.name, draft.key.text, draft.content, draft.inReplyTo?.text ?? "", draft.to?.name ?? ""]
    for (name, value) in draft.attributes { parts += [name, value] }
    // Lengths keep parts apart that a separator could not.
    let text = parts.map { "\($0.utf8.count):\($0)" }.joined()
    return "parley-" + SHA256.hexadecimal(text, digits: 40)
  }
}
