import ParleyMCP
import ParleyRuntime

/// The goodbye that somebody still says after its end.
typealias Farewell = Task<Void, Never>

/// One principal as the tool sets of other systems know it: the names that it takes are its own, in every session and
/// request of it, and nobody else's. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class Guest: @unchecked Sendable {
  /// For requests without a session, with all tools of the sets; nobody can push to those.
  let setup: SessionSetup
  /// The tools of the sets in which it is the same everywhere.
  let sharedTools: [any Tool]
  /// Sessions that are open, and requests that are answered.
  private(set) var uses = 0
  private(set) var lastUse: LoopInstant
  private let shared: CompatSets
  private let unreachable: CompatSets
  private let loop: EventLoop
  private var life: Task<Void, Never>?

  /// Makes a guest that posts by `hub`; `setup` is what requests without a session are offered beside the sets.
  init(_ options: CompatOptions, hub: Hub, beside setup: SessionSetup) {
    loop = hub.loop
    lastUse = hub.loop.now
    var options = options
    let handle = hub.setup.author.handle.name
    options.duo?.id = handle
    options.duo?.name = handle
    shared = CompatSets(options.shared, hub: hub)
    unreachable = CompatSets(options.ofOneSession, hub: hub)
    unreachable.setReachable(false)
    sharedTools = shared.tools
    self.setup = setup.offering(shared.tools + unreachable.tools)
    life = loop.spawn { [shared] in await shared.run() }
  }

  func enter() {
    uses += 1
    lastUse = loop.now
  }

  func leave() {
    uses -= 1
    lastUse = loop.now
  }

  /// Says goodbye; the task that ends with it.
  @discardableResult
  func stop() -> Farewell {
    let life = life
    self.life = nil
    return loop.spawn { [shared, unreachable] in
      life?.cancel()
      await life?.value
      await shared.stop()
      await unreachable.stop()
    }
  }
}
