import ParleyCoordination
import ParleyMCP
import ParleyRuntime

/// Whom the door speaks for: one handle, with its read marks and the place that requests without a session share.
///
/// Confined to the loop.
//
// @unchecked: confined to the loop's thread.
final class Participant: @unchecked Sendable {
  let hub: Hub
  let coordination: Coordination
  /// Nil where participants do not announce themselves.
  let presence: HandlePresence?
  private var marks: ReadMarks { coordination.marks }
  /// Where requests without a session stand.
  let inbox: Inbox
  private let importMarks: [Topic: Cursor]?
  private var inboxes: [ObjectIdentifier: Inbox] = [:]
  private let listeners: Listeners
  private var life: Task<Void, Never>?
  private var hasMarks = false
  private let loaded: Waiters<Void>

  /// Tells whoever asked for it that a resource changed.
  //
  // @unchecked: confined to the loop's thread.
  private final class Listeners: @unchecked Sendable {
    var all: [ObjectIdentifier: ResourceSubscriptions] = [:]
    var onChange: () -> Void = {}

    func changed(_ topic: Topic) {
      for listener in all.values { listener.changed(topic) }
      onChange()
    }
  }

  init(
    setup: Hub.Setup, supervisor: Supervisor, options: DoorOptions, party: PresenceRecord.Party? = nil
  ) throws(HubError) {
    hub = try Hub(setup: setup, supervisor: supervisor)
    presence = options.presence.map { [hub] common in
      var own = common
      // A handle of the door is for any number of sessions.
      own.isExclusive = false
      own.answers = false
      if let party {
        // What the configuration says of itself is the door's own handle.
        own.party = party
        own.status = nil
      }
      return HandlePresence(hub: hub, options: own, lingering: options.presenceLingering)
    }
    coordination = Coordination(hub: hub)
    importMarks = options.importMarks
    let listeners = Listeners()
    self.listeners = listeners
    loaded = Waiters(loop: supervisor.loop)
    var shared = Inbox.Options(filter: PushFilter(author: setup.author))
    shared.catchesUp = options.catchUp.onStart
    shared.catchUpLimit = options.catchUp.limit
    shared.changed = { listeners.changed($0) }
    // All clients without a session post as this very process: each is to hear of the others' messages.
    shared.tellsEveryChange = true
    inbox = Inbox(hub: hub, options: shared)
    inboxes[ObjectIdentifier(inbox)] = inbox
  }

  /// Calls `action` on the loop after every message of its topics, and when a mark of its was moved elsewhere.
  func onChange(_ action: @escaping () -> Void) { listeners.onChange = action }

  // MARK: Life

  func start() {
    life = hub.loop.spawn { [self] in await run() }
  }

  /// Marks first, since every catch-up begins at them; both wait for the backend as long as it takes.
  private func run() async {
    while !Task.isCancelled {
      do throws(HubError) {
        try await marks.load()
        if let importMarks { try await marks.importOnce(importMarks) }
        break
      } catch {
        Log.write(.info, "read marks are not loaded yet", [("cause", error.description)])
        await hub.loop.sleep(for: .seconds(1))
      }
    }
    guard !Task.isCancelled else { return }
    await marks.observe { [weak self] topic, cursor in self?.moved(topic, cursor) }
    await marks.start()
    hasMarks = true
    loaded.resumeAll(())
    await inbox.start(marks: await marks.marks)
    await coordination.run()
    await coordination.conversations.attach(inbox, marks: marks)
  }

  private func moved(_ topic: Topic, _ cursor: Cursor) {
    for inbox in inboxes.values {
      hub.loop.spawn { [listeners] in
        await inbox.markMoved(topic, to: cursor)
        listeners.onChange()
      }
    }
  }

  func stop() -> Task<Void, Never>? {
    life?.cancel()
    return life
  }

  // MARK: Sessions

  /// Starts a session's inbox as soon as the marks are known.
  func begin(_ inbox: Inbox) {
    inboxes[ObjectIdentifier(inbox)] = inbox
    hub.loop.spawn { [self] in
      if !hasMarks { _ = await loaded.wait(loaded.ticket(), until: nil) }
      guard inboxes[ObjectIdentifier(inbox)] != nil else { return }
      await inbox.start(marks: await marks.marks)
      await coordination.conversations.attach(inbox, marks: marks)
    }
  }

  func end(_ inbox: Inbox) {
    guard inboxes.removeValue(forKey: ObjectIdentifier(inbox)) != nil else { return }
    hub.loop.spawn { [coordination] in
      await coordination.conversations.detach(inbox)
      await inbox.stop()
    }
  }

  func listen(_ subscriptions: ResourceSubscriptions) {
    listeners.all[ObjectIdentifier(subscriptions)] = subscriptions
  }

  func unlisten(_ subscriptions: ResourceSubscriptions) {
    listeners.all[ObjectIdentifier(subscriptions)] = nil
  }
}
