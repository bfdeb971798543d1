import ArgumentParser
import ParleyConfiguration
import ParleyCoordination
import ParleyMCP
import ParleyRuntime

/// `parley serve`: the MCP server over standard input and output, what a coding agent starts; or over HTTP.
struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Serve MCP over standard input and output (the default), or over HTTP.",
    discussion: """
      Without a configuration file: a SQLite file for this project under $XDG_STATE_HOME/parley, the folder's name as \
      handle, topic "general", live push on. Ends with its input, with SIGINT, SIGTERM or SIGHUP, and with its parent.

      With --http it listens where http.listen says (127.0.0.1:8808), asks for a token or lets clients log in, and ends with SIGINT or SIGTERM.
      """)

  @OptionGroup var shared: SharedOptions

  @Flag(help: "Serve MCP over HTTP, as the block http of the configuration says.")
  var http = false

  @Option(help: "Offer these tool sets of other systems too, separated by commas, as compat of the configuration does.")
  var compat: String?

  private var sets: [String] { compat?.split(separator: ",").map(String.init) ?? [] }

  func validate() throws {
    let known = ConfigurationSchema.compatSets
    for set in sets where !known.contains(set) {
      throw ValidationError("There is no tool set '\(set)', only \(known.joined(separator: ", ")).")
    }
  }

  func run() throws {
    if http { try Launch.becomeDoorKeeper() }
    let loaded = try Launch.load(shared, leasesHandle: true, compat: sets)
    let configuration = loaded.configuration
    try shared.configureLog(configured: configuration.logLevel, default: .notice)
    for warning in loaded.warnings { Log.write(.warning, "configuration", [("problem", "\(warning)")]) }
    let loop = try EventLoop(name: "parley")
    let backend = try Launch.makeBackend(configuration, on: loop)
    if http { return try serveHTTP(loaded, backend) }
    let supervisor = Supervisor(loop: loop, backend: backend)
    let server = try StdioServer(
      hub: Launch.setup(configuration, author: try Launch.author(of: configuration)), supervisor: supervisor,
      offer: .standard(configuration.tools, compat: CompatOptions(loaded)),
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

  private func serveHTTP(_ loaded: LoadedConfiguration, _ backend: any Backend) throws {
    let configuration = loaded.configuration
    guard let door = Launch.carried.door else {
      throw CommandFailure(.failed, code: "missing", "this program does not carry the HTTP door")
    }
    if let refusal = DoorRule.refusal(configuration, try door.keys.summary(configuration)) {
      throw CommandFailure(.configuration, code: "configuration", refusal)
    }
    let opening = try door.open(backend, configuration)
    let supervisor = Supervisor(loop: backend.loop, backend: opening.backend)
    let room = HTTPDoor.Room(
      hub: Launch.setup(configuration, author: try Launch.author(of: configuration)), supervisor: supervisor,
      offer: .standard(configuration.tools, compat: .overHTTP(loaded)), session: Self.options(of: loaded),
      http: configuration.http,
      authentication: configuration.authentication, access: configuration.access,
      handles: configuration.identity.mayPostAs, broker: try CompatOptions.broker(configuration))
    let failure = try supervisor.loop.run { () async -> (any Error)? in
      await Log.follow(supervisor)
      return await opening.serve(room)
    }
    withExtendedLifetime(loaded) {}
    if let failure { throw failure }
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
    options.approvals = configuration.approvals.map { StdioServer.ApprovalOptions(rules: $0.rules, host: HostName.own) }
    return options
  }
}
