import ParleyMCP
import ParleyRuntime

/// One session among the agents that push messages into each other's sessions: it is there while its stream is open, and
/// for a moment after it was lost, so that a client that connects anew keeps its name. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class SessionAgent: @unchecked Sendable {
  private static let grace: Duration = .seconds(10)

  private let sets: CompatSets
  private let loop: EventLoop
  /// Coming and going follow each other in order.
  private var life: Task<Void, Never>?
  private var timer: LoopTimer?
  private var isHere = false
  /// The session's own, where it posts under its name.
  private var hub: Hub?

  init(_ sets: CompatSets, loop: EventLoop) {
    self.sets = sets
    self.loop = loop
    sets.setReachable(false)
  }

  var tools: [any Tool] { sets.tools }
  var instructions: String { sets.instructions }

  func connect(_ feed: ChannelFeed) { sets.connect(feed) }

  /// What the session posts, and what is directed to it, has its name from now on; until it is known whose name that is,
  /// posts wait for it. While it has none it is the handle's.
  func name(_ hub: Hub, _ inbox: Inbox) {
    self.hub = hub
    sets.onName { [weak hub, weak inbox] name in
      inbox?.assumeIsolated { $0.setName(name) }
      hub?.assumeIsolated { hub in
        hub.setName(name)
        hub.setGate(.open)
      }
    }
  }

  /// The session's stream was opened, or lost.
  func streamChanged(isOpen: Bool) {
    if let timer { loop.cancel(timer) }
    timer = nil
    guard isOpen else {
      if isHere { timer = loop.schedule(after: Self.grace) { [weak self] in self?.leave() } }
      return
    }
    guard !isHere else { return }
    isHere = true
    sets.setReachable(true)
    hub?.assumeIsolated { $0.setGate(.pending) }
    let before = life
    life = loop.spawn { [sets] in
      await before?.value
      await sets.run()
    }
  }

  private func leave() {
    timer = nil
    isHere = false
    sets.setReachable(false)
    let before = life
    life = loop.spawn { [sets] in
      before?.cancel()
      await before?.value
      await sets.leave()
    }
  }

  /// The session is over; the task that ends with its goodbye.
  func end() -> Farewell {
    if let timer { loop.cancel(timer) }
    timer = nil
    let before = life
    return loop.spawn { [sets] in
      before?.cancel()
      await before?.value
      await sets.stop()
    }
  }
}
