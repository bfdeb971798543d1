import ParleyRuntime

/// One entry of `tools/list`, in the members' usual order.
struct ToolDefinition {
  /// What a tool does to the world, for clients that ask before they call.
  struct Effects {
    /// Nothing is changed anywhere.
    var readsOnly = false
    /// A second call with the same arguments adds nothing.
    var isIdempotent = false
    /// Texts of other parties come in, or ours go out to them.
    var reachesOthers = true
  }

  var name: String
  /// Nil where the tool's own system knows none.
  var title: String?
  var description: String
  var effects: Effects
  /// The properties of the arguments and of the result, as JSON Schema (2020-12).
  var input: JSONObject
  var inputRequired: [String] = []
  /// Nil where results have no shape that is promised.
  var output: JSONObject?
  var outputRequired: [String] = []

  /// The entry as JSON. Unknown arguments are ignored by us; `additionalProperties` lets clients find mistyped ones.
  var text: String {
    let annotations: JSONValue = [
      "readOnlyHint": .bool(effects.readsOnly), "destructiveHint": false,
      "idempotentHint": .bool(effects.isIdempotent), "openWorldHint": .bool(effects.reachesOthers),
    ]
    var inputSchema: JSONObject = ["type": "object", "properties": .object(input)]
    if !inputRequired.isEmpty { inputSchema["required"] = .array(inputRequired.map(JSONValue.string)) }
    inputSchema["additionalProperties"] = false
    var entry: JSONObject = ["name": .string(name)]
    if let title { entry["title"] = .string(title) }
    entry["description"] = .string(description)
    entry["inputSchema"] = .object(inputSchema)
    if var output {
      // Every result carries the unread counts; see `UnreadRider`.
      output["unread"] = Schema.object
      entry["outputSchema"] = [
        "type": "object", "properties": .object(output), "required": .array(outputRequired.map(JSONValue.string)),
      ]
    }
    entry["annotations"] = annotations
    return JSONValue.object(entry).text
  }
}

/// The parts of schemas that several tools share.
enum Schema {
  static let string: JSONValue = ["type": "string"]
  static let integer: JSONValue = ["type": "integer"]
  static let boolean: JSONValue = ["type": "boolean"]
  static let strings: JSONValue = ["type": "array", "items": string]
  static let object: JSONValue = ["type": "object"]

  static func string(_ description: String) -> JSONValue { ["type": "string", "description": .string(description)] }
  static func boolean(_ description: String) -> JSONValue { ["type": "boolean", "description": .string(description)] }

  static func integer(atLeast lowest: Int64, _ description: String? = nil) -> JSONValue {
    var schema: JSONObject = ["type": "integer", "minimum": .int(lowest)]
    if let description { schema["description"] = .string(description) }
    return .object(schema)
  }

  static let messages: JSONValue = ["type": "array", "items": message]

  private static let message: JSONValue = [
    "type": "object",
    "properties": [
      "topic": string, "senderHandle": string, "content": string, "timestamp": string, "backendMsgId": string,
      "cursor": string, "mentions": strings, "inReplyTo": string, "to": string, "account": string,
      "provenance": ["enum": ["verified", "claimed"]], "attributes": object, "kind": string, "late": boolean,
      "cutFrom": integer,
    ],
    "required": [
      "topic", "senderHandle", "content", "timestamp", "backendMsgId", "cursor", "mentions", "provenance",
    ],
  ]

  static let gap: JSONValue = [
    "type": "object",
    "properties": ["from": string, "to": string, "reason": string, "certain": boolean],
  ]

  /// The argument `topic`: closed where the configured topics are all there is, and few enough to be listed.
  static func topic(of hub: Hub.Setup) -> JSONValue {
    guard hub.postPatterns.isEmpty, TopicNames.fit(hub.topics) else { return string }
    return ["type": "string", "enum": .array(hub.topics.map { .string($0.name) })]
  }
}

/// Names the configured topics in descriptions, as far as there is room for them in every client's context.
enum TopicNames {
  /// Bytes of names that one description or enum has room for, and what is named where not all fit.
  private static let room = 240
  private static let excerpt = 50

  /// Whether all names fit.
  static func fit(_ topics: [Topic]) -> Bool { topics.reduce(0) { $0 + $1.name.utf8.count + 4 } <= room }

  /// ` Configured topics: "a", "b".`, with the patterns where there are any.
  static func sentence(_ label: String, _ hub: Hub.Setup, withPatterns: Bool = true) -> String {
    var left = fit(hub.topics) ? room : excerpt
    let named = hub.topics.prefix { topic in
      left -= topic.name.utf8.count + 4
      return left >= 0
    }
    var text = " \(label) topics: " + named.map { quoted($0.name) }.joined(separator: ", ")
    if named.count < hub.topics.count { text += " and \(hub.topics.count - named.count) more (parley_status)" }
    text += "."
    guard withPatterns, !hub.postPatterns.isEmpty else { return text }
    left = excerpt
    let patterns = hub.postPatterns.prefix { pattern in
      left -= pattern.utf8.count + 4
      return left >= 0
    }
    text +=
      " Also allowed (post/fetch only): any topic fully matching regex " + patterns.map(quoted).joined(separator: ", ")
    return text + (patterns.count < hub.postPatterns.count ? " and others." : ".")
  }

  /// The text as a JSON string, so that no name can end its own quotes.
  static func quoted(_ text: String) -> String { JSONValue.string(text).text }
}
