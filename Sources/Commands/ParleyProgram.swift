import ArgumentParser
import Glibc
import ParleyConfiguration
import ParleyRuntime

/// The program: an executable names its backends and hands over.
public enum ParleyProgram {
  /// Runs the command line and ends the process with its exit code.
  ///
  /// A configuration that names a backend that is not among `plugins` makes the process its `sibling`, the executable
  /// that carries more; nil where there is none. So does `serve --http` where there is no `door`.
  public static func main(plugins: [BackendPlugin], sibling: String? = nil, door: HTTPDoor? = nil) -> Never {
    // Hosts that ignore it pass that on, and `parley tail | head` would never notice that its reader has gone.
    signal(SIGPIPE, SIG_DFL)
    let arguments = Array(CommandLine.arguments.dropFirst())
    // Read once from the raw arguments too, so that a failure to parse them is told in the form that was asked for.
    let output = Output(isJSON: arguments.contains("--json"))
    do {
      Launch.carried = Launch.Carried(
        plugins: plugins, sibling: try Handover.wasEntered() ? nil : sibling, door: door)
      var command = try RootCommand.parseAsRoot(arguments)
      try command.run()
      exit(ExitStatus.ok.rawValue)
    } catch {
      exit(report(error, to: output).rawValue)
    }
  }

  /// Tells an error in the one form all commands share, and says with which code to end.
  private static func report(_ error: any Error, to output: Output) -> ExitStatus {
    if let failure = error as? QuietFailure { return failure.status }
    if let error = error as? HubError {
      output.error(error.code, error.description)
      return .of(error)
    }
    let isOurs = error is CommandFailure || error is ConfigurationError || error is SeamError || error is SystemError
    guard !isOurs else {
      output.error(code(of: error), "\(error)")
      return .of(error)
    }
    let text = RootCommand.fullMessage(for: error)
    guard RootCommand.exitCode(for: error) != .success else {
      Output.write(text + "\n", to: STDOUT_FILENO)
      return .ok
    }
    if output.isJSON { output.error("usage", text) } else { Output.write(text + "\n", to: STDERR_FILENO) }
    return RootCommand.exitCode(for: error) == .validationFailure ? .usage : .failed
  }

  private static func code(of error: any Error) -> String {
    switch error {
    case let error as CommandFailure: error.code
    case is ConfigurationError: "configuration"
    case let error as SeamError: error.code.name
    default: "failed"
    }
  }
}

/// A failure that was already told.
struct QuietFailure: Error {
  let status: ExitStatus
}

/// `parley`.
struct RootCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "parley",
    abstract: "One shared, durable conversation for people, chat bots and coding agents.",
    discussion: """
      Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration, 4 nothing came within the time, 5 backend unavailable, \
      6 not allowed, 7 a task failed, 8 a task expired.
      """,
    version: ParleyVersion.text,
    subcommands: [
      ServeCommand.self, PostCommand.self, FetchCommand.self, WaitCommand.self, TailCommand.self, TopicsCommand.self,
      UsersCommand.self, MonitorCommand.self, TaskCommand.self, ConversationCommand.self, HandOffCommand.self,
      ApproveCommand.self,
      UnregisterCommand.self,
      OwnerCommand.self, TokenCommand.self, ClientsCommand.self, ConfigCommand.self, DoctorCommand.self,
      DemoCommand.self, BenchCommand.self, CompletionsCommand.self,
      VersionCommand.self, ProbeCommand.self,
    ],
    defaultSubcommand: ServeCommand.self)
}
