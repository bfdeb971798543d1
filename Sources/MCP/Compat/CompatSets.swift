import ParleyRuntime

/// Which tool sets of other systems a session offers, and how each is set up.
package struct CompatOptions: Sendable {
  /// Task hand-over by channels; nil where it is not offered.
  package var backchannel: Backchannel.Options?
  /// A room with names and numbered messages; nil where it is not offered.
  package var chatroom: Chatroom.Options?
  /// Agents that push messages into each other's sessions; nil where it is not offered.
  package var channels: Channels.Options?
  /// Partners that talk in conversations and wait for each other; nil where it is not offered.
  package var duo: Duo.Options?
  /// Handles that the configuration gives a meaning, which no agent may call itself.
  package var guarded: Set<Handle> = []

  package init() {}
}

/// The tool sets of other systems as one session offers them, over the same logs as everything else.
struct CompatSets: Sendable {
  let tools: [any Tool]
  private let backchannel: Backchannel?
  private let chatroom: Chatroom?
  private let channels: Channels?
  private let duo: Duo?

  init(_ options: CompatOptions, hub: Hub) {
    let names = NameRules(hub: hub, guarded: options.guarded)
    backchannel = options.backchannel.map { Backchannel(hub: hub, names: names, options: $0) }
    chatroom = options.chatroom.map { Chatroom(hub: hub, names: names, options: $0) }
    channels = options.channels.map { Channels(hub: hub, names: names, options: $0) }
    duo = options.duo.map { Duo(hub: hub, names: names, options: $0) }
    var tools: [any Tool] = []
    if let backchannel { tools += BackchannelTools.all(backchannel) }
    if let chatroom { tools += ChatroomTools.all(chatroom) }
    if let channels { tools += ChannelsTools.all(channels) }
    if let duo { tools += DuoTools.all(duo) }
    self.tools = tools
  }

  /// The session must be one that messages can be pushed into.
  var pushes: Bool { channels != nil }
  /// What the session is told of the sets.
  var instructions: String { channels == nil ? "" : ChannelsTools.instructions }

  /// Says where pushes go; must be called on the loop, before `run`.
  func connect(_ push: @escaping @Sendable (ChannelEvent, Topic) -> Void) {
    channels?.assumeIsolated { $0.connect(push) }
  }

  /// Does what the sets do between calls, until the task is cancelled.
  func run() async {
    async let room: Void? = chatroom?.run()
    async let agents: Void? = channels?.run()
    async let partners: Void? = duo?.run()
    async let notices: Void? = duo?.keepNotices()
    _ = await (room, agents, partners, notices)
  }

  /// Says goodbye, and ends what the sets follow.
  func stop() async {
    await chatroom?.stop()
    await channels?.stop()
    await duo?.stop()
    await backchannel?.stop()
  }
}
