import ParleyRuntime

/// `parley_post`: stores a message.
package struct PostTool: ReplyingTool {
  package let name = "parley_post"

  package init() {}

  package func definition(for hub: Hub.Setup) -> String {
    ToolDefinition(
      name: name, title: "Post a message",
      description: "Post a message to a topic, for everyone there to read. Returns once the backend has stored it. "
        + "Repeat a call that failed with the same `key`: it is stored once."
        + TopicNames.sentence("Configured", hub),
      effects: .init(), input: Posting.input(topic: Schema.topic(of: hub)), inputRequired: Posting.required,
      output: Posting.output, outputRequired: Posting.outputRequired
    ).text
  }

  package func call(
    _ arguments: JSONSlice, in context: CallContext, reply: @escaping @Sendable (ToolOutcome) -> Void
  ) {
    Posting.call(arguments, in: context, reply: reply)
  }
}

/// What `parley_post` and `parley_reply` have in common: everything but their words.
enum Posting {
  static let required = ["topic", "content"]
  static let outputRequired = ["backendMsgId", "cursor", "durability"]

  static func input(topic: JSONValue) -> JSONObject {
    [
      "topic": topic,
      "content": Schema.string,
      "in_reply_to": Schema.string("backendMsgId of the message this answers"),
      "to": Schema.string("Direct it to one handle; all may read it, only that one is notified"),
      "key": Schema.string("Makes a retry safe"),
      "attributes": ["type": "object", "additionalProperties": Schema.string],
    ]
  }

  static let output: JSONObject = [
    "backendMsgId": Schema.string, "cursor": Schema.string, "durability": Schema.string,
    "duplicate": Schema.boolean,
  ]

  static func call(
    _ json: JSONSlice, in context: CallContext, reply: @escaping @Sendable (ToolOutcome) -> Void
  ) {
    // Half of a surrogate pair is no Unicode text: it could not be stored as it came.
    if json.hasLoneSurrogate {
      return reply(
        .failure(
          .badArgument(name: "arguments", reason: "must not contain half of a surrogate pair (\\ud800 to \\udfff)")))
    }
    do throws(HubError) {
      let request = try request(json, in: context.hub)
      context.hub.assumeIsolated { hub in hub.submit(request) { reply($0.toolOutcome) } }
    } catch {
      reply(.failure(error))
    }
  }

  private static func request(_ json: JSONSlice, in hub: Hub) throws(HubError) -> PostRequest {
    let found = json.members(["topic", "content", "in_reply_to", "to", "key", "attributes"])
    guard let topic = try ToolArguments.text(found[0], "topic") else {
      throw .badArgument(name: "topic", reason: "is required")
    }
    guard let content = try ToolArguments.text(found[1], "content") else {
      throw .badArgument(name: "content", reason: "is required")
    }
    return PostRequest(
      topic: try TopicSpelling.topic(meantBy: topic, in: hub), content: content,
      inReplyTo: try ToolArguments.text(found[2], "in_reply_to").map(MessageID.init),
      to: try ToolArguments.text(found[3], "to").map(Handle.init), key: try ToolArguments.text(found[4], "key"),
      attributes: try ToolArguments.textMap(found[5], "attributes") ?? [:])
  }
}

extension Result<Receipt, HubError> {
  fileprivate var toolOutcome: ToolOutcome {
    switch self {
    case .failure(let error): return .failure(error)
    case .success(let receipt):
      var writer = JSONWriter(capacity: 160)
      writer.member("backendMsgId", receipt.id.text)
      writer.member("cursor", receipt.cursor.text)
      writer.member("durability", receipt.durability.description)
      if receipt.isDuplicate { writer.flag("duplicate", true) }
      return .success(members: writer.bytes)
    }
  }
}
