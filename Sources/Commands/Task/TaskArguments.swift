import ArgumentParser
import ParleyCoordination
import ParleyMCP
import ParleyRuntime

extension SessionOptions {
  /// Runs `body` with the participant's tasks, and ends following them.
  func runTasks(_ body: @escaping @Sendable (Room, Tasks) async throws -> Void) throws {
    try run { room in
      let tasks = Tasks(hub: room.hub)
      let result: Result<Void, any Error>
      do { result = .success(try await body(room, tasks)) } catch { result = .failure(error) }
      await tasks.stop()
      try result.get()
    }
  }
}

extension Output {
  /// Prints one task: a JSON object, or a line a person can read.
  func task(_ task: TaskRecord, at now: Int64) {
    value { $0.task(task, at: now) }
    func visible(_ text: String) -> String { VisibleText.visible(text, keepsLines: false) }
    var text = "\(task.label)  \(task.status(at: now).rawValue)  \(visible(task.title))"
    if let to = task.to { text += "  for \(visible(to.name))" }
    if let claim = task.heldClaim(at: now) { text += "  held by \(visible(claim.holder.handle.name))" }
    if let ending = task.ending {
      text += "  by \(visible(ending.by.handle.name))"
      if let words = ending.text, !words.isEmpty { text += ": \(visible(words))" }
    }
    line(text)
  }
}

/// Which task, on which topic, and what the caller holds of it.
struct TaskArguments: ParsableArguments {
  @Argument(help: "The task's id, or at least its first 4 digits.")
  var task: String

  @Option(help: "The topic it was posted on (default: any of the configured ones).")
  var topic: String?

  @Option(help: "The fence that claiming it printed.")
  var fence: String?

  /// Says something about the task and prints what became of it.
  func update(_ update: TaskUpdate, _ session: SessionOptions) throws {
    let (name, topic, fence) = (task, topic.map { Topic($0) }, fence)
    try session.runTasks { room, tasks in
      let task = try await tasks.update(name, on: topic, fence: fence, update)
      room.output.task(task, at: task.ending?.at ?? task.claim?.since ?? task.postedAt)
    }
  }
}
