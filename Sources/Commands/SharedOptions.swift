import ArgumentParser
import ParleyConfiguration
import ParleyRuntime

/// Options that every command takes.
struct SharedOptions: ParsableArguments {
  @Option(name: [.short, .long], help: "The configuration file (default: $PARLEY_CONFIG, then parley.config.yaml).")
  var config: String?

  @Flag(help: "Print JSON: one object a line on standard output, errors on standard error.")
  var json = false

  @Option(
    name: .customLong("log-level"),
    help: "Log to standard error from this level: trace, debug, info, notice, warning, error (default: $PARLEY_LOG).")
  var logLevel: String?

  var output: Output { Output(isJSON: json) }

  /// What the variable of that system's server says, where it is a level of ours.
  private static var backchannelLevel: String? {
    Surroundings.process["BACKCHANNEL_MCP_LOG"].map { $0.lowercased() }.flatMap { Log.parse($0) == nil ? nil : $0 }
  }

  /// Sets the log from the option, else from the environment, else from the configuration; an unknown one is told.
  func configureLog(configured: String?, default level: Log.Level) throws {
    Log.configure(level: level, json: false)
    guard let setting = logLevel ?? Surroundings.process["PARLEY_LOG"] ?? configured ?? Self.backchannelLevel else {
      return
    }
    guard let parsed = Log.parse(setting) else {
      throw ValidationError("'\(setting)' is no log level: trace, debug, info, notice, warning or error, then ',json'.")
    }
    Log.configure(level: parsed.level, json: parsed.json)
  }
}

/// Options of commands that use the backend once and end.
struct SessionOptions: ParsableArguments {
  @OptionGroup var shared: SharedOptions

  @Option(name: .customLong("as"), help: "Act as this handle, which identity.may_post_as must name.")
  var handle: String?

  @Option(help: "Give up on an unreachable backend after this many seconds.")
  var patience: Double = 10

  func validate() throws {
    guard patience > 0, patience <= 86_400 else {
      throw ValidationError("--patience must be more than 0 and at most 86400 seconds.")
    }
  }
}

extension ParsableCommand {
  /// Refuses seconds that no clock can count.
  static func check(timeout: Double?) throws {
    // In this form NaN fails too.
    if let timeout, !(timeout > 0 && timeout <= 31_536_000) {
      throw ValidationError("--timeout must be more than 0 and at most a year (31536000).")
    }
  }
}
