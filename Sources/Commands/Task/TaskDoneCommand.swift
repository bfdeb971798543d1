import ArgumentParser
import ParleyCoordination
import ParleyRuntime

/// `parley task done`.
struct TaskDoneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "done", abstract: "Say that a task is done.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Argument(help: "The result.")
  var text: [String] = []

  func run() throws { try target.update(.done(result: text.joined(separator: " ")), session) }
}
