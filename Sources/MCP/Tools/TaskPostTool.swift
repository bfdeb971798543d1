import ParleyCoordination
import ParleyRuntime

/// `parley_task_post`: puts a task where exactly one will take it.
package struct TaskPostTool: Tool {
  package let name = "parley_task_post"

  package init() {}

  package func definition(for hub: Hub.Setup) -> String {
    ToolDefinition(
      name: name, title: "Post a task",
      description: "Hand work over: exactly one participant takes it. Wait for the result with parley_wait (`tasks`).",
      effects: .init(),
      input: [
        "topic": Schema.topic(of: hub),
        "title": Schema.string("One line"),
        "body": Schema.string,
        "to": Schema.string("The only handle that may take it"),
        "ttl_s": Schema.integer(atLeast: 60, "Default a day, most 30"),
        "key": Schema.string("Makes a retry safe"),
      ],
      inputRequired: ["topic", "title"],
      output: ["task": Schema.object, "duplicate": Schema.boolean], outputRequired: ["task"]
    ).text
  }

  package nonisolated(nonsending) func call(_ arguments: JSONSlice, in context: CallContext) async -> ToolOutcome {
    do throws(HubError) {
      let arguments = ToolArguments(arguments)
      let topic = try await arguments.topic(in: context.hub)
      guard let title = try arguments.text("title") else { throw .badArgument(name: "title", reason: "is required") }
      var request = TaskPost(topic: topic, title: title)
      request.body = try arguments.text("body").flatMap { $0.isEmpty ? nil : $0 }
      request.to = try arguments.text("to").map(Handle.init)
      request.key = try arguments.text("key")
      if let seconds = try arguments.seconds("ttl_s") { request.lifetime = seconds }
      let (task, isDuplicate) = try await context.tasks.post(request)
      var writer = JSONWriter(capacity: 512)
      writer.key("task")
      writer.task(task, at: task.postedAt, withTexts: false)
      if isDuplicate { writer.member("duplicate", true) }
      return .success(members: writer.bytes)
    } catch {
      return .failure(error)
    }
  }
}
