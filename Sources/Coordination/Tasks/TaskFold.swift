import ParleyRuntime

/// The tasks of one topic as its log tells them: every reader of the same log comes to the same state, whatever the
/// pages it read and whenever it began.
///
/// A claim counts if at its place in the log the task was open, or the last lease had run out by `storedAt`.
public struct TaskFold: TopicFold {
  /// What an event brought.
  public enum Outcome: Hashable, Sendable {
    /// It counts, for this task.
    case accepted(TaskID)
    /// It changes nothing.
    case refused(TaskRefusal)
    /// Somebody asks for the list.
    case listed
  }

  /// Bounds on what is kept; a test may set smaller ones.
  struct Bounds: Hashable, Sendable {
    /// Tasks in all; the oldest make room.
    var all = 100_000
    /// Tasks that are over; the oldest make room.
    var over = 10_000
    /// Bytes of bodies and results; the oldest make room, the messages still have them.
    var textBytes = 16 << 20
  }

  /// A person's claim lasts so long, in milliseconds: nobody extends a lease by hand.
  static let personalLease: Int64 = 4 * 3_600_000
  /// What is over is remembered for so long after its time, in milliseconds.
  private static let memory: Int64 = 86_400_000

  // Not private: `TaskFold+Keeping` writes and reads all of it.
  let bounds: Bounds
  /// How closely the store's times can be compared, in milliseconds; leases are longer by it.
  let resolution: Int64
  var tasks: [TaskID: TaskRecord] = [:]
  /// In the order of posting; those that are over leave lazily.
  var order: [TaskID] = []
  var overInOrder = 0
  /// Everything in `order` before this place has ended: the oldest end first, and a claim must not walk over them.
  var firstLive = 0
  /// Those that are over, in the order of their end.
  var ended: [TaskID] = []
  var byMessage: [MessageID: TaskID] = [:]
  /// Texts that are kept, the oldest first.
  var texts: [(id: TaskID, isResult: Bool, bytes: Int)] = []
  var firstText = 0
  var textBytes = 0
  /// No task's time ends before this.
  var firstExpiry: Int64 = .max
  var newest: Int64 = 0
  var sincePurge = 0
  /// Messages that looked like events and were damaged, or of a later version.
  public internal(set) var ignoredEvents = 0

  /// No tasks. `resolution` is how closely the store's times can be compared, in milliseconds.
  public init(resolution: Int64 = 1) { self.init(resolution: resolution, bounds: Bounds()) }

  init(resolution: Int64 = 1, bounds: Bounds) {
    self.resolution = max(1, resolution)
    self.bounds = bounds
  }

  // MARK: Looking

  /// The task of this name.
  public subscript(_ id: TaskID) -> TaskRecord? { tasks[id] }

  /// The task that a message posted; nil where it posted none that is remembered.
  package func posted(by message: Message) -> TaskRecord? {
    guard let task = byMessage[message.id].flatMap({ tasks[$0] }), task.message == message.id else { return nil }
    return task
  }

  /// Tasks that are not over, in the order of posting.
  public func live(at now: Int64) -> [TaskRecord] {
    order[firstLive...].compactMap { tasks[$0] }.filter { !$0.status(at: now).isFinal }
  }

  /// Whether fewer than so many tasks are not over.
  func hasRoom(below limit: Int, at now: Int64) -> Bool {
    order.count - overInOrder < limit || live(at: now).count < limit
  }

  /// The last tasks that ended, the newest first.
  public func recentlyEnded(_ count: Int) -> [TaskRecord] { ended.suffix(count).reversed().compactMap { tasks[$0] } }

  /// The oldest tasks that somebody may take now.
  public func open(at now: Int64, for handle: Handle, limit: Int, except taken: Set<TaskID> = []) -> [TaskRecord] {
    var found: [TaskRecord] = []
    for id in order[firstLive...] where !taken.contains(id) {
      guard let task = tasks[id], task.isOpen(at: now, for: handle) else { continue }
      found.append(task)
      if found.count == limit { break }
    }
    return found
  }

  /// When somebody may next take a task, as far as is known now: at once, or at the end of a lease; nil where there is
  /// nothing to come.
  func nextOpening(at now: Int64, for handle: Handle, except taken: Set<TaskID>) -> Int64? {
    var first: Int64?
    for id in order[firstLive...] where !taken.contains(id) {
      guard let task = tasks[id], task.to == nil || task.to == handle, !task.status(at: now).isFinal else { continue }
      guard let held = task.heldClaim(at: now) else { return now }
      if held.until < task.expiresAt { first = min(first ?? .max, held.until) }
    }
    return first
  }

  /// The task that somebody names: one that is not over where there is one, else one that is.
  public func find(_ reference: TaskReference, at now: Int64) -> Result<TaskRecord, TaskLookupFailure> {
    if let id = TaskID(reference.text) { return tasks[id].map(Result.success) ?? .failure(.init(.unknown(id.text))) }
    let all = tasks.values.filter { $0.id.begins(with: reference.text) }
    let live = all.filter { !$0.status(at: now).isFinal }
    let candidates = live.isEmpty ? all : live
    guard let first = candidates.first else { return .failure(.init(.unknown(reference.text))) }
    return candidates.count == 1 ? .success(first) : .failure(.init(.ambiguous(reference.text)))
  }

  /// Whether people would call a task that is not over like this one.
  func hasLabel(of id: TaskID) -> Bool { order[firstLive...].contains { $0.isCalled(like: id) } }

  // MARK: Taking events

  package static func concerns(_ message: Message) -> Bool {
    if let kind = message.kind { return kind.hasPrefix(TaskEvent.prefix) }
    return message.content.utf8.first == UInt8(ascii: "!")
  }

  /// Takes the next message of the log; nil where it is no event about tasks.
  @discardableResult
  package mutating func apply(_ message: Message) -> Outcome? {
    newest = max(newest, message.storedAt)
    let outcome: Result<TaskID, TaskLookupFailure>
    if let command = TaskCommand(message) {
      if command == .list { return .listed }
      outcome = message.isLate ? .failure(.init(.late)) : carryOut(command, message)
    } else {
      let event: TaskEvent
      do throws(EventRefusal) {
        event = try TaskEvent(message)
      } catch {
        if error != .foreign { ignoredEvents += 1 }
        return nil
      }
      outcome = message.isLate ? .failure(.init(.late)) : carryOut(event, message)
    }
    purge()
    switch outcome {
    case .success(let id): return .accepted(id)
    case .failure(let failure): return .refused(failure.refusal)
    }
  }

  private typealias Verdict = Result<TaskID, TaskLookupFailure>

  private mutating func carryOut(_ event: TaskEvent, _ message: Message) -> Verdict {
    switch event {
    case .post(let id, let posted): post(id, posted, message)
    case .claim(let id, let lease): claim(id, lease, message)
    case .extend(let id, let fence, let lease): asHolder(id, fence, message) { $0.extend($1, id, by: lease) }
    case .done(let id, let fence, let result): asHolder(id, fence, message) { $0.end(id, .done, $1, result) }
    case .fail(let id, let fence, let reason): asHolder(id, fence, message) { $0.end(id, .failed, $1, reason) }
    case .release(let id, let fence, _): asHolder(id, fence, message) { fold, _ in fold.tasks[id]?.claim?.until = 0 }
    case .cancel(let id, let reason): cancel(id, reason, message)
    }
  }

  private mutating func carryOut(_ command: TaskCommand, _ message: Message) -> Verdict {
    switch command {
    case .list: return .failure(.init(.unknown("")))
    case .claim(let reference):
      switch target(reference, message) {
      case .failure(let failure): return .failure(failure)
      case .success(let id):
        // Who holds it and says so again needs it longer.
        if let held = tasks[id]?.heldClaim(at: message.storedAt), held.holder == TaskActor(message) {
          extend(message, id, by: Self.personalLease)
          return .success(id)
        }
        return claim(id, Self.personalLease, message)
      }
    case .done(let reference, let result):
      switch target(reference, message) {
      case .failure(let failure): return .failure(failure)
      case .success(let id):
        let fence = tasks[id]?.claim?.fence ?? MessageID("")
        return asHolder(id, fence, message) { $0.end(id, .done, $1, result) }
      }
    }
  }

  /// The task that a person means, by the message replied to or by the digits: the newest that is not over, so that it
  /// does not matter how far back somebody has read.
  private func target(_ reference: TaskReference?, _ message: Message) -> Verdict {
    guard let reference else {
      guard let replied = message.inReplyTo else { return .failure(.init(.unknown("(none was named)"))) }
      return byMessage[replied].map(Verdict.success) ?? .failure(.init(.unknown("(none was named)")))
    }
    let newest = order.last { id in
      id.begins(with: reference.text) && tasks[id].map { !$0.status(at: message.storedAt).isFinal } ?? false
    }
    if let newest { return .success(newest) }
    switch find(reference, at: message.storedAt) {
    case .success(let task): return .success(task.id)
    case .failure(let failure): return .failure(failure)
    }
  }

  // MARK: Rules

  private mutating func post(_ id: TaskID, _ posted: TaskEvent.Posted, _ message: Message) -> Verdict {
    guard tasks[id] == nil else { return .failure(.init(.idInUse(id))) }
    tasks[id] = TaskRecord(
      id: id, label: posted.label, topic: message.topic, title: posted.title, body: posted.body,
      poster: TaskActor(message), postedAt: message.storedAt, message: message.id, to: message.to,
      expiresAt: message.storedAt + posted.lifetime, extra: TaskEvent.extra(of: message))
    firstExpiry = min(firstExpiry, message.storedAt + posted.lifetime)
    order.append(id)
    byMessage[message.id] = id
    keep(posted.body, of: id, isResult: false)
    return .success(id)
  }

  private mutating func claim(_ id: TaskID, _ lease: Int64, _ message: Message) -> Verdict {
    guard let task = tasks[id] else { return .failure(.init(.unknown(id.text))) }
    if let over = over(task, at: message.storedAt) { return .failure(.init(over)) }
    if let to = task.to, to != message.sender { return .failure(.init(.directed(id, to: to))) }
    if let held = task.heldClaim(at: message.storedAt) {
      return .failure(.init(.held(id, by: held.holder.handle, until: held.until, fence: held.fence)))
    }
    let claim = TaskClaim(
      fence: message.id, number: (task.claim?.number ?? 0) + 1, holder: TaskActor(message), since: message.storedAt,
      until: leaseEnd(message.storedAt, lease, task), extra: TaskEvent.extra(of: message))
    tasks[id]?.claim = claim
    byMessage[message.id] = id
    return .success(id)
  }

  /// Never past the task's own time, and never early: the claim may have been stored so much later than its time says,
  /// in comparison with the next one's.
  private func leaseEnd(_ storedAt: Int64, _ lease: Int64, _ task: TaskRecord) -> Int64 {
    min(storedAt + resolution - 1 + lease, task.expiresAt)
  }

  private mutating func asHolder(
    _ id: TaskID, _ fence: MessageID, _ message: Message, _ change: (inout TaskFold, Message) -> Void
  ) -> Verdict {
    guard let task = tasks[id] else { return .failure(.init(.unknown(id.text))) }
    if let over = over(task, at: message.storedAt) { return .failure(.init(over)) }
    guard let held = task.heldClaim(at: message.storedAt) else { return .failure(.init(.notHeld(id))) }
    guard held.fence == fence else { return .failure(.init(.wrongFence(id, holder: held.holder.handle))) }
    guard held.holder == TaskActor(message) else {
      return .failure(.init(.notHolder(id, holder: held.holder.handle)))
    }
    change(&self, message)
    return .success(id)
  }

  private mutating func extend(_ message: Message, _ id: TaskID, by lease: Int64) {
    guard let task = tasks[id], let claim = task.claim else { return }
    let until = max(claim.until, leaseEnd(message.storedAt, lease, task))
    tasks[id]?.claim?.until = until
  }

  private mutating func cancel(_ id: TaskID, _ reason: String, _ message: Message) -> Verdict {
    guard let task = tasks[id] else { return .failure(.init(.unknown(id.text))) }
    if let over = over(task, at: message.storedAt) { return .failure(.init(over)) }
    guard task.poster == TaskActor(message) else {
      return .failure(.init(.notPoster(id, poster: task.poster.handle)))
    }
    end(id, .cancelled, message, reason)
    return .success(id)
  }

  private mutating func end(_ id: TaskID, _ kind: TaskEnding.Kind, _ message: Message, _ text: String) {
    let ending = TaskEnding(
      kind: kind, by: TaskActor(message), at: message.storedAt, text: text, message: message.id)
    tasks[id]?.ending = ending
    overInOrder += 1
    while firstLive < order.count, tasks[order[firstLive]]?.ending != nil { firstLive += 1 }
    ended.append(id)
    keep(text, of: id, isResult: true)
  }

  private func over(_ task: TaskRecord, at storedAt: Int64) -> TaskRefusal? {
    if let ending = task.ending { return .ended(task.id, ending.kind, by: ending.by.handle) }
    return storedAt >= task.expiresAt ? .expired(task.id) : nil
  }

  // MARK: Bounds

  /// Notes a text, and lets the oldest go where there are too many bytes of them.
  private mutating func keep(_ text: String?, of id: TaskID, isResult: Bool) {
    guard let bytes = text?.utf8.count, bytes > 0 else { return }
    texts.append((id, isResult, bytes))
    textBytes += bytes
    while textBytes > bounds.textBytes, firstText < texts.count {
      let oldest = texts[firstText]
      firstText += 1
      textBytes -= oldest.bytes
      if oldest.isResult {
        tasks[oldest.id]?.ending?.text = nil
      } else {
        tasks[oldest.id]?.body = nil
        tasks[oldest.id]?.bodyIsGone = true
      }
    }
    if firstText > 1024, firstText > texts.count / 2 {
      texts.removeFirst(firstText)
      firstText = 0
    }
  }

  /// Forgets what is long over; now and then, so that an event costs little.
  private mutating func purge() {
    sincePurge += 1
    guard sincePurge >= max(256, tasks.count / 2) else { return }
    sincePurge = 0
    let edge = newest - Self.memory
    var gone: Set<TaskID> = []
    if firstExpiry < edge {
      for task in tasks.values where task.expiresAt < edge { gone.insert(task.id) }
      firstExpiry = tasks.values.reduce(.max) { $1.expiresAt < edge ? $0 : min($0, $1.expiresAt) }
    }
    let excess = ended.count - bounds.over
    if excess > 0 { gone.formUnion(ended.prefix(excess)) }
    let flood = tasks.count - gone.count - bounds.all
    if flood > 0 {
      let oldest = order.filter { !gone.contains($0) }.prefix(flood)
      gone.formUnion(oldest)
    }
    guard !gone.isEmpty || overInOrder * 2 > order.count else { return }
    order = order.filter { !gone.contains($0) && tasks[$0]?.ending == nil }
    overInOrder = 0
    firstLive = 0
    guard !gone.isEmpty else { return }
    ended = ended.filter { !gone.contains($0) }
    byMessage = byMessage.filter { !gone.contains($0.value) }
    for text in texts[firstText...] where gone.contains(text.id) { textBytes -= text.bytes }
    texts = texts[firstText...].filter { !gone.contains($0.id) }
    firstText = 0
    for id in gone { tasks[id] = nil }
  }
}

/// Why no task was found, as an error.
public struct TaskLookupFailure: Error, Hashable, Sendable {
  /// The reason.
  public let refusal: TaskRefusal

  init(_ refusal: TaskRefusal) { self.refusal = refusal }
}
