import ArgumentParser
import ParleyConfiguration
import ParleyCoordination
import ParleyMCP
import ParleyRuntime

/// `parley serve`: the MCP server over standard input and output; what a coding agent starts.
struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Serve MCP over standard input and output (the default).",
    discussion: """
      Without a configuration file: a SQLite file for this project under $XDG_STATE_HOME/parley, the folder's name as \
      handle, topic "general", live push on. Ends with its input, with SIGINT, SIGTERM or SIGHUP, and with its parent.
      """)

  @OptionGroup var shared: SharedOptions

  func run() throws {
    let loaded = try Launch.load(shared, leasesHandle: true)
    let configuration = loaded.configuration
    try shared.configureLog(configured: configuration.logLevel, default: .notice)
    for warning in loaded.warnings { Log.write(.warning, "configuration", [("problem", "\(warning)")]) }
    let loop = try EventLoop(name: "parley")
    let supervisor = Supervisor(loop: loop, backend: try Launch.makeBackend(configuration, on: loop))
    let server = try StdioServer(
      hub: Launch.setup(configuration, author: try Launch.author(of: configuration)), supervisor: supervisor,
      offer: .standard(configuration.tools),
      options: Self.options(of: loaded))
    let ended = try loop.run { () async -> SystemError? in
      await Log.follow(supervisor)
      Log.write(
        .notice,
        "bridge up — handle=\(configuration.identity.handle) "
          + "topics=[\(configuration.topics.map(\.name).joined(separator: ", "))] live_push=\(configuration.livePush.isEnabled)"
      )
      do throws(SystemError) {
        try await server.run()
        return nil
      } catch { return error }
    }
    // The lease on a generated handle lasts as long as the process.
    withExtendedLifetime(loaded) {}
    if let ended { throw ended }
  }

  private static func presence(of configuration: Configuration) -> Presence.Options? {
    guard configuration.presence.isEnabled else { return nil }
    var options = Presence.Options(
      heartbeat: configuration.presence.heartbeat, lifetime: configuration.presence.lifetime)
    options.party = PresenceRecord.Party(rawValue: configuration.presence.kind) ?? .agent
    options.status = configuration.presence.status
    options.isExclusive = configuration.identity.isExclusive
    if configuration.livePush.isEnabled { options.listens = configuration.livePush.mentionFilter ? .mentions : .all }
    return options
  }

  private static func options(of loaded: LoadedConfiguration) -> StdioServer.Options {
    let configuration = loaded.configuration
    var options = StdioServer.Options(version: ParleyVersion.text)
    if configuration.livePush.isEnabled {
      let senders = configuration.livePush.from.isEmpty ? nil : Set(configuration.livePush.from)
      options.livePush = .init(mentionFilter: configuration.livePush.mentionFilter, from: senders)
    }
    options.catchUp = .init(onStart: configuration.catchUp.onStart, limit: configuration.catchUp.limit)
    options.importMarks = ReadState.load(configuration.statePath)
    options.presence = presence(of: configuration)
    return options
  }
}
