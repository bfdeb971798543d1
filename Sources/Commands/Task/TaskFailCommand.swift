import ArgumentParser
import ParleyCoordination
import ParleyRuntime

/// `parley task fail`.
struct TaskFailCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "fail", abstract: "Say that a task cannot be done.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Argument(help: "The reason.")
  var text: [String] = []

  func run() throws { try target.update(.fail(reason: text.joined(separator: " ")), session) }
}
