import ParleyConfiguration
import ParleyCoordination
import ParleyRuntime

/// What a one-shot command works with while it runs.
struct Room: Sendable {
  let hub: Hub
  let configuration: Configuration
  let output: Output

  /// The participant's read marks, folded from its own topic.
  func marks() async throws(HubError) -> ReadMarks {
    let marks = ReadMarks(hub: hub)
    try await marks.load()
    return marks
  }
}

extension SessionOptions {
  /// Loads the configuration, supervises the backend while `body` runs, and leaves nothing behind.
  func run(_ body: @escaping @Sendable (Room) async throws -> Void) throws {
    try run(Launch.load(shared), body)
  }

  /// The same with a configuration that is loaded already: a command that reads its input loads before it reads.
  /// `isPerson` where a person types what is posted, whatever the configuration says of the handle.
  func run(
    _ loaded: LoadedConfiguration, isPerson: Bool = false, _ body: @escaping @Sendable (Room) async throws -> Void
  ) throws {
    let output = shared.output
    try shared.configureLog(configured: loaded.configuration.logLevel, default: .error)
    for warning in loaded.warnings { output.note("warning: \(warning)") }
    let author = try Launch.author(of: loaded.configuration, as: handle)
    let loop = try EventLoop(name: "parley")
    let backend = try Launch.makeBackend(loaded.configuration, on: loop)
    var setup = Launch.setup(loaded.configuration, author: author, patience: .milliseconds(Int64(patience * 1000)))
    setup.isPerson = setup.isPerson || isPerson
    let configuration = loaded.configuration
    let failure = try loop.run { [setup] () async -> (any Error)? in
      let supervisor = Supervisor(loop: loop, backend: backend)
      await Log.follow(supervisor)
      let life = loop.spawn { await supervisor.run() }
      var failure: (any Error)?
      do {
        try await body(
          Room(hub: try Hub(setup: setup, supervisor: supervisor), configuration: configuration, output: output))
      } catch {
        failure = error
      }
      life.cancel()
      await life.value
      return failure
    }
    if let failure { throw failure }
  }
}
