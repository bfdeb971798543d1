import ArgumentParser
import Glibc

/// `parley completions`: the shell's completion script.
struct CompletionsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "completions", abstract: "Print a completion script for bash, zsh or fish.")

  @Argument(help: "bash, zsh or fish.")
  var shell: String

  func run() throws {
    guard let shell = CompletionShell(rawValue: shell) else {
      throw ValidationError("No completions for '\(shell)': bash, zsh or fish.")
    }
    Output.write(RootCommand.completionScript(for: shell) + "\n", to: STDOUT_FILENO)
  }
}
