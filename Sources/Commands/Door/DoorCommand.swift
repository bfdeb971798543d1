import ArgumentParser
import ParleyConfiguration
import ParleyRuntime

/// What the commands about the door share: the configuration's store, and the executable that knows it.
struct DoorOptions: ParsableArguments {
  @OptionGroup var shared: SharedOptions

  /// The keys and the store's file; becomes the executable that carries the door.
  func open() throws -> (keys: DoorKeys, configuration: Configuration, output: Output) {
    try Launch.becomeDoorKeeper()
    let loaded = try Launch.load(shared)
    try shared.configureLog(configured: loaded.configuration.logLevel, default: .warning)
    for warning in loaded.warnings { shared.output.note("warning: \(warning)") }
    guard let door = Launch.carried.door else {
      throw CommandFailure(.failed, code: "missing", "this program does not carry the HTTP door")
    }
    return (door.keys, loaded.configuration, shared.output)
  }

  /// `2026-11-21`, of milliseconds since 1970.
  static func day(_ milliseconds: Int64) -> String { String(Timestamp.text(milliseconds).prefix(10)) }
}

/// A time as people write it: `90d`, `12h`, `30m`, `never`.
struct Lifetime: ExpressibleByArgument {
  /// Nil for one that does not end.
  let duration: Duration?

  init?(argument: String) {
    if argument == "never" {
      duration = nil
      return
    }
    let units: [Character: Int] = ["m": 60, "h": 3_600, "d": 86_400]
    guard let unit = argument.last.flatMap({ units[$0] }), let count = Int(argument.dropLast()),
      (1...100_000).contains(count)
    else { return nil }
    duration = .seconds(count * unit)
  }
}
