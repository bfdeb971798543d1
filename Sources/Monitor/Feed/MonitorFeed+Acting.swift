import ParleyCoordination
import ParleyMCP
import ParleyRuntime

extension MonitorFeed {
  /// Does what somebody typed, at a place; what became of it, in one line. Throws why it was refused.
  func perform(_ input: MonitorInput, at place: MonitorPlace?) async throws(HubError) -> String {
    switch input {
    case .post(let text, let to): return try await post(text, to: to, at: place)
    case .taskPost(let title):
      let task = try await coordination.tasks.post(TaskPost(topic: try topic(place), title: title)).task
      return "task \(task.label) is posted"
    case .claim(let name): return try await claim(name, at: place)
    case .finish(let name, let finish): return try await self.finish(name, finish, at: place)
    case .markRead: return try await markRead(place)
    case .topic, .sender, .unread, .status, .help, .quit: return ""
    }
  }

  private func topic(_ place: MonitorPlace?) throws(HubError) -> Topic {
    guard case .topic(let topic) = place else {
      throw .badArgument(
        name: "topic", reason: place == nil ? "choose one first, with Tab" : "a chatroom has none of these")
    }
    return topic
  }

  private func post(_ text: String, to: Handle?, at place: MonitorPlace?) async throws(HubError) -> String {
    let start = loop.now
    if case .room(let id) = place {
      guard to == nil else { throw .badArgument(name: "to", reason: "goes with the chatroom's own tools") }
      try await chatroom?.speak(text, in: id, as: hub.setup.author.handle.name)
    } else {
      _ = try await hub.post(PostRequest(topic: try topic(place), content: text, to: to))
    }
    postTime = start.duration(to: loop.now)
    return ""
  }

  private func claim(_ name: String?, at place: MonitorPlace?) async throws(HubError) -> String {
    let claimed: TaskRecord?
    if let name {
      claimed = try await coordination.tasks.claim(name, on: place == nil ? nil : try topic(place))
    } else {
      claimed = try await coordination.tasks.claimNext(on: try topic(place))
    }
    guard let claimed, let claim = claimed.claim else { return "no task is open" }
    return "\(claimed.label) is yours until \(MonitorLines.clock(claim.until)): \(claimed.title)"
  }

  private func finish(
    _ name: String, _ finish: MonitorInput.Finish, at place: MonitorPlace?
  ) async throws(HubError) -> String {
    let topic = place == nil ? nil : try topic(place)
    let (task, now) = try await coordination.tasks.task(named: name, on: topic)
    let update: TaskUpdate =
      switch finish {
      case .done(let text): .done(result: text)
      case .fail(let text): .fail(reason: text)
      case .release(let text): .release(reason: text)
      case .cancel(let text): .cancel(reason: text)
      }
    // The claim that the log names; whether it is the participant's is judged by the update. Without one there is none
    // to name, and the update says so.
    let isCancel = if case .cancel = update { true } else { false }
    let fence = isCancel ? nil : task.heldClaim(at: now)?.fence.text ?? "none"
    let after = try await coordination.tasks.update(name, on: topic, fence: fence, update)
    return "\(after.label) is \(after.status(at: now).rawValue)"
  }

  private func markRead(_ place: MonitorPlace?) async throws(HubError) -> String {
    let topic = try topic(place)
    guard showsOwnMarks else {
      throw .badArgument(name: "read", reason: "these are another's read marks, which only that one moves")
    }
    guard let newest = newest(of: topic) else { return "there is nothing to read" }
    try await marks.mark(topic, at: newest.cursor, storedAt: newest.storedAt)
    await inbox?.markMoved(topic, to: newest.cursor)
    return "read up to here"
  }
}
