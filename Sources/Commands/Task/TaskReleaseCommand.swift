import ArgumentParser
import ParleyCoordination
import ParleyRuntime

/// `parley task release`.
struct TaskReleaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "release", abstract: "Give a task back.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Argument(help: "The reason.")
  var text: [String] = []

  func run() throws { try target.update(.release(reason: text.joined(separator: " ")), session) }
}
