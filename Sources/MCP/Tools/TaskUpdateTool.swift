import ParleyCoordination
import ParleyRuntime

/// `parley_task_update`: what the holder, or the poster, says about a task.
package struct TaskUpdateTool: Tool {
  package let name = "parley_task_update"

  package init() {}

  package func definition(for hub: Hub.Setup) -> String {
    ToolDefinition(
      name: name, title: "Report on a task",
      description: "extend (`lease_s` from now), done (`text` is the result), fail (cannot be done), release (give "
        + "it back), with the claim's `fence`; cancel what you posted.",
      effects: .init(),
      input: [
        "task": Schema.string,
        "action": ["type": "string", "enum": .array(TaskUpdate.names.map(JSONValue.string))],
        "fence": Schema.string,
        "text": Schema.string("Result or reason"),
        "lease_s": Schema.integer(atLeast: 30),
        "topic": Schema.string,
      ],
      inputRequired: ["task", "action"],
      output: ["task": Schema.object], outputRequired: ["task"]
    ).text
  }

  package nonisolated(nonsending) func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    do throws(HubError) {
      let arguments = ToolArguments(arguments)
      guard let name = try arguments.text("task") else { throw .badArgument(name: "task", reason: "is required") }
      let topic = try arguments.text("topic") == nil ? nil : try await arguments.topic(in: context.hub)
      let update = try Self.update(arguments)
      let task = try await context.tasks.update(name, on: topic, fence: try arguments.text("fence"), update)
      var writer = JSONWriter(capacity: 512)
      writer.key("task")
      writer.task(task, at: task.ending?.at ?? task.claim?.since ?? task.postedAt, withTexts: false)
      return .success(members: writer.bytes)
    } catch {
      return .failure(error)
    }
  }

  private static func update(_ arguments: ToolArguments) throws(HubError) -> TaskUpdate {
    let text = try arguments.text("text") ?? ""
    switch try arguments.text("action") {
    case "extend": return .extend(try arguments.seconds("lease_s") ?? TaskUpdate.defaultLease)
    case "done": return .done(result: text)
    case "fail": return .fail(reason: text)
    case "release": return .release(reason: text)
    case "cancel": return .cancel(reason: text)
    default:
      throw .badArgument(name: "action", reason: "must be one of \(TaskUpdate.names.joined(separator: ", "))")
    }
  }
}
