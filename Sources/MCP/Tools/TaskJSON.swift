import ParleyCoordination
import ParleyRuntime

extension JSONWriter {
  /// Writes the members of a task as results carry it: what it is, then what became of it, each only where there is
  /// something to say. Times are milliseconds since 1970 by the store's clock.
  package mutating func task(_ task: TaskRecord, at now: Int64, withTexts: Bool = true) {
    let status = task.status(at: now)
    beginObject()
    member(trusted: "task", task.id.text)
    member(trusted: "label", task.label)
    member(trusted: "topic", task.topic.name)
    member(trusted: "title", task.title)
    if withTexts, let body = task.body { member("body", body) }
    if withTexts, task.bodyIsGone { member("bodyIn", task.message.text) }
    member(trusted: "status", status.rawValue)
    member(trusted: "postedBy", task.poster.handle.name)
    if let to = task.to { member("to", to.name) }
    key(trusted: "expiresAtMs")
    int(task.expiresAt)
    if let claim = task.heldClaim(at: now) {
      member(trusted: "holder", claim.holder.handle.name)
      member(trusted: "fence", claim.fence.text)
      key(trusted: "claim")
      int(claim.number)
      key(trusted: "leaseUntilMs")
      int(claim.until)
    }
    if let ending = task.ending {
      member(trusted: "by", ending.by.handle.name)
      let name = ending.kind == .done ? "result" : "reason"
      if withTexts, let text = ending.text { member(name, text) }
      if withTexts, ending.text == nil { member("\(name)In", ending.message.text) }
    }
    member(trusted: "backendMsgId", task.message.text)
    endObject()
  }

  /// Writes a list of tasks, with their bodies and results as long as they fit into so many bytes.
  package mutating func tasks(_ tasks: [TaskRecord], at now: Int64, bytes: Int) {
    let start = self.bytes.count
    beginArray()
    for task in tasks {
      let texts = (task.body?.utf8.count ?? 0) + (task.ending?.text?.utf8.count ?? 0)
      self.task(task, at: now, withTexts: self.bytes.count - start + texts * 5 / 4 < bytes)
    }
    endArray()
  }
}
