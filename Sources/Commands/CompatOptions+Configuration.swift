import ParleyConfiguration
import ParleyMCP
import ParleyRuntime

extension CompatOptions {
  /// The tool sets that a configuration names, as the HTTP door offers them: nobody there has a folder, and no handle of
  /// the configuration is free for whoever enters.
  static func overHTTP(_ loaded: LoadedConfiguration) -> CompatOptions {
    var options = CompatOptions(loaded)
    let identity = loaded.configuration.identity
    options.guarded.formUnion([identity.handle] + identity.mayPostAs)
    options.duo?.folder = "none, over HTTP"
    options.duo?.noticeFolder = nil
    options.duo?.noticeRegistry = nil
    return options
  }

  /// Where the broker of the set duo listens; nil where it does not.
  static func broker(_ configuration: Configuration) throws(CommandFailure) -> Endpoint? {
    let duo = configuration.compat.options.block("duo")
    guard configuration.compat.sets.contains("duo"), duo.boolean("broker") else { return nil }
    let port = duo.integerIfSet("port").map(String.init) ?? Surroundings.process["BROKER_PORT"] ?? "3210"
    guard let endpoint = Endpoint(listening: "127.0.0.1:\(port)") else {
      throw CommandFailure(.configuration, code: "configuration", "BROKER_PORT: '\(port)' is no port")
    }
    return endpoint
  }

  /// The tool sets that a configuration names.
  init(_ loaded: LoadedConfiguration) {
    self.init()
    let configuration = loaded.configuration
    guarded = Set(configuration.livePush.from).union(configuration.approvals?.approvers ?? [])
    let (sets, options) = (configuration.compat.sets, configuration.compat.options)
    if sets.contains("backchannel") {
      let block = options.block("backchannel")
      var options = Backchannel.Options()
      options.prefix = block.string("prefix")
      options.writesPerMinute = block.integer("writes_per_minute")
      backchannel = options
    }
    if sets.contains("channels") {
      var agents = Channels.Options()
      agents.topic = Topic(options.block("channels").string("topic"))
      agents.heartbeat = configuration.presence.heartbeat
      agents.lifetime = configuration.presence.lifetime
      channels = agents
    }
    if sets.contains("duo") {
      let id = Duo.Options.id(in: .process)
      var partners = Duo.Options(
        id: id, name: Surroundings.process["PARTNER_NAME"] ?? id,
        folder: Surroundings.process.workingDirectory)
      partners.topic = Topic(options.block("duo").string("topic"))
      if options.block("duo").boolean("notify_file") { partners.noticeFolder = partners.folder }
      partners.noticeRegistry = Surroundings.process.stateDirectory + "/duo"
      partners.heartbeat = configuration.presence.heartbeat
      partners.lifetime = configuration.presence.lifetime
      duo = partners
    }
    if sets.contains("chatroom") {
      var room = Chatroom.Options()
      room.topic = Topic(options.block("chatroom").string("topic"))
      room.heartbeat = configuration.presence.heartbeat
      room.lifetime = configuration.presence.lifetime
      // Where a configuration says where to meet, another room's files are not this one's past.
      if loaded.path == nil, let files = ChatroomFiles(in: .process) {
        room.archive = ChatroomArchive(
          messages: files.messages, summaries: files.summaries, cursors: files.cursors, topics: files.topics)
      }
      chatroom = room
    }
  }
}

extension Duo.Options {
  /// The id of a session in these surroundings: what `PARTNER_ID` says, else the folder's.
  static func id(in surroundings: Surroundings) -> String {
    surroundings["PARTNER_ID"] ?? id(ofFolder: surroundings.folderName)
  }
}
