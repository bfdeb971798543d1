import ArgumentParser
import ParleyCoordination
import ParleyMCP
import ParleyRuntime

/// `parley task post`.
struct TaskPostCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "post", abstract: "Post a task; prints its id.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topic to post it on.")
  var topic: String

  @Argument(help: "What it is, in one line.")
  var title: String

  @Option(help: "What is to be done, as long as a message may be.")
  var body: String?

  @Option(help: "The only handle that may take it.")
  var to: String?

  @Option(help: "For so many seconds it can be done (default: a day; 60 to 2592000).")
  var ttl = 86_400

  @Option(help: "Makes a retry safe: the same key with the same task is one task.")
  var key: String?

  func run() throws {
    let request = TaskPost(
      topic: Topic(topic), title: title, body: body, to: to.map { Handle($0) }, lifetime: .seconds(ttl), key: key)
    try session.runTasks { room, tasks in
      let (task, _) = try await tasks.post(request)
      room.output.line(task.id.text)
      room.output.value { $0.task(task, at: task.postedAt) }
    }
  }
}
