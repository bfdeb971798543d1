import ArgumentParser
import ParleyCoordination
import ParleyRuntime

/// `parley task list`.
struct TaskListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the tasks of a topic: open and held ones, and those that ended lately.")

  @OptionGroup var session: SessionOptions

  @Argument(help: "The topics (default: all configured ones).")
  var topics: [String] = []

  @Option(help: "At most so many of those that ended.")
  var ended = 10

  func validate() throws {
    guard (0...10_000).contains(ended) else { throw ValidationError("--ended must be 0 to 10000.") }
  }

  func run() throws {
    let (named, ended) = (topics.map { Topic($0) }, ended)
    try session.runTasks { room, tasks in
      for topic in named.isEmpty ? room.hub.setup.topics : named {
        let board = try await tasks.board(of: topic, ended: ended)
        for task in board.live + board.ended { room.output.task(task, at: board.now) }
      }
    }
  }
}
