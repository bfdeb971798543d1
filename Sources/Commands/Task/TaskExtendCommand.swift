import ArgumentParser
import ParleyCoordination
import ParleyRuntime

/// `parley task extend`.
struct TaskExtendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "extend", abstract: "Hold a task longer.")

  @OptionGroup var session: SessionOptions
  @OptionGroup var target: TaskArguments

  @Option(help: "It is yours for so many seconds from now (30 to 86400).")
  var lease = 600

  func run() throws { try target.update(.extend(.seconds(lease)), session) }
}
