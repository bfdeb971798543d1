/// How many messages of a topic a participant has not marked as read.
public struct Unread: Hashable, Sendable {
  /// The number, exact unless `isCapped`.
  public var count: Int
  /// There are more than were counted.
  public var isCapped: Bool

  /// Makes a count.
  public init(count: Int, isCapped: Bool = false) {
    self.count = count
    self.isCapped = isCapped
  }
}

/// What a session is told without having asked.
public enum PushEvent: Hashable, Sendable {
  /// A message that concerns it.
  case message(Message)
  /// Messages that it will not get.
  case gap(Gap)
  /// So many earlier messages are unread and were not pushed; they can be fetched.
  case backlog([Topic: Unread])
}

/// One session's view of its topics: what is unread, what is new since it last looked, and what is pushed to it.
///
/// Catch-up starts at the session's read marks, then every topic is followed. Marks are not moved here: they move when
/// the reader says so (`markMoved`).
public actor Inbox: LoopActor {
  /// How a session starts, and what it is pushed.
  public struct Options: Sendable {
    /// Count (and push) what came since the marks; otherwise begin now.
    public var catchesUp = true
    /// At most this many earlier messages are pushed at the start.
    public var catchUpLimit = 100
    /// Which messages concern the session.
    public var filter: PushFilter
    /// Receives pushes, on the loop; nil where live push is off, since what is pushed counts as given to the session.
    public var push: (@Sendable (PushEvent) -> Void)?
    /// Called on the loop with every gap, pushed or not.
    public var lost: (@Sendable (Gap) -> Void)?
    /// Called on the loop when a message was added to a topic, pushed or not.
    public var changed: (@Sendable (Topic) -> Void)?
    /// `changed` is called for what this very process posted, and for what is directed to others, too.
    public var tellsEveryChange = false
    /// Called on the loop with every message that comes while the topics are followed, whoever sent it.
    public var arrived: (@Sendable (Message) -> Void)?
    /// False where nobody is pushed what comes: then it may be counted, and told of, a few milliseconds later.
    public var isUrgent = true

    /// Options without push.
    public init(filter: PushFilter) { self.filter = filter }
  }

  /// Unread messages are counted up to this number per topic.
  public static let countingLimit = 10_000

  /// Where the session stands in one topic.
  //
  // @unchecked: an object so that a delivery finds it without a look-up; only touched by the inbox.
  private final class Place: @unchecked Sendable {
    var follow: FollowID?
    /// Where the live deliveries stand.
    var live: Cursor
    /// Where the next waiting call goes on: behind what the session was given by fetch or wait.
    var wait: Cursor
    var unread: Unread

    init(live: Cursor, wait: Cursor, unread: Unread) {
      self.live = live
      self.wait = wait
      self.unread = unread
    }
  }

  public nonisolated let loop: EventLoop
  let hub: Hub
  private var options: Options
  private var places: [Topic: Place] = [:]
  /// Grows with every change of `unread`, so that readers may keep what they made of it.
  package private(set) var unreadRevision: UInt64 = 0
  private var seen = SeenIDs()
  var loopGuard: LoopGuard
  private let started: Waiters<Void>
  /// A topic was added.
  private let added: Waiters<Void>
  private var adding: Set<Topic> = []
  private var hasStarted = false
  private var isStopped = false

  /// Makes the inbox of one session; nothing happens until `start`.
  public init(hub: Hub, options: Options) {
    loop = hub.loop
    self.hub = hub
    self.options = options
    loopGuard = LoopGuard(author: hub.setup.author, limit: hub.setup.limits.hops)
    started = Waiters(loop: hub.loop)
    added = Waiters(loop: hub.loop)
  }

  /// What is directed to this name concerns the session too, from now on; nil for its handle alone.
  package func setName(_ name: String?) { options.filter.name = name.map { Handle($0) } }

  // MARK: Start and end

  /// Catches up with every configured topic from its mark, tells what is unread, and follows them until `stop`.
  ///
  /// Waits for the backend as long as it takes; ends early when the task is cancelled.
  public func start(marks: [Topic: Cursor]) async {
    var backlog: [Message] = []
    for topic in hub.setup.topics {
      guard let caught = await catchUp(topic, after: marks[topic], catchesUp: options.catchesUp) else { return }
      backlog += caught.messages
      places[topic] = Place(live: caught.end, wait: caught.start, unread: caught.unread)
    }
    guard !isStopped else { return }
    pushBacklog(backlog, of: places)
    hasStarted = true
    unreadRevision += 1
    started.resumeAll(())
    for topic in hub.setup.topics { await follow(topic) }
  }

  /// Follows one more topic, from its mark if it `catchesUp` (nil: as the session does); nothing where it is followed
  /// already.
  public func add(_ topic: Topic, mark: Cursor?, catchesUp: Bool? = nil) async {
    guard !isStopped, places[topic] == nil, adding.insert(topic).inserted else { return }
    var caught = await catchUp(topic, after: mark, catchesUp: catchesUp ?? options.catchesUp)
    // What is new to the session is new to a waiting call too.
    if mark == nil, let start = caught?.fresh { caught?.start = start }
    guard let caught, !isStopped, adding.remove(topic) != nil, places[topic] == nil else { return }
    let place = Place(live: caught.end, wait: caught.start, unread: caught.unread)
    places[topic] = place
    pushBacklog(caught.messages, of: [topic: place])
    unreadRevision += 1
    added.resumeAll(())
    await follow(topic)
  }

  /// Ends following a topic that was added.
  public func remove(_ topic: Topic) async {
    adding.remove(topic)
    guard let place = places.removeValue(forKey: topic) else { return }
    unreadRevision += 1
    if let follow = place.follow { await hub.supervisor.unfollow(follow) }
  }

  /// Whether the topic is followed.
  public func follows(_ topic: Topic) -> Bool { places[topic] != nil || hub.setup.topics.contains(topic) }

  /// The catch-up is done.
  package var isReady: Bool { hasStarted }

  /// Waits until the catch-up is done, at most until `deadline`; false when it is not.
  public func ready(until deadline: LoopInstant) async -> Bool {
    if hasStarted { return true }
    _ = await started.wait(started.ticket(), until: deadline)
    return hasStarted
  }

  /// Ends all followers; nothing is pushed afterwards.
  public func stop() async {
    isStopped = true
    for place in places.values { if let follow = place.follow { await hub.supervisor.unfollow(follow) } }
    places = [:]
  }

  // MARK: Reading

  /// Unread messages per topic; topics without any are absent. Empty until the catch-up is done.
  public var unread: [Topic: Unread] { places.compactMapValues { $0.unread.count > 0 ? $0.unread : nil } }

  /// Notes that the session was given these messages, so that they are not pushed too.
  public func noteGiven(_ page: Page, of request: FetchRequest) {
    noteGiven(page.messages, on: request.topic)
    guard let place = places[request.topic] else { return }
    // Only a read that continues the waiting place, or reaches the newest, moves it: cursors have no order.
    let continues =
      switch request.position {
      case .latest: !page.messages.isEmpty
      case .after(let cursor): cursor == place.wait
      case .before: false
      }
    if continues { places[request.topic]?.wait = page.next }
  }

  private func noteGiven(_ messages: [Message], on topic: Topic) {
    seen.insert(idsOf: messages, on: topic)
    for message in messages { loopGuard.note(message) }
  }

  /// The mark of a topic moved (here or in another process of the same handle): counts what is unread anew.
  public func markMoved(_ topic: Topic, to cursor: Cursor) async {
    guard places[topic] != nil, let counted = await count(topic, after: cursor, keep: 0) else { return }
    places[topic]?.unread = counted.unread
    unreadRevision += 1
  }

  /// Waits until something that concerns the session is new on any of the topics (nil for all that are followed, those
  /// added meanwhile too), and returns it; empty at the deadline or on cancellation. What is returned is not returned
  /// again; what does not `fit` any more comes next time.
  public func wait(
    on topics: [Topic]?, limit: Int, until deadline: LoopInstant,
    fits: @escaping @Sendable (Message) -> Bool = { _ in true }, wanted: @escaping @Sendable (Message) -> Bool
  ) async -> [Topic: News] {
    guard await ready(until: deadline) else { return [:] }
    let filter = options.filter
    var news: [Topic: News] = [:]
    var isWider: Bool
    repeat {
      let ticket = added.ticket()
      let from = Dictionary(
        uniqueKeysWithValues: (topics ?? Array(places.keys)).compactMap { topic in
          places[topic].map { (topic, $0.wait) }
        })
      let find: @Sendable () async -> [Topic: News] = { [hub] in
        await hub.supervisor.awaitNews(from, limit: limit, until: deadline, fits: fits) {
          filter.concerns($0) && wanted($0)
        }
      }
      if topics != nil {
        added.forget(ticket)
        (news, isWider) = (await find(), false)
      } else {
        (news, isWider) = await orAdded(ticket, until: deadline, find)
      }
    } while news.isEmpty && isWider && !Task.isCancelled
    // Nobody gets the answer of a cancelled call: what came in its last moment is still to be given.
    if Task.isCancelled { return [:] }
    for (topic, found) in news {
      noteGiven(found.messages, on: topic)
      places[topic]?.wait = found.next
    }
    return news
  }

  /// What `find` finds, or whether a topic was added before it found anything.
  private func orAdded(
    _ ticket: UInt64, until deadline: LoopInstant, _ find: @escaping @Sendable () async -> [Topic: News]
  ) async -> (news: [Topic: News], isWider: Bool) {
    await withTaskGroup(of: (news: [Topic: News], isWider: Bool).self) { group in
      group.addTask { (await find(), false) }
      group.addTask { [added] in
        if case .value = await added.wait(ticket, until: deadline) { ([:], true) } else { ([:], false) }
      }
      var result: (news: [Topic: News], isWider: Bool) = ([:], false)
      for await part in group {
        group.cancelAll()
        if !part.news.isEmpty { result.news = part.news }
        result.isWider = result.isWider || part.isWider
      }
      return result
    }
  }

  // MARK: Live

  private func follow(_ topic: Topic) async {
    guard let place = places[topic], !isStopped else { return }
    let id = await hub.supervisor.follow(topic, after: place.live, isUrgent: options.isUrgent) {
      [weak self] delivery in
      self?.assumeIsolated { $0.take(delivery, on: topic, at: place) }
      return .more
    }
    if isStopped { await hub.supervisor.unfollow(id) } else { place.follow = id }
  }

  private func take(_ delivery: Delivery, on topic: Topic, at place: Place) {
    guard !isStopped else { return }
    let before = place.live
    place.live = delivery.cursor
    switch delivery {
    case .gap(let gap): tell(gap)
    case .message(let message):
      options.arrived?(message)
      guard options.filter.concerns(message) else {
        if options.tellsEveryChange { options.changed?(topic) }
        // Nothing for this session: a waiting place just before it steps over it.
        if place.wait == before { place.wait = message.cursor }
        return
      }
      unreadRevision += 1
      if place.unread.count < Self.countingLimit { place.unread.count += 1 } else { place.unread.isCapped = true }
      if let push = options.push, options.filter.pushes(message), seen.insert(message.id, on: topic) {
        loopGuard.note(message)
        push(.message(message))
      }
      options.changed?(topic)
    }
  }

  private func tell(_ gap: Gap) {
    options.lost?(gap)
    options.push?(.gap(gap))
  }

  // MARK: Catch-up

  private struct CaughtUp {
    var messages: [Message]
    var unread: Unread
    /// Where the unread part begins and where reading ended.
    var start: Cursor
    var end: Cursor
    /// Just before the first message that concerns the session, where there is no mark and that place is known.
    var fresh: Cursor?
  }

  private func catchUp(_ topic: Topic, after mark: Cursor?, catchesUp: Bool) async -> CaughtUp? {
    if catchesUp, let mark { return await count(topic, after: mark, keep: options.catchUpLimit) }
    // Without a mark the participant is new here: its past is the newest `catchUpLimit` messages, or nothing.
    let limit = catchesUp ? options.catchUpLimit : 1
    guard let page = await read(FetchRequest(topic, .latest, limit: limit)) else { return nil }
    guard catchesUp else {
      return CaughtUp(messages: [], unread: Unread(count: 0), start: page.next, end: page.next)
    }
    let concerning = page.messages.filter(options.filter.concerns)
    let first = page.messages.firstIndex(where: options.filter.concerns) ?? 0
    return CaughtUp(
      messages: concerning, unread: Unread(count: concerning.count, isCapped: page.previous != nil),
      start: page.next, end: page.next, fresh: first > 0 ? page.messages[first - 1].cursor : nil)
  }

  private func count(_ topic: Topic, after mark: Cursor, keep: Int) async -> CaughtUp? {
    var result = CaughtUp(messages: [], unread: Unread(count: 0), start: mark, end: mark)
    while true {
      guard let page = await read(FetchRequest(topic, .after(result.end), limit: hub.setup.limits.pageMessages)) else {
        return nil
      }
      if let gap = page.gap { tell(gap) }
      let concerning = page.messages.filter(options.filter.concerns)
      result.messages += concerning.prefix(keep - result.messages.count)
      result.unread.count += concerning.count
      result.end = page.next
      guard page.hasMore else { return result }
      if result.unread.count >= Self.countingLimit {
        result.unread.isCapped = true
        guard let newest = await read(FetchRequest(topic, .latest, limit: 1)) else { return nil }
        result.end = newest.next
        return result
      }
    }
  }

  /// Reads until it works; nil when the task is cancelled.
  private func read(_ request: FetchRequest) async -> Page? {
    while !Task.isCancelled, !isStopped {
      do throws(HubError) {
        return try await hub.fetchUnchecked(request)
      } catch {
        if case .seam(let failure) = error, failure.code == .cursorInvalid, request.position != .latest {
          // A mark from another backend is no place here: begin with what there is.
          return await read(FetchRequest(request.topic, .latest, limit: request.limit))
        }
        await loop.sleep(for: .milliseconds(500))
      }
    }
    return nil
  }

  private func pushBacklog(_ backlog: [Message], of places: [Topic: Place]) {
    guard let push = options.push else { return }
    // Topics are merged by the store's time; within a topic that time never goes back, so its order is kept.
    let ordered = backlog.enumerated().sorted { ($0.element.storedAt, $0.offset) < ($1.element.storedAt, $1.offset) }
    var pushed: [Topic: Int] = [:]
    var count = 0
    for (_, message) in ordered where options.filter.pushes(message) {
      guard count < options.catchUpLimit else { break }
      guard seen.insert(message.id, on: message.topic) else { continue }
      loopGuard.note(message)
      push(.message(message))
      pushed[message.topic, default: 0] += 1
      count += 1
    }
    var rest: [Topic: Unread] = [:]
    for (topic, place) in places {
      let left = place.unread.count - pushed[topic, default: 0]
      // Where not all were counted, there is at least one more.
      let capped = place.unread.isCapped
      if left > 0 || capped { rest[topic] = Unread(count: max(left, 1), isCapped: capped) }
    }
    if !rest.isEmpty { push(.backlog(rest)) }
  }
}
