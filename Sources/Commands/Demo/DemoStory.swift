import ParleyRuntime

/// What happens in the demo, told while it happens.
struct DemoStory: Sendable {
  let executable: String
  let folder: DemoFolder
  let loop: EventLoop
  let output: Output

  var topic: String { folder.place.topic }
  var deadline: LoopInstant { loop.now.advanced(by: AgentProcess.patience) }

  /// Plays the story; false when something did not arrive.
  func play(with guest: DemoGuest?) async -> Bool {
    do throws(SystemError) {
      let planner = try await start("planner", guest: guest?.account)
      let builder = try await start("builder", guest: guest?.account)
      let worked = await talk(planner, builder, guest)
      let codes = [await planner.end(), await builder.end()]
      say("Both servers ended with their input (exit codes \(codes[0]) and \(codes[1])).")
      return worked && codes == [0, 0]
    } catch {
      output.note("\(error)")
      return false
    }
  }

  private func start(_ handle: String, guest: String?) async throws(SystemError) -> AgentProcess {
    let started = loop.now
    let configuration = try folder.configuration(for: handle, guest: guest ?? "")
    let agent = try AgentProcess(
      [executable, "serve", "--log-level", "warning", "--config", configuration], on: loop)
    try await agent.open()
    let client = #""clientInfo":{"name":"parley-demo","version":"\#(ParleyVersion.text)"}"#
    _ = await agent.request("initialize", #"{"protocolVersion":"2025-11-25","capabilities":{},\#(client)}"#)
    let answered = loop.now
    await agent.notify("notifications/initialized")
    // The first tool result means that the backend is live and the inbox has caught up.
    _ = await agent.call("parley_fetch_recent", ["topic": .string(topic), "limit": 1])
    say("\(handle): MCP server answered initialize \(milliseconds(started, answered)) after exec.")
    step("started", of: handle, took: started.duration(to: answered))
    return agent
  }

  private func talk(_ planner: AgentProcess, _ builder: AgentProcess, _ guest: DemoGuest?) async -> Bool {
    say("")
    let work: JSONValue = [
      "topic": .string(topic), "to": "builder", "content": "@builder please build the docs; the outline is attached",
      "attributes": ["kind": "work", "outline": "intro, install, first message"],
    ]
    guard let handed = await pass("parley_post", work, from: planner, to: builder, names: ("planner", "builder")),
      let id = handed.member("meta")?.member("msg_id")?.string
    else { return false }
    let answer: JSONValue = [
      "topic": .string(topic), "in_reply_to": .string(id), "content": "@planner built: 3 pages, no warnings",
    ]
    guard
      let answered = await pass("parley_reply", answer, from: builder, to: planner, names: ("builder", "planner")),
      answered.member("meta")?.member("in_reply_to")?.string == id
    else { return false }
    if let guest {
      guard await hear(guest, planner, builder) else { return false }
      return await showLog(of: builder, count: 4)
    }
    return await showLog(of: builder, count: 2)
  }

  /// Lets one agent call a tool, and waits for the push at the other.
  func pass(
    _ tool: String, _ arguments: JSONValue, from sender: AgentProcess, to receiver: AgentProcess,
    names: (String, String)
  ) async -> JSONSlice? {
    let posted = loop.now
    guard let receipt = await sender.call(tool, arguments), let durability = receipt.member("durability")?.string else {
      output.note("\(names.0): \(tool) failed")
      return nil
    }
    let stored = loop.now
    guard let push = await receiver.nextPush(), let content = push.params.member("content")?.string else {
      output.note("\(names.1): no push came")
      return nil
    }
    say("\(names.0) -> \(names.1)  \(tool)")
    say("    \"\(VisibleText.visible(content))\"")
    if let answered = push.params.member("meta")?.member("in_reply_to")?.string { say("    in reply to #\(answered)") }
    let pushed = milliseconds(posted, push.at)
    say(
      "    stored (\(durability)) after \(milliseconds(posted, stored)), pushed to \(names.1)'s process after \(pushed)"
    )
    step("pushed", of: names.1, took: posted.duration(to: push.at))
    return push.params
  }

  private func showLog(of agent: AgentProcess, count: Int) async -> Bool {
    guard let page = await agent.call("parley_fetch_recent", ["topic": .string(topic)]),
      let messages = page.member("messages").map({ Array($0.elements) }), messages.count == count
    else { return false }
    say("")
    say("The log of \"\(topic)\", as anyone may read it:")
    for message in messages {
      let id = message.member("backendMsgId")?.string ?? ""
      let sender = message.member("senderHandle")?.string ?? ""
      let content = message.member("content")?.string ?? ""
      say("    #\(id) \(VisibleText.visible(sender))> \(VisibleText.visible(content))")
      guard let attributes = message.member("attributes"), let outline = attributes.member("outline")?.string else {
        continue
      }
      say("       attributes: outline = \(outline)")
    }
    say("")
    return true
  }

  func say(_ text: String) { output.line(text) }

  func step(_ event: String, of who: String, took duration: Duration) {
    output.object { writer in
      writer.member("event", event)
      writer.member("agent", who)
      writer.key("microseconds")
      writer.int(duration.nanoseconds / 1000)
    }
  }

  func milliseconds(_ from: LoopInstant, _ to: LoopInstant) -> String {
    let hundredths = from.duration(to: to).nanoseconds / 10_000
    let fraction = String(hundredths % 100)
    return "\(hundredths / 100).\(String(repeating: "0", count: 2 - fraction.count))\(fraction) ms"
  }
}
