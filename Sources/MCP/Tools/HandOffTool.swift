import ParleyCoordination
import ParleyRuntime

/// `parley_handoff`: writes down what whoever comes next needs, or gives what was written, and where things stand.
package struct HandOffTool: Tool {
  package let name = "parley_handoff"
  private static let defaultLimit = 10

  package init() {}

  package func definition(for hub: Hub.Setup) -> String {
    let list: JSONValue = ["type": "array"]
    return ToolDefinition(
      name: name, title: "Hand off",
      description: "Start here: who is there, your mark, latest summary, your tasks, last messages of `topic`, short. "
        + "With `summary`: write one down for `scope` (a handle) or all.",
      effects: .init(),
      input: [
        "topic": Schema.string("Default: your first"), "summary": Schema.string, "scope": Schema.string,
        "limit": Schema.integer(atLeast: 1), "max_bytes": Schema.integer(atLeast: 1),
      ],
      output: [
        "topic": Schema.string, "mark": Schema.string, "here": list, "summary": Schema.object, "tasks": list,
        "messages": list, "nextCursor": Schema.string, "cut": list, "backendMsgId": Schema.string,
        "cursor": Schema.string, "durability": Schema.string,
      ],
      outputRequired: ["topic"]
    ).text
  }

  package func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    do throws(HubError) {
      let arguments = ToolArguments(arguments)
      let topic = try await Self.topic(arguments, in: context.hub)
      var writer = JSONWriter(capacity: 4096)
      writer.member("topic", topic.name)
      if let text = try arguments.text("summary") {
        let scope = try arguments.text("scope").flatMap { $0 == "all" ? nil : Handle($0) }
        let receipt = try await context.coordination.summaries.write(text, scope: scope, on: topic)
        writer.receipt(receipt)
        return .success(members: writer.bytes)
      }
      let limit = try arguments.integer("limit", atLeast: 1) ?? Self.defaultLimit
      let bytes = try arguments.integer("max_bytes", atLeast: 1) ?? OrientationText.defaultBytes
      let orientation = try await context.coordination.orientation(on: topic, limit: limit, in: context.hub)
      OrientationText(orientation, bytes: bytes).write(into: &writer)
      return .success(members: writer.bytes)
    } catch {
      return .failure(error)
    }
  }

  private static func topic(_ arguments: ToolArguments, in hub: Hub) async throws(HubError) -> Topic {
    if try arguments.text("topic") != nil { return try await arguments.topic(in: hub) }
    guard let first = hub.setup.topics.first else { throw .badArgument(name: "topic", reason: "is required") }
    return first
  }
}
