import ArgumentParser
import ParleyCoordination
import ParleyRuntime

/// `parley task cancel`.
struct TaskCancelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "cancel", abstract: "Withdraw a task that you posted.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Argument(help: "The reason.")
  var text: [String] = []

  func run() throws { try target.update(.cancel(reason: text.joined(separator: " ")), session) }
}
