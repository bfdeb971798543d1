import ParleyCoordination
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
      effects: .init(), input: Self.input(topic: Schema.topic(of: hub)), inputRequired: Posting.required,
      output: Self.output, outputRequired: Posting.outputRequired
    ).text
  }

  private static func input(topic: JSONValue) -> JSONObject {
    var input = Posting.input(topic: topic)
    input["wait_for"] = ["enum": ["seen", "acted"], "description": "Wait until `to` has read it, or replied"]
    input["timeout_ms"] = Schema.integer
    return input
  }

  private static var output: JSONObject {
    var output = Posting.output
    output["receipt"] = Schema.string
    return output
  }

  package func repliesAtOnce(_ arguments: JSONSlice) -> Bool { arguments.member("wait_for") == nil }

  package func call(_ json: JSONSlice, in context: CallContext) async -> ToolOutcome {
    let arguments = ToolArguments(json)
    do throws(HubError) {
      guard let word = try arguments.text("wait_for") else { return await reply(to: json, in: context) }
      guard let stage = ReceiptStage(name: word), stage > .stored else {
        throw .badArgument(name: "wait_for", reason: "must be pushed, seen or acted")
      }
      let request = try Posting.checkedRequest(json, in: context)
      try Receipts.check(stage, for: request)
      let longest = context.hub.setup.limits.wait
      let timeout = min(try arguments.duration("timeout_ms") ?? longest, longest)
      let receipt = try await context.inbox.post(request)
      let deadline = context.hub.loop.now.advanced(by: timeout)
      let reached = try await context.reportingProgress(for: timeout, "waiting for \(stage.name)") {
        await context.coordination.receipts.wait(
          for: stage, of: receipt, on: request.topic, recipient: Receipts.recipient(of: request), until: deadline)
      }
      var writer = JSONWriter(capacity: 256)
      writer.receipt(receipt)
      writer.member("receipt", reached.name)
      return .success(members: writer.bytes)
    } catch {
      return .failure(error)
    }
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
      "in_reply_to": Schema.string("backendMsgId it answers"),
      "to": Schema.string("Notify this handle alone; all may read it"),
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
    do throws(HubError) {
      let request = try checkedRequest(json, in: context)
      context.inbox.assumeIsolated { inbox in inbox.submit(request) { reply($0.toolOutcome) } }
    } catch {
      reply(.failure(error))
    }
  }

  static func checkedRequest(_ json: JSONSlice, in context: CallContext) throws(HubError) -> PostRequest {
    // Half of a surrogate pair is no Unicode text: it could not be stored as it came.
    guard !json.hasLoneSurrogate else {
      throw .badArgument(name: "arguments", reason: "must not contain half of a surrogate pair (\\ud800 to \\udfff)")
    }
    let found = json.members(["topic", "content", "in_reply_to", "to", "key", "attributes"])
    guard let topic = try ToolArguments.text(found[0], "topic") else {
      throw .badArgument(name: "topic", reason: "is required")
    }
    guard let content = try ToolArguments.text(found[1], "content") else {
      throw .badArgument(name: "content", reason: "is required")
    }
    return PostRequest(
      topic: try TopicSpelling.topic(meantBy: topic, in: context.hub), content: content,
      inReplyTo: try ToolArguments.text(found[2], "in_reply_to").map(MessageID.init),
      to: try ToolArguments.text(found[3], "to").map(Handle.init), key: try ToolArguments.text(found[4], "key"),
      attributes: try ToolArguments.attributes(found[5], "attributes") ?? [:])
  }
}

extension Result<Receipt, HubError> {
  fileprivate var toolOutcome: ToolOutcome {
    switch self {
    case .failure(let error): return .failure(error)
    case .success(let receipt):
      var writer = JSONWriter(capacity: 160)
      writer.receipt(receipt)
      return .success(members: writer.bytes)
    }
  }
}

extension JSONWriter {
  /// Writes the members that say where and how a message was stored.
  package mutating func receipt(_ receipt: Receipt) {
    member(trusted: "backendMsgId", receipt.id.text)
    member(trusted: "cursor", receipt.cursor.text)
    member(trusted: "durability", receipt.durability.description)
    if receipt.isDuplicate { member("duplicate", true) }
  }
}
