import ArgumentParser
import ParleyConfiguration
import ParleyRuntime

/// `parley config`: checks and shows the configuration.
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Check or show the configuration.",
    subcommands: [CheckCommand.self, ShowCommand.self])

  /// `parley config check`.
  struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "check", abstract: "Tell every problem of the configuration at once.")

    @OptionGroup var shared: SharedOptions

    func run() throws {
      let output = shared.output
      do throws(ConfigurationError) {
        let loaded = try Launch.load(shared)
        for line in loaded.checkLines { output.line(line) }
        write([], loaded.warnings, loaded.path, to: output)
      } catch {
        for line in error.checkLines { output.line(line) }
        write(error.problems, error.warnings, error.problems.first?.file, to: output)
        throw QuietFailure(status: .configuration)
      }
    }

    private func write(
      _ problems: [ConfigurationProblem], _ warnings: [ConfigurationProblem], _ path: String?, to output: Output
    ) {
      output.object { writer in
        if let path { writer.member("path", path) }
        writer.key("ok")
        writer.bool(problems.isEmpty)
        for (name, list) in [("problems", problems), ("warnings", warnings)] {
          writer.key(name)
          writer.beginArray()
          for problem in list { writer.object(of: problem) }
          writer.endArray()
        }
      }
    }
  }

  /// `parley config show`.
  struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Print the configuration as it takes effect, secrets redacted.")

    @OptionGroup var shared: SharedOptions

    func run() throws {
      let loaded = try Launch.load(shared)
      let text = loaded.shown
      shared.output.line(text)
      shared.output.object { writer in
        if let path = loaded.path { writer.member("path", path) }
        writer.member("yaml", text)
      }
    }
  }
}

extension JSONWriter {
  fileprivate mutating func object(of problem: ConfigurationProblem) {
    beginObject()
    if let line = problem.line {
      key("line")
      int(line)
    }
    member("key", problem.keyPath)
    member("message", problem.message)
    if let allowed = problem.allowed { member("allowed", allowed) }
    if let suggestion = problem.suggestion { member("suggestion", suggestion) }
    endObject()
  }
}
