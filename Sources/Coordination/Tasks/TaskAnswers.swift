import ParleyRuntime

/// Answers what people write in a chat client about tasks: a short line in the room, from exactly one process.
///
/// What people write counts by itself, at its place in the log; the answer only says so. The lowest live instance that
/// hears the topic gives it. Each further one steps in only if nothing came for a while, since the lowest may have died.
public actor TaskAnswers: LoopActor {
  /// How long each instance waits for the one before it.
  static let turn: Duration = .seconds(3)
  /// Instances that step in at most.
  static let turns = 4
  /// Tasks in a list.
  static let listed = 10
  /// The kind of an answer; its attribute `request` names the message that it answers.
  static let kind = "answer"

  public nonisolated let loop: EventLoop
  private let hub: Hub
  private let tasks: Tasks
  private let presence: Presence
  /// Requests that wait for their turn here, and those that somebody has answered lately.
  private var pending: Set<MessageID> = []
  private var answered: Set<MessageID> = []
  private var isStopped = false

  /// Answers as the hub's participant; `presence` says whose turn it is.
  public init(hub: Hub, tasks: Tasks, presence: Presence) {
    loop = hub.loop
    self.hub = hub
    self.tasks = tasks
    self.presence = presence
  }

  /// Whether `take` may have to do with a message; most it does not.
  public static func concerns(_ message: Message) -> Bool {
    message.kind == kind || message.content.utf8.first == UInt8(ascii: "!")
  }

  /// Looks at a message as it comes; must be called on the loop.
  public func take(_ message: Message) {
    if message.kind == Self.kind, let request = message.attributes["request"] {
      note(MessageID(request))
      return
    }
    guard !isStopped, TaskCommand(message) != nil, !answered.contains(message.id), pending.count < 1_000,
      pending.insert(message.id).inserted
    else { return }
    loop.spawn { await self.answer(message) }
  }

  /// Nothing is answered afterwards.
  public func stop() { isStopped = true }

  private func note(_ request: MessageID) {
    // Answers come within seconds of their requests: what is older need not be known.
    if answered.count >= 4_096 { answered.removeAll() }
    answered.insert(request)
  }

  private func answer(_ message: Message) async {
    defer { pending.remove(message.id) }
    let rank = await presence.rank(on: message.topic)
    guard rank < Self.turns else { return }
    if rank > 0 { await loop.sleep(for: Self.turn * rank) }
    guard !isStopped, !answered.contains(message.id) else { return }
    do throws(HubError) {
      guard let text = try await text(for: message), !answered.contains(message.id) else { return }
      note(message.id)
      _ = try await hub.postUnchecked(
        PostRequest(
          topic: message.topic, content: text, inReplyTo: message.id, key: "task-answer:\(message.id.text)".clipped,
          attributes: ["kind": Self.kind, "request": message.id.text]))
    } catch {
      Log.write(.info, "a question about tasks was not answered", [("cause", error.description)])
    }
  }

  private func text(for message: Message) async throws(HubError) -> String? {
    let log = try await tasks.log(of: message.topic)
    let outcome = await log.outcome(of: message.id, until: loop.now.advanced(by: hub.setup.patience))
    let (fold, now) = log.current
    switch outcome {
    case .listed: return Self.list(fold.live(at: now), at: now)
    case .refused(let refusal): return refusal.reason
    case .accepted(let id): return fold[id].map { Self.line($0, at: now) }
    case nil: return nil
    }
  }

  /// `task 7f3a: build the docs (ann, until 14:05 UTC)`
  static func line(_ task: TaskRecord, at now: Int64) -> String {
    "task \(task.label): \(task.title) (\(state(task, at: now)))"
  }

  private static func state(_ task: TaskRecord, at now: Int64) -> String {
    func shown(_ handle: Handle) -> String { VisibleText.visible(handle.name, keepsLines: false) }
    if let claim = task.heldClaim(at: now) {
      return "\(shown(claim.holder.handle)), until \(ClockText.text(claim.until))"
    }
    if let ending = task.ending { return "\(ending.kind.rawValue), \(shown(ending.by.handle))" }
    let status = task.status(at: now)
    return status == .open ? task.to.map { "open, for \(shown($0))" } ?? "open" : status.rawValue
  }

  private static func list(_ tasks: [TaskRecord], at now: Int64) -> String {
    guard !tasks.isEmpty else { return "no open tasks" }
    let lines = tasks.prefix(listed).map { line($0, at: now) }
    let rest = tasks.count > listed ? ["and \(tasks.count - listed) more"] : []
    return (lines + rest).joined(separator: "\n")
  }
}

extension String {
  /// As much as a key may have.
  fileprivate var clipped: String { utf8.count <= 255 ? self : "task-answer:" + SHA256.hexadecimal(self, digits: 32) }
}
