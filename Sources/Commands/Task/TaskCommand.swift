import ArgumentParser

/// `parley task`: hand work over, take it, report on it.
struct TaskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "task", abstract: "Hand work over; exactly one takes it.",
    subcommands: [
      TaskPostCommand.self, TaskClaimCommand.self, TaskDoneCommand.self, TaskFailCommand.self, TaskReleaseCommand.self,
      TaskExtendCommand.self, TaskCancelCommand.self, TaskAwaitCommand.self, TaskListCommand.self,
    ])
}
