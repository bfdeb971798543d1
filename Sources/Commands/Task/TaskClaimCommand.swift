import ArgumentParser
import ParleyCoordination
import ParleyMCP
import ParleyRuntime

/// `parley task claim`.
struct TaskClaimCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "claim", abstract: "Take the oldest open task, or one; prints it with its fence.",
    discussion: "Ends with code 4 when no task is open, or none was within the time.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topic to take the oldest open task of.")
  var topic: String?

  @Option(help: "Take this task.")
  var task: String?

  @Option(help: "It is yours for so many seconds (30 to 86400).")
  var lease = 600

  @Option(help: "Wait so many seconds for a task of the topic to be open (default: do not wait).")
  var timeout: Double?

  func validate() throws {
    guard topic != nil || task != nil else { throw ValidationError("Name a topic, or a task with --task.") }
    try Self.check(timeout: timeout)
    guard timeout == nil || task == nil else { throw ValidationError("--timeout is for the next task of a topic.") }
  }

  func run() throws {
    let (topic, name, lease, timeout) = (topic.map { Topic($0) }, task, Duration.seconds(lease), timeout)
    try session.runTasks { room, tasks in
      var task: TaskRecord?
      if let name {
        task = try await tasks.claim(name, on: topic, lease: lease)
      } else if let topic {
        let deadline = timeout.map { room.hub.loop.now.advanced(by: .milliseconds(Int64($0 * 1000))) }
        task = try await tasks.claimNext(on: topic, lease: lease, until: deadline)
      }
      guard let task, let claim = task.claim else {
        throw CommandFailure(.nothing, code: "noTask", "no task is open")
      }
      room.output.line("\(task.id.text) \(claim.fence.text)")
      room.output.line(VisibleText.visible(task.title, keepsLines: false))
      if let body = task.body { room.output.line(VisibleText.visible(body)) }
      room.output.value { $0.task(task, at: claim.since) }
    }
  }
}
