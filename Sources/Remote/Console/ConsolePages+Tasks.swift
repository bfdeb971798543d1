import ParleyCoordination
import ParleyRuntime

extension ConsolePages {
  /// Tasks of one topic that are shown.
  private static let shownTasks = 100

  /// The task board of every topic, with what the owner may do.
  func tasks(error: String? = nil) async -> HTMLPage {
    var body = postForm
    do throws(HubError) {
      let boards = try await room.boards()
      // Lists that come and go are one part; within it each task is taken over by itself.
      for topic in room.hub.setup.topics {
        let board = boards.first { $0.topic == topic }?.board
        body += list(topic, board)
      }
    } catch { body += failed(error) }
    return frame.page(
      "Tasks", at: .tasks, reload: error == nil ? ConsoleRoute.tasks.rawValue : nil, error: error, body: body)
  }

  private var postForm: String {
    let topics = room.hub.setup.topics.map { topic in
      "<option value=\"\(HTMLPage.escape(topic.name))\">\(HTMLPage.escape(VisibleText.visible(topic.name, keepsLines: false)))</option>"
    }
    return """
      <details class="card"><summary>Post a task</summary>
      <form method="post" action="\(ConsoleRoute.task.rawValue)" autocomplete="off">\(frame.fields())
      <label for="task-topic">Topic</label>
      <select class="text" id="task-topic" name="topic">\(topics.joined())</select>
      <label for="title">What is to be done, in one line</label>
      <input class="text" id="title" name="title" required>
      <label for="body">More about it</label>
      <textarea class="text" id="body" name="body"></textarea>
      <div class="buttons"><button class="go" name="do" value="post">Post the task</button></div>
      </form></details>
      """
  }

  private func list(_ topic: Topic, _ board: Tasks.Board?) -> String {
    let all = board.map { $0.live + $0.ended } ?? []
    let tasks = all.prefix(Self.shownTasks)
    let now = board?.now ?? 0
    for task in tasks where task.ending == nil { expect(task.heldClaim(at: now)?.until ?? task.expiresAt) }
    let place = room.hub.setup.topics.firstIndex(of: topic) ?? 0
    var items = tasks.map { item($0, at: now) }.joined()
    if tasks.isEmpty { items = "<li id=\"none-\(place)\" class=\"hint\">No tasks.</li>" }
    if all.count > tasks.count {
      items += "<li id=\"more-\(place)\" class=\"hint\">And \(all.count - tasks.count) more.</li>"
    }
    return """
      <h2>\(ConsoleText.line(topic.name))</h2>
      <ul id="tasks-\(place)" data-live="list">\(items)</ul>
      """
  }

  private func item(_ task: TaskRecord, at now: Int64) -> String {
    let status = task.status(at: now)
    let body = task.body.map { text in
      "<details><summary>More</summary>\(ConsoleText.block(text, bytes: 8 << 10).html)</details>"
    }
    let outcome = task.ending?.text.map { ConsoleText.block($0, bytes: 8 << 10).html }
    return """
      <li id="k-\(ConsoleText.name(task.id.text))"><div class="who"><strong>\(ConsoleText.line(task.title))</strong> \
      <span class="tag">\(ConsoleText.line(task.label))</span> \
      <span class="tag\(status.isFinal ? "" : " sure")">\(status.rawValue)</span> \(who(task, at: now))</div>\
      \(body ?? "")\(outcome ?? "")\(form(task, at: now))</li>
      """
  }

  private func who(_ task: TaskRecord, at now: Int64) -> String {
    var text = "<span class=\"hint\">from \(ConsoleText.line(task.poster.handle.name))"
    if let to = task.to { text += " for \(ConsoleText.line(to.name))" }
    if let claim = task.heldClaim(at: now) {
      text += ", held by \(ConsoleText.line(claim.holder.handle.name)) until \(ConsoleText.time(claim.until))"
    } else if let ending = task.ending {
      text += ", \(ending.kind.rawValue) by \(ConsoleText.line(ending.by.handle.name)) \(ConsoleText.time(ending.at))"
    }
    return text + "</span>"
  }

  /// What the owner may do with a task now; the door judges it again when it is asked for.
  private func form(_ task: TaskRecord, at now: Int64) -> String {
    func button(_ verb: String, _ name: String) -> String {
      "<button class=\"small \(verb == "claim" || verb == "done" ? "go" : "no")\" name=\"do\" value=\"\(verb)\">\(name)</button>"
    }
    var fields = [("topic", task.topic.name), ("task", task.id.text)]
    var buttons: [String] = []
    var asks = ""
    if task.isOpen(at: now, for: frame.me) { buttons.append(button("claim", "Claim")) }
    if let claim = task.heldClaim(at: now), claim.holder.handle == frame.me {
      fields.append(("fence", claim.fence.text))
      asks = "<input class=\"text\" name=\"text\" aria-label=\"Result or reason\" placeholder=\"Result or reason\">"
      buttons += [button("done", "Done"), button("fail", "Failed"), button("release", "Give back")]
    }
    if !task.status(at: now).isFinal, task.poster.handle == frame.me { buttons.append(button("cancel", "Withdraw")) }
    guard !buttons.isEmpty else { return "" }
    return """
      <form class="answer" method="post" action="\(ConsoleRoute.task.rawValue)" autocomplete="off">\(frame.fields(fields))\
      \(asks)\(buttons.joined())</form>
      """
  }
}
