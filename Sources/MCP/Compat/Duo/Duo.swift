import ParleyCoordination
import ParleyRuntime

/// Partners that talk in conversations and wait for each other, as the Claude Duo system's tools have it, over the
/// conversations that every participant has.
package actor Duo: LoopActor {
  /// How the set works.
  package struct Options: Hashable, Sendable {
    /// The log of partners.
    package var topic = Topic("duo")
    /// The partner's id, unless another session has it; and its name.
    package var id: String
    package var name: String
    /// The project's folder, told to nobody but this session.
    package var folder: String
    /// Where `CLAUDE.md` lies that says what is unread; nil where that is not wanted.
    package var noticeFolder: String?
    /// Where this user's partners say that others may write for them while they are away; nil where nothing is written.
    package var noticeRegistry: String?
    /// What others are told of the project; nil for nothing.
    package var project: String?
    /// Another number is added to the id where another session has it; otherwise that is a failure.
    package var isNumbered = true
    /// How often a session shows that it is there, and for how long that holds.
    package var heartbeat: Duration = .seconds(600)
    package var lifetime: Duration = .seconds(1800)

    package init(id: String, name: String, folder: String) {
      self.id = id
      self.name = name
      self.folder = folder
    }

    /// The id of a folder: its name in lower case, everything but letters and digits an underscore.
    package static func id(ofFolder name: String) -> String {
      let id = name.lowercased().unicodeScalars.map { scalar in
        ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) ? Character(scalar) : "_"
      }
      return id.isEmpty ? "partner" : String(id)
    }
  }

  /// What a session works with once it is a partner.
  struct Seat: Sendable {
    let id: String
    let hub: Hub
    let own: OwnTopic
    let conversations: Conversations
    let marks: ReadMarks
  }

  /// Sessions of one folder that can be there at the same time.
  private static let sameFolder = 100

  package nonisolated let loop: EventLoop
  let hub: Hub
  let options: Options
  private let rules: NameRules
  let log: FoldedLog<PartnerFold>
  private let ownsLog: Bool
  private var card: PartnerEvent.Card
  private(set) var seat: Seat?
  private var arriving: Task<Result<Void, Refusal>, Never>?
  private var follows: [Topic: FollowID] = [:]
  /// Something may have come, or a listening call may have to end.
  let changes: Waiters<Void>
  /// The newest listening call: it ends the one before.
  var listening = 0
  /// The partners were told that this session listens.
  var isAnnounced = false
  private var isObserving = false
  private var isStopped = false

  var session: String { hub.setup.author.instance }
  var deadline: LoopInstant { loop.now.advanced(by: hub.setup.patience) }

  /// Makes a partner; `log` is the partners' log where several partners share it.
  init(hub: Hub, names: NameRules, options: Options, log shared: FoldedLog<PartnerFold>? = nil) {
    loop = hub.loop
    self.hub = hub
    self.options = options
    rules = names
    card = PartnerEvent.Card(name: options.name, project: options.project)
    log = shared ?? Self.log(of: options.topic, hub)
    ownsLog = shared == nil
    changes = Waiters(loop: hub.loop)
  }

  /// The partners' log.
  static func log(of topic: Topic, _ hub: Hub) -> FoldedLog<PartnerFold> {
    FoldedLog(hub: hub, topic: topic, window: 1 << 42) { PartnerFold() }
  }

  // MARK: Life

  /// Registers and goes on being there until the task is cancelled; waits for the backend as long as it takes.
  func run() async {
    while !Task.isCancelled {
      do throws(Refusal) {
        _ = try await seated()
        break
      } catch {
        Log.write(.info, "this session is no partner yet", [("cause", error.reason)])
        await loop.sleep(for: .seconds(1))
      }
    }
    while await loop.sleep(for: options.heartbeat) {
      guard let seat, await isThere(seat) else { continue }
      do throws(Refusal) {
        try await say(registration(of: seat.id))
      } catch {
        Log.write(.info, "this session was not announced to the partners", [("cause", error.reason)])
      }
    }
  }

  /// Says goodbye and ends following.
  func stop() async {
    isStopped = true
    if let seat, await isThere(seat) {
      do throws(HubError) {
        let (content, attributes) = PartnerEvent.unregister(id: seat.id, session: session).message
        _ = try await hub.postUnchecked(
          PostRequest(topic: options.topic, content: content, attributes: attributes, patience: .milliseconds(200)))
      } catch {
        Log.write(.info, "the partners were not told of the end", [("cause", error.description)])
      }
    }
    for follow in follows.values { await hub.supervisor.unfollow(follow) }
    follows = [:]
    await seat?.conversations.stop()
    await seat?.own.stop()
    await seat?.marks.stop()
    if ownsLog { await log.stop() }
  }

  /// Takes a partner's place in the log as gone, whichever session has it; false where nobody has.
  package static func unregister(_ id: String, hub: Hub, topic: Topic) async throws(HubError) -> Bool {
    let log = log(of: topic, hub)
    let isGone = try await unregister(id, hub: hub, log)
    await log.stop()
    return isGone
  }

  static func unregister(_ id: String, hub: Hub, _ log: FoldedLog<PartnerFold>) async throws(HubError) -> Bool {
    try await log.load()
    try await log.catchUp(until: hub.loop.now.advanced(by: hub.setup.patience))
    guard let holder = await log.state.names.holder(of: id, at: log.now) else { return false }
    let (content, attributes) = PartnerEvent.unregister(id: id, session: holder.session).message
    let receipt = try await hub.postUnchecked(
      PostRequest(topic: log.topic, content: content, attributes: attributes))
    _ = await log.outcome(of: receipt.id, until: hub.loop.now.advanced(by: hub.setup.patience))
    return true
  }

  func isThere(_ seat: Seat) async -> Bool {
    await log.state.names.holder(of: seat.id, at: log.now)?.session == session
  }

  // MARK: Being a partner

  private func registration(of id: String) -> PartnerEvent {
    .register(id: id, session: session, lifetime: options.lifetime.milliseconds, card: card)
  }

  /// Shows that the partner is there, where it was silent for half the time that it may be.
  package func touch() async throws(Refusal) {
    let seat = try await seated()
    guard let holder = await log.state.names.holder(of: seat.id, at: log.now),
      await holder.until - log.now < options.lifetime.milliseconds / 2
    else { return }
    try await say(registration(of: seat.id))
  }

  /// Tells the partners something else of this one.
  func tell(_ change: (inout PartnerEvent.Card) -> Void) async throws(Refusal) {
    let seat = try await seated()
    let before = card
    change(&card)
    if card != before { try await say(registration(of: seat.id)) }
  }

  /// The session's place among the partners, taken at the first call, and again where it was given up.
  func seated() async throws(Refusal) -> Seat {
    if let seat, await isThere(seat) { return seat }
    let task = arriving ?? loop.spawn { await self.arrive() }
    arriving = task
    try await task.value.get()
    guard let seat else { throw Refusal(503, "unavailable", "this session is no partner yet") }
    return seat
  }

  private func arrive() async -> Result<Void, Refusal> {
    defer { arriving = nil }
    do throws(Refusal) {
      try await refusing { () throws(HubError) in
        try await log.load()
        try await log.catchUp(until: deadline)
      }
      if !isObserving {
        isObserving = true
        await log.observe { [weak self] in self?.assumeIsolated { $0.changes.resumeAll(()) } }
      }
      let id = try await takeID()
      if seat?.id != id { try await sit(as: id) }
      if let seat {
        let told = card
        (card.isNotified, card.place) = await place(for: seat)
        if card != told { try await say(registration(of: id)) }
      }
      return .success(())
    } catch {
      return .failure(error)
    }
  }

  /// The folder's id; with a number where another session, or somebody else, has that.
  private func takeID() async throws(Refusal) -> String {
    var number = 1
    while number <= Self.sameFolder {
      let id = number == 1 ? options.id : "\(options.id)_\(number)"
      number += 1
      if let holder = await log.state.names.holder(of: id, at: log.now), holder.session != session {
        guard options.isNumbered else { throw Refusal(409, "name_in_use", "another session is the partner \(id)") }
        continue
      }
      do throws(Refusal) {
        try rules.checkClaim(id, "id")
        try await rules.checkNobodyElse(id)
      } catch {
        guard error.status == 403, options.isNumbered else { throw error }
        continue
      }
      if try await say(registration(of: id)) == .accepted { return id }
    }
    throw Refusal(409, "name_in_use", "all of \(options.id) to \(options.id)_\(Self.sameFolder) are in use")
  }

  private func sit(as id: String) async throws(Refusal) {
    for follow in follows.values { await hub.supervisor.unfollow(follow) }
    follows = [:]
    var setup = hub.setup
    setup.author = setup.author.calling(itself: id)
    let supervisor = hub.supervisor
    let seat = try await refusing { () throws(HubError) in
      let hub = try Hub(setup: setup, supervisor: supervisor)
      let own = OwnTopic(hub: hub)
      let marks = ReadMarks(hub: hub)
      try await marks.load()
      await marks.start()
      return Seat(id: id, hub: hub, own: own, conversations: Conversations(hub: hub, own: own), marks: marks)
    }
    self.seat = seat
    await seat.conversations.observe { [weak self] topic, isIn in
      self?.assumeIsolated { duo in
        _ = duo.loop.spawn { await duo.follow(topic, isIn: isIn) }
      }
    }
    try await refusing { () throws(HubError) in try await seat.conversations.start() }
  }

  /// Wakes listening calls with what comes in a conversation.
  private func follow(_ topic: Topic, isIn: Bool) async {
    if !isIn {
      if let follow = follows.removeValue(forKey: topic) { await hub.supervisor.unfollow(follow) }
      return
    }
    guard follows[topic] == nil, !isStopped else { return }
    do throws(HubError) {
      let end = try await hub.fetchUnchecked(FetchRequest(topic, .latest, limit: 1)).next
      let id = await hub.supervisor.follow(topic, after: end) { [weak self] _ in
        self?.assumeIsolated { $0.changes.resumeAll(()) }
        return .more
      }
      if isStopped || follows[topic] != nil { await hub.supervisor.unfollow(id) } else { follows[topic] = id }
    } catch {
      Log.write(.info, "a conversation is not followed", [("topic", topic.name), ("cause", error.description)])
    }
    changes.resumeAll(())
  }

  /// Stores an event about this session and waits for what it brings.
  @discardableResult
  func say(_ event: PartnerEvent) async throws(Refusal) -> PartnerFold.Outcome {
    let (content, attributes) = event.message
    let receipt = try await refusing { () throws(HubError) in
      try await hub.postUnchecked(PostRequest(topic: options.topic, content: content, attributes: attributes))
    }
    await log.note(receipt)
    guard let outcome = await log.outcome(of: receipt.id, until: deadline) else {
      throw Refusal(504, "outcomeUnknown", "the backend did not show in time what came of it")
    }
    return outcome
  }

  /// The partners as they are now.
  func current() async throws(Refusal) -> (seat: Seat, fold: PartnerFold, now: Int64) {
    let seat = try await seated()
    try await refusing { () throws(HubError) in try await log.catchUp(until: deadline) }
    return await (seat, log.state, log.now)
  }

  /// Registers, under a name where one is given, and a project; the id and the name.
  @discardableResult
  func register(name new: String?, project: String? = nil) async throws(Refusal) -> (id: String, name: String) {
    if let new {
      try rules.checkClaim(new)
      if new != options.id { try await rules.checkNobodyElse(new) }
      card.name = new
    }
    if let project { card.project = project }
    let seat = try await seated()
    try await say(registration(of: seat.id))
    return (seat.id, card.name)
  }
}
