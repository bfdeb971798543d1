import ParleyCoordination
import ParleyRuntime

extension Backchannel {
  /// How long a claim holds, in seconds, unless it says otherwise; the least and most it may.
  static let defaultLease = 300
  static let leases = 30...3_600

  // MARK: Claiming

  /// Takes the oldest task that nobody has; however many are claimed before it.
  func claim(_ channel: String, actor: String, lease: Int) async throws(Refusal) -> JSONValue {
    try names.checkClaim(actor, "actor")
    let (topic, isClaimable) = try await existing(channel)
    guard isClaimable else {
      throw Refusal(
        409, "channel_not_claimable", "channel '\(channel)' carries broadcasts: nothing can be claimed there")
    }
    let task: TaskRecord?
    do throws(HubError) {
      task = try await tasks.claimNext(on: topic, lease: .seconds(lease), extra: [Self.actorName: actor])
    } catch {
      throw Refusal(backchannel: error)
    }
    guard let task, let claim = task.claim else {
      return ["claimed": nil, "message": nil, "note": "no unclaimed messages"]
    }
    remember(task.id, Held(actor: actor, fence: claim.fence))
    let message = BackchannelMessage.task(task, channel: channel, at: claim.since)
    return ["claimed": ["status": "claimed", "message": message], "message": message]
  }

  private func remember(_ id: TaskID, _ claim: Held) {
    if held.count >= Self.claims {
      // What was acknowledged is only remembered to answer a repeated call.
      held = held.filter { !$0.value.isAcknowledged }
      if held.count >= Self.claims { held.removeAll() }
    }
    held[id] = claim
  }

  /// The claim that an actor of this session made.
  private func claim(of id: String, by actor: String) throws(Refusal) -> (TaskID, Held) {
    guard let id = TaskID(id) else {
      throw Refusal(
        404, "message_not_found", "there is no task '\(id.prefix(64))': message_id is what post_task returned")
    }
    guard let claim = held[id] else {
      throw Refusal(409, "not_claimed", "message \(id) was not claimed in this session; call claim_task first")
    }
    guard claim.actor == actor else {
      throw Refusal(403, "forbidden", "message \(id) was claimed by '\(claim.actor)', not by '\(actor)'")
    }
    return (id, claim)
  }

  /// Says something about a task that an actor of this session claimed.
  private func update(_ channel: String, _ id: TaskID, _ claim: Held, _ update: TaskUpdate) async throws(Refusal)
    -> TaskRecord
  {
    let topic = try await existing(channel).topic
    do throws(HubError) {
      return try await tasks.update(id.text, on: topic, fence: claim.fence.text, update)
    } catch {
      throw Refusal(backchannel: error)
    }
  }

  /// The holder is done. Said again, it changes nothing.
  func acknowledge(_ channel: String, _ message: String, actor: String, result: String) async throws(Refusal)
    -> JSONValue
  {
    let (id, claim) = try claim(of: message, by: actor)
    guard !claim.isAcknowledged else {
      let (task, now) = try await task(id, channel)
      return [
        "status": "already_acknowledged", "message": BackchannelMessage.task(task, channel: channel, at: now),
      ]
    }
    let task = try await update(channel, id, claim, .done(result: result))
    held[id]?.isAcknowledged = true
    return [
      "status": "acknowledged",
      "message": BackchannelMessage.task(task, channel: channel, at: task.ending?.at ?? task.postedAt),
    ]
  }

  /// The holder gives it back: another may claim it at once.
  func release(_ channel: String, _ message: String, actor: String, reason: String) async throws(Refusal) -> JSONValue {
    let (id, claim) = try openClaim(of: message, by: actor)
    let task = try await update(channel, id, claim, .release(reason: reason))
    held[id] = nil
    return [
      "status": "released", "message": BackchannelMessage.task(task, channel: channel, at: task.claim?.since ?? 0),
    ]
  }

  /// The holder needs it longer.
  func extend(_ channel: String, _ message: String, actor: String, lease: Int) async throws(Refusal) -> JSONValue {
    let (id, claim) = try openClaim(of: message, by: actor)
    let task = try await update(channel, id, claim, .extend(.seconds(lease)))
    return [
      "status": "extended", "expires_at": .text(task.claim.map { BackchannelMessage.time($0.until) }),
      "message": BackchannelMessage.task(task, channel: channel, at: task.claim?.since ?? task.postedAt),
    ]
  }

  private func openClaim(of message: String, by actor: String) throws(Refusal) -> (TaskID, Held) {
    let (id, claim) = try claim(of: message, by: actor)
    guard !claim.isAcknowledged else {
      throw Refusal(409, "already_acknowledged", "message \(id) was acknowledged already")
    }
    return (id, claim)
  }

  private func task(_ id: TaskID, _ channel: String) async throws(Refusal) -> (TaskRecord, now: Int64) {
    let topic = try await existing(channel).topic
    let (fold, now) = try await refusing { () throws(HubError) in try await tasks.state(of: topic) }
    guard let task = fold[id] else { throw Refusal(404, "message_not_found", "message \(id) is not there any more") }
    return (task, now)
  }

  // MARK: Waiting

  /// Waits until a task is over, for at most so many seconds.
  func awaitResult(_ channel: String, _ message: String, seconds: Int, _ context: CallContext) async throws(Refusal)
    -> JSONValue
  {
    guard let id = TaskID(message) else {
      throw Refusal(
        404, "message_not_found",
        "there is no task '\(message.prefix(64))': message_id is what post_task returned, and a broadcast has no result"
      )
    }
    let topic = try await existing(channel).topic
    let start = loop.now
    let tasks = tasks
    let (found, now, isOver): ([TaskRecord], Int64, Bool)
    do throws(HubError) {
      (found, now, isOver) = try await context.reportingProgress(for: .seconds(seconds), "waiting for the result") {
        () throws(HubError) in
        try await tasks.settled([id.text], on: topic, until: start.advanced(by: .seconds(seconds)))
      }
    } catch {
      throw Refusal(backchannel: error)
    }
    guard let task = found.first, isOver else {
      let polled = Double(start.duration(to: loop.now).milliseconds / 100) / 10
      return [
        "status": "timeout", "polled_for_seconds": (try? JSONValue(parsing: "\(polled)")) ?? nil,
        "message_id": .string(message),
      ]
    }
    var result: JSONObject = ["status": .string(Self.status(of: task, at: now))]
    result["message"] = BackchannelMessage.task(task, channel: channel, at: now)
    if let ending = task.ending {
      let name = ending.kind == .done ? "result" : "reason"
      result[name] = .text(ending.text)
      // The text had to be let go here; the message that said it still has it.
      if ending.text == nil { result["\(name)_in"] = .string(ending.message.text) }
    }
    return .object(result)
  }

  private static func status(of task: TaskRecord, at now: Int64) -> String {
    let status = task.status(at: now)
    return status == .done ? "acknowledged" : status.rawValue
  }
}
