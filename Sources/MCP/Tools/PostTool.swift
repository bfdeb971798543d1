import ParleyRuntime

/// `parley_post`: stores a message.
package struct PostTool: Tool {
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

  package func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    await Posting.call(arguments, in: context)
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

  static func call(_ json: JSONSlice, in context: CallContext) async -> ToolOutcome {
    // Half of a surrogate pair is no Unicode text: it could not be stored as it came.
    if json.hasLoneSurrogate {
      return .failure(
        .badArgument(name: "arguments", reason: "must not contain half of a surrogate pair (\\ud800 to \\udfff)"))
    }
    do throws(HubError) {
      let receipt = try await context.hub.post(try request(ToolArguments(json)))
      var writer = JSONWriter(capacity: 160)
      writer.member("backendMsgId", receipt.id.text)
      writer.member("cursor", receipt.cursor.text)
      writer.member("durability", receipt.durability.description)
      if receipt.isDuplicate { writer.flag("duplicate", true) }
      return .success(members: writer.bytes)
    } catch {
      return .failure(error)
    }
  }

  private static func request(_ arguments: ToolArguments) throws(HubError) -> PostRequest {
    guard let topic = try arguments.text("topic") else { throw .badArgument(name: "topic", reason: "is required") }
    guard let content = try arguments.text("content") else {
      throw .badArgument(name: "content", reason: "is required")
    }
    return PostRequest(
      topic: Topic(topic), content: content, inReplyTo: try arguments.text("in_reply_to").map(MessageID.init),
      to: try arguments.text("to").map(Handle.init), key: try arguments.text("key"),
      attributes: try arguments.textMap("attributes") ?? [:])
  }
}
