import ParleyHTTPServer
import ParleyMCP
import ParleyRuntime

/// One thing that scripts can ask for under `/v1`: where, how, by what right, and how it is described.
struct APIOperation: Sendable {
  enum Name: String, Sendable {
    case document, listTopics, readMessages, postMessage, listTasks, postTask, claimTask, updateTask, listUsers, inject
    case issueKey
  }

  let name: Name
  let method: HTTPMethod
  let path: String
  let summary: String
  /// Nil where no token is asked for.
  let scope: Scope?
  var parameters: [APIParameter] = []
  /// The tool that does it, with its schemas.
  var tool: (any Tool)?
  /// The result where no tool describes it, as JSON Schema.
  var result: JSONValue = ["type": "object"]
  /// The status of what went well.
  var success = 200
  /// The body where no tool describes it: its type, and its JSON Schema.
  var body: (type: String, schema: JSONValue)?

  /// `issuesKeys`: whoever asks gets a key.
  static func all(for limits: Limits, issuesKeys: Bool) -> [APIOperation] {
    let topic = APIParameter(name: "topic", kind: .text, isRequired: true, documentation: "The topic's name.")
    return [
      APIOperation(
        name: .document, method: .get, path: "/v1/openapi.json", summary: "This document", scope: .read),
      APIOperation(
        name: .listTopics, method: .get, path: "/v1/topics", summary: "The topics, and what is unread in them",
        scope: .read, result: objects("topics")),
      APIOperation(
        name: .readMessages, method: .get, path: "/v1/messages",
        summary: "Messages of a topic, oldest first: the newest, or those after or before a place", scope: .read,
        parameters: [topic] + reading(limits), result: resultSchema(of: FetchRecentTool())),
      APIOperation(
        name: .postMessage, method: .post, path: "/v1/messages",
        summary: "Stores a message; with a key, a repeated request stores it once", scope: .post, tool: PostTool()),
      APIOperation(
        name: .listTasks, method: .get, path: "/v1/tasks",
        summary: "The tasks of a topic: open and held ones, and those that ended lately", scope: .read,
        parameters: [
          topic,
          APIParameter(name: "ended", kind: .integer(0...1_000), documentation: "So many that ended; default 50."),
        ], result: objects("tasks")),
      APIOperation(
        name: .postTask, method: .post, path: "/v1/tasks", summary: "Hands work over: exactly one takes it",
        scope: .post, tool: TaskPostTool()),
      APIOperation(
        name: .claimTask, method: .post, path: "/v1/tasks/claim", summary: "Takes a task", scope: .post,
        tool: TaskClaimTool()),
      APIOperation(
        name: .updateTask, method: .post, path: "/v1/tasks/update",
        summary: "Extends, finishes, fails, gives back or cancels a task", scope: .post, tool: TaskUpdateTool()),
      APIOperation(
        name: .listUsers, method: .get, path: "/v1/users", summary: "Who can be reached", scope: .read,
        parameters: [
          APIParameter(name: "filter", kind: .text, documentation: "A pattern of handles: * and ?."),
          APIParameter(name: "topic", kind: .text, documentation: "Those on this topic."),
          APIParameter(name: "online_only", kind: .flag, documentation: "Those who are here now."),
          APIParameter(name: "limit", kind: .integer(1...10_000), documentation: "At most so many."),
        ], result: resultSchema(of: ListUsersTool())),
      APIOperation(
        name: .inject, method: .post, path: "/v1/inject",
        summary: "Stores the whole body as the text of a message; from this machine alone", scope: .post,
        parameters: [
          APIParameter(name: "topic", kind: .text, documentation: "The topic; the first one unless given."),
          APIParameter(name: "source", kind: .text, documentation: "Where it comes from, at most 128 bytes."),
          APIParameter(name: "severity", kind: .choice(Severity.names), documentation: "How bad it is."),
        ], result: resultSchema(of: PostTool()), body: ("text/plain", ["type": "string"])),
    ] + (issuesKeys ? [KeyDesk.operation] : [])
  }

  private static func reading(_ limits: Limits) -> [APIParameter] {
    [
      APIParameter(name: "since", kind: .text, documentation: "A cursor: messages after it."),
      APIParameter(name: "before", kind: .text, documentation: "A cursor: messages before it."),
      APIParameter(
        name: "limit", kind: .integer(1...limits.pageMessages), documentation: "At most so many; default 100."),
      APIParameter(
        name: "wait", kind: .integer(0...Int(limits.wait.milliseconds / 1_000)),
        documentation: "Seconds to wait for the first message where there is none."),
      APIParameter(
        name: "max_bytes", kind: .integer(4_096...(4 << 20)),
        documentation: "How large the answer may be; default \(limits.resultBytes)."),
    ]
  }

  private static func objects(_ name: String) -> JSONValue {
    [
      "type": "object", "required": [.string(name)],
      "properties": .object([name: ["type": "array", "items": ["type": "object"]]]),
    ]
  }

  /// What a tool promises of its results. The same for every participant, so any will do.
  static func resultSchema(of tool: any Tool) -> JSONValue {
    let nobody = Hub.Setup(author: Author(handle: Handle("nobody"), instance: ""), topics: [])
    return schema("outputSchema", of: tool, for: nobody)
  }

  /// A schema of a tool's own definition.
  static func schema(_ name: String, of tool: any Tool, for hub: Hub.Setup) -> JSONValue {
    (try? JSONValue(parsing: tool.definition(for: hub)))?[name] ?? ["type": "object"]
  }
}

/// How bad something is that a program reports.
package enum Severity: String, CaseIterable, Sendable {
  case debug, info, warning, error, critical

  package static let names = allCases.map(\.rawValue)
}
