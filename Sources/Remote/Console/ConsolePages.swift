import ParleyCoordination
import ParleyRuntime

/// The parts of the console's pages that are made of more than one thing.
struct ConsolePages {
  let room: ConsoleRoom
  let frame: ConsoleFrame
  let metrics: DoorMetrics
  /// A lease, a request or somebody's presence ends then without a word: what is shown changes.
  let expect: (_ milliseconds: Int64) -> Void
  private var hub: Hub { room.hub }

  // MARK: Overview

  func overview() async -> HTMLPage {
    let body = """
      \(state)
      <h2>Topics</h2>
      \(await topics(current: nil))
      <h2>Who is here</h2>
      \(await people())
      """
    return frame.page("Overview", at: .overview, reload: ConsoleRoute.overview.rawValue, body: body)
  }

  /// The backend's state, where it is not well.
  private var state: String {
    let health = room.health
    let isWell = health.state == .live
    let cause = health.cause.map { ": \(ConsoleText.line($0.description, bytes: 500))" } ?? ""
    return """
      <p id="backend" data-live="whole"\(isWell ? "" : " class=\"error\"")>\(isWell ? "The backend works." : """
        The backend: \(health.state.rawValue), since \(ConsoleText.time(health.since))\(cause)
        """)</p>
      """
  }

  func topics(current: Topic?) async -> String {
    let unread = await room.unread()
    let items = hub.setup.topics.enumerated().map { place, topic in
      let count = unread[topic] ?? Unread(count: 0)
      let news = "<span class=\"count\">\(count.count)\(count.isCapped ? " or more" : "") unread</span>"
      return """
        <li id="t-\(place)"><a href="\(HTMLPage.escape(ConsoleMessages.address(topic)))"\
        \(topic == current ? " aria-current=\"page\"" : "")>\(ConsoleText.line(topic.name))</a> \
        \(count.count > 0 ? news : "")</li>
        """
    }
    return "<ul id=\"topics\" data-live=\"list\">\(items.joined())</ul>"
  }

  private func people() async -> String {
    do throws(HubError) {
      let people = try await room.participants()
      let lifetime = hub.setup.presenceLifetime.milliseconds
      for person in people where person.isOnline { expect(person.lastSeen + lifetime) }
      let items = people.map { person in
        """
        <li id="p-\(ConsoleText.name(person.handle.name))"><div class="who">\
        <strong>\(ConsoleText.line(person.handle.name))</strong> \
        <span class="tag\(person.isOnline ? " sure" : "")">\(person.isOnline ? "here" : "away")</span> \
        <span class="hint">\(person.party.rawValue)</span> \
        \(person.status.map { "<span>\(ConsoleText.line($0))</span>" } ?? "") \
        <span class="hint">\(ConsoleText.time(person.lastSeen))</span></div></li>
        """
      }
      let nobody = "<li id=\"none\" class=\"hint\">Nobody was here in the last hour.</li>"
      return "<ul id=\"people\" data-live=\"list\">\(items.isEmpty ? nobody : items.joined())</ul>"
    } catch { return failed(error) }
  }

  func failed(_ error: HubError) -> String {
    "<p class=\"error\">\(ConsoleText.line(error.description, bytes: 500))</p>"
  }

  // MARK: A topic

  /// What was typed where a post was refused.
  struct Draft {
    var text = ""
    var reply: MessageID?
  }

  func topic(_ messages: ConsoleMessages, draft: Draft, error: String? = nil) async -> HTMLPage {
    let topic = messages.topic
    let address = ConsoleMessages.address(topic, at: messages.position, isWhole: messages.isWhole)
    let body = """
      \(messages.isWhole ? "" : postForm(topic, draft))
      \(messages.html)
      \(messages.isWhole || messages.position != .latest ? "" : readForm(messages))
      <h2>Topics</h2>
      \(await topics(current: topic))
      """
    return frame.page(topic.name, at: .topic, reload: error == nil ? address : nil, error: error, body: body)
  }

  private func postForm(_ topic: Topic, _ draft: Draft) -> String {
    let reply = draft.reply.map { id in
      """
      <p class="note">In reply to \(ConsoleText.line(id.text, bytes: 64)). \
      <a href="\(HTMLPage.escape(ConsoleMessages.address(topic)))">Rather not</a></p>\
      \(ConsoleText.hidden("reply", id.text))
      """
    }
    // The key makes a form that is sent twice one message.
    let fields = frame.fields([("topic", topic.name), ("key", "console-" + UUIDv4.make())])
    return """
      <form class="card" method="post" action="\(ConsoleRoute.post.rawValue)" autocomplete="off">
      \(fields)\(reply ?? "")
      <label for="text">\(draft.reply == nil ? "Post" : "Reply") as \(ConsoleText.line(frame.me.name))</label>
      <textarea class="text" id="text" name="text" required\(draft.reply == nil ? "" : " autofocus")>
      \(HTMLPage.escape(draft.text))</textarea>
      <div class="buttons"><button class="go">\(draft.reply == nil ? "Post" : "Reply")</button></div>
      </form>
      """
  }

  private func readForm(_ messages: ConsoleMessages) -> String {
    guard let (cursor, storedAt) = messages.newest else { return "" }
    let fields = frame.fields([
      ("topic", messages.topic.name), ("cursor", cursor.text), ("at", String(storedAt)),
    ])
    return """
      <form id="read" data-live="whole" method="post" action="\(ConsoleRoute.read.rawValue)">\(fields)\
      <button class="small no">Mark as read up to here</button></form>
      """
  }

  // MARK: Approvals

  func approvals(error: String? = nil) async -> HTMLPage {
    let body: String
    do throws(HubError) {
      let requests = try await room.requests()
      let obstacle = await room.desk?.obstacle()
      for request in requests {
        guard let lifetime = request.message.attributes["ttl_ms"].flatMap({ Int64($0) }) else { continue }
        expect(request.message.storedAt + lifetime)
      }
      let none = "<li id=\"none\" class=\"hint\">Nobody asks for leave.</li>"
      let items = requests.reversed().map { item($0, canAnswer: obstacle == nil) }.joined()
      body = """
        \(obstacle.map { "<p class=\"note\">You cannot answer here: \(ConsoleText.line($0.description, bytes: 500))</p>" } ?? "")
        <ol id="requests" data-live="list">\(requests.isEmpty ? none : items)</ol>
        """
    } catch { body = failed(error) }
    return frame.page(
      "Approvals", at: .approvals, reload: error == nil ? ConsoleRoute.approvals.rawValue : nil, error: error,
      body: body)
  }

  private func item(_ request: ApprovalDesk.Open, canAnswer: Bool) -> String {
    let message = request.message
    let fields = frame.fields([("code", request.code), ("message", message.id.text)])
    let form = """
      <form class="answer" method="post" action="\(ConsoleRoute.approve.rawValue)">\(fields)\
      <button class="small go" name="verdict" value="allow">Allow</button>\
      <button class="small no" name="verdict" value="deny">Deny</button></form>
      """
    return """
      <li id="a-\(ConsoleText.name(message.id.text))"><div class="who">\
      <strong>\(ConsoleText.line(message.sender.name))</strong> \
      <span class="tag\(message.provenance == .verified ? " sure" : "")">\(message.provenance.rawValue)</span> \
      <span class="tag">code \(ConsoleText.line(request.code))</span> \
      <span class="hint">\(ConsoleText.time(message.storedAt))</span></div>\
      \(ConsoleText.block(message.content, bytes: 32 << 10).html)\(canAnswer ? form : "")</li>
      """
  }
}
