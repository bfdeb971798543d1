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
  /// Whether a handle is somebody's whom the door knows: none that another may call itself.
  package var isKnown: @Sendable (Handle) -> Bool = { _ in false }

  package init() {}

  /// None is offered.
  package var isEmpty: Bool { backchannel == nil && chatroom == nil && channels == nil && duo == nil }

  /// Whether one of the sets keeps what it knows in a topic.
  package func keeps(_ topic: Topic) -> Bool {
    if let backchannel, topic.name.hasPrefix(backchannel.prefix) { return true }
    return [duo?.topic, chatroom?.topic, channels?.topic].contains(topic)
  }

  /// Whether somebody who does not have a handle may call itself so.
  package func isFree(_ handle: Handle) -> Bool {
    !NameRules.isReserved(handle.name) && !guarded.contains(handle) && !isKnown(handle)
  }

  /// Those in which a participant is the same in all its sessions.
  package var shared: CompatOptions {
    var options = self
    options.channels = nil
    return options
  }

  /// Those in which each session is somebody of its own.
  package var ofOneSession: CompatOptions {
    var options = self
    (options.backchannel, options.chatroom, options.duo) = (nil, nil, nil)
    return options
  }
}

/// The tool sets of other systems as one session offers them, over the same logs as everything else.
package struct CompatSets: Sendable {
  /// Their tools.
  package let tools: [any Tool]
  private let backchannel: Backchannel?
  private let chatroom: Chatroom?
  private let channels: Channels?
  private let duo: Duo?

  /// Makes the sets that the options name; `hub` is whose names they take.
  package init(_ options: CompatOptions, hub: Hub) {
    let names = NameRules(hub: hub, guarded: options.guarded, isKnown: options.isKnown)
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
  package var pushes: Bool { channels != nil }
  /// What the session is told of the sets.
  package var instructions: String { channels == nil ? "" : ChannelsTools.instructions }

  /// Pushes go to this feed; must be called on the loop, before `run`.
  package func connect(_ feed: ChannelFeed) {
    channels?.assumeIsolated { $0.connect { event, topic in feed.push(event, of: topic) } }
  }

  /// Tells what the session is called among agents, and nil when it has no name any more; must be called on the loop,
  /// before `run`.
  package func onName(_ named: @escaping @Sendable (String?) -> Void) { channels?.assumeIsolated { $0.onName(named) } }

  /// Whether messages can be pushed into the session from now on; must be called on the loop.
  package func setReachable(_ isReachable: Bool) { channels?.assumeIsolated { $0.setReachable(isReachable) } }

  /// Says goodbye where a session must be reachable, until `run` is called again.
  package func leave() async { await channels?.leave() }

  /// Does what the sets do between calls, until the task is cancelled.
  package func run() async {
    async let room: Void? = chatroom?.run()
    async let agents: Void? = channels?.run()
    async let partners: Void? = duo?.run()
    async let notices: Void? = duo?.keepNotices()
    _ = await (room, agents, partners, notices)
  }

  /// Says goodbye, and ends what the sets follow.
  package func stop() async {
    await chatroom?.stop()
    await channels?.stop()
    await duo?.stop()
    await backchannel?.stop()
  }
}
