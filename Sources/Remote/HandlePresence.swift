import ParleyCoordination
import ParleyHTTPServer
import ParleyRuntime

/// Tells others that a handle is there, while somebody uses it by the door: a request or stream is open, or one was
/// lately. Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class HandlePresence: @unchecked Sendable {
  private let hub: Hub
  private let options: Presence.Options
  /// After the last request it is there so much longer.
  private let lingering: Duration
  private var uses = 0
  private var streams = 0
  private var lastUse: LoopInstant
  private var looking: LoopTimer?
  private var present: (presence: Presence, life: Task<Void, Never>)?
  private var isEnding = false

  init(hub: Hub, options: Presence.Options, lingering: Duration) {
    self.hub = hub
    self.options = options
    self.lingering = lingering
    lastUse = hub.loop.now
  }

  /// The handle is in use as long as the exchange lasts; what comes reaches it at once where that is a stream of news.
  func note(_ exchange: HTTPExchange, isStream: Bool) {
    guard !isEnding, !exchange.isOver else { return }
    uses += 1
    if isStream { streams += 1 }
    exchange.onEnd = { [weak self] in self?.ended(isStream) }
    if present == nil { begin() } else if isStream, streams == 1 { tellListening() }
  }

  private func ended(_ wasStream: Bool) {
    uses -= 1
    lastUse = hub.loop.now
    guard wasStream else { return }
    streams -= 1
    if streams == 0 { tellListening() }
  }

  private func begin() {
    var options = options
    if streams == 0 { options.listens = .nothing }
    let presence = Presence(hub: hub, options: options)
    present = (presence, hub.loop.spawn { await presence.run() })
    lookLater(after: lingering)
  }

  private func tellListening() {
    guard let presence = present?.presence, options.listens != .nothing else { return }
    let listens = streams > 0 ? options.listens : .nothing
    presence.assumeIsolated { $0.setListening(listens) }
  }

  /// One timer, however many requests there are.
  private func lookLater(after time: Duration) {
    looking = hub.loop.schedule(after: time) { [weak self] in
      guard let self else { return }
      looking = nil
      let due = lastUse.advanced(by: lingering)
      guard uses == 0 else { return lookLater(after: lingering) }
      guard due <= hub.loop.now else { return lookLater(after: hub.loop.now.duration(to: due)) }
      guard let (presence, life) = present else { return }
      present = nil
      hub.loop.spawn { [hub] in await Self.leave(presence, life, within: hub.setup.patience) }
    }
  }

  private static func leave(_ presence: Presence, _ life: Task<Void, Never>, within patience: Duration) async {
    life.cancel()
    await life.value
    await presence.sayGoodbye(within: patience)
  }

  /// The server ends: says so at once, and waits for that at most so long.
  func end(within patience: Duration) async {
    isEnding = true
    if let looking { hub.loop.cancel(looking) }
    looking = nil
    guard let (presence, life) = present else { return }
    present = nil
    await Self.leave(presence, life, within: patience)
  }
}
