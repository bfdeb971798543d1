import ParleyCoordination
import ParleyHTTPServer
import ParleyRuntime

/// What the owner does by a form of the console. What is refused is told on the page that it came from, with what was
/// typed.
struct ConsoleActions {
  let room: ConsoleRoom
  let pages: ConsolePages
  private var coordination: Coordination { room.participant.coordination }

  /// Does what a form asks for; its token has been judged.
  func perform(_ route: ConsoleRoute, _ form: FormFields) async -> HTTPResponse {
    switch route {
    case .post: return await post(form)
    case .read:
      do throws(HubError) {
        let topic = try await markRead(form)
        return ConsoleEndpoint.see(ConsoleMessages.address(topic))
      } catch { return ConsoleEndpoint.page(error.status, "This cannot be done", error.description) }
    case .task:
      do throws(HubError) {
        try await task(form)
        return ConsoleEndpoint.see(.tasks)
      } catch { return await pages.tasks(error: error.description).response(error.status) }
    case .approve:
      do throws(HubError) {
        try await approve(form)
        return ConsoleEndpoint.see(.approvals)
      } catch { return await pages.approvals(error: error.description).response(error.status) }
    default: return ConsoleEndpoint.see(.overview)
    }
  }

  private func required(_ name: String, in form: FormFields) throws(HubError) -> String {
    guard let value = form[name] else { throw .badArgument(name: name, reason: "is required") }
    return value
  }

  /// A topic that the owner may use; those of the coordination parts are none.
  private func topic(of form: FormFields) async throws(HubError) -> Topic {
    let topic = Topic(try required("topic", in: form))
    guard !topic.isReserved else { throw .topicNotAllowed(topic) }
    try await room.hub.check(topic)
    return topic
  }

  // MARK: Messages

  private func post(_ form: FormFields) async -> HTTPResponse {
    let draft = ConsolePages.Draft(
      text: ConsoleText.typed(form["text"] ?? ""), reply: form["reply"].map(MessageID.init))
    do throws(HubError) {
      let topic = try await topic(of: form)
      do throws(HubError) {
        guard !draft.text.isEmpty else { throw .badArgument(name: "text", reason: "must not be empty") }
        _ = try await room.hub.post(
          PostRequest(topic: topic, content: draft.text, inReplyTo: draft.reply, key: form["key"]))
        return ConsoleEndpoint.see(ConsoleMessages.address(topic))
      } catch {
        return await pages.topic(await messages(of: topic), draft: draft, error: error.description)
          .response(error.status)
      }
    } catch { return ConsoleEndpoint.page(error.status, "This cannot be done", error.description) }
  }

  /// The topic beside what was refused: its messages may not be readable either.
  private func messages(of topic: Topic) async -> ConsoleMessages {
    do throws(HubError) {
      return try await room.messages(of: topic, at: .latest, isWhole: false)
    } catch { return .unknown(topic) }
  }

  private func markRead(_ form: FormFields) async throws(HubError) -> Topic {
    let topic = try await topic(of: form)
    guard let storedAt = Int64(try required("at", in: form)) else {
      throw .badArgument(name: "at", reason: "must be a number")
    }
    let cursor = Cursor(try required("cursor", in: form))
    try await coordination.marks.mark(topic, at: cursor, storedAt: storedAt)
    await room.participant.inbox.markMoved(topic, to: cursor)
    return topic
  }

  // MARK: Tasks

  private func task(_ form: FormFields) async throws(HubError) {
    let tasks = coordination.tasks
    let topic = try await topic(of: form)
    let verb = try required("do", in: form)
    if verb == "post" {
      var post = TaskPost(topic: topic, title: try required("title", in: form))
      post.body = form["body"].map(ConsoleText.typed)
      _ = try await tasks.post(post)
      return
    }
    let name = try required("task", in: form)
    let text = ConsoleText.typed(form["text"] ?? "")
    let update: TaskUpdate
    switch verb {
    case "claim":
      _ = try await tasks.claim(name, on: topic)
      return
    case "done": update = .done(result: text)
    case "fail": update = .fail(reason: text)
    case "release": update = .release(reason: text)
    case "cancel": update = .cancel(reason: text)
    default: throw .badArgument(name: "do", reason: "is unknown")
    }
    _ = try await tasks.update(name, on: topic, fence: form["fence"], update)
  }

  // MARK: Approvals

  private func approve(_ form: FormFields) async throws(HubError) {
    guard let desk = room.desk else { throw .badArgument(name: "approvals", reason: "are not configured") }
    let verdict: Approval
    switch try required("verdict", in: form) {
    case "allow": verdict = .allow
    case "deny": verdict = .deny
    default: throw .badArgument(name: "verdict", reason: "must be allow or deny")
    }
    _ = try await desk.answer(
      verdict, to: try required("code", in: form), asking: MessageID(try required("message", in: form)))
  }
}
