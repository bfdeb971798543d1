import ParleyRuntime

/// Which tool sets of other systems a session offers, and how each is set up.
package struct CompatOptions: Sendable {
  /// Task hand-over by channels; nil where it is not offered.
  package var backchannel: Backchannel.Options?
  /// Handles that the configuration gives a meaning, which no agent may call itself.
  package var guarded: Set<Handle> = []

  package init() {}
}

/// The tool sets of other systems as one session offers them, over the same logs as everything else.
struct CompatSets: Sendable {
  let tools: [any Tool]
  private let backchannel: Backchannel?

  init(_ options: CompatOptions, hub: Hub) {
    let names = NameRules(hub: hub, guarded: options.guarded)
    backchannel = options.backchannel.map { Backchannel(hub: hub, names: names, options: $0) }
    var tools: [any Tool] = []
    if let backchannel { tools += BackchannelTools.all(backchannel) }
    self.tools = tools
  }

  /// Ends what the sets follow.
  func stop() async {
    await backchannel?.stop()
  }
}
