import ParleyRuntime

extension Session {
  func callTool(_ call: Call) throws(RPCError) {
    guard let name = call.name?.string else {
      throw RPCError(.invalidParams, "Invalid params: \"name\" must be a string")
    }
    guard let offered = catalog.tools[name] else { throw RPCError(.invalidParams, "Unknown tool: \(name.prefix(128))") }
    let given = call.arguments ?? .emptyObject
    guard given.kind == .object else {
      throw RPCError(.invalidParams, "Invalid params: \"arguments\" must be an object")
    }
    let hasProgress = call.givenProgressToken != nil
    guard !hasProgress || call.progressToken != nil else {
      throw RPCError(.invalidParams, "Invalid params: \"progressToken\" must be a string or an integer")
    }
    // A tool whose work is a single hand-over needs no task; unread counts that are still awaited do.
    let hasCounts = unread.hasWaited || setup.inbox.assumeIsolated { $0.isReady }
    if hasCounts, let tool = offered.replying, tool.repliesAtOnce(given) {
      return try start(call, tool, given, reportsProgress: hasProgress)
    }
    let tool = offered.tool
    try start(call) { session, serial in
      let context = session.context(for: call, serial, reportsProgress: hasProgress)
      if await session.answerWithHandle(call, serial, tool, given, in: context) { return }
      let outcome = await tool.call(given, in: context)
      await session.finishTool(call, serial, outcome)
    }
  }

  private func start(
    _ call: Call, _ tool: any ReplyingTool, _ arguments: JSONSlice, reportsProgress: Bool
  ) throws(RPCError) {
    try checkRoom()
    let serial = pending.nextSerial()
    pending.insert(call, serial: serial, .reply)
    let context = context(for: call, serial, reportsProgress: reportsProgress)
    TraceContext.during(call.trace) {
      tool.call(arguments, in: context) { [self] outcome in assumeIsolated { $0.answer(call, serial, outcome) } }
    }
  }

  /// What every call may use.
  func context(for call: Call, _ serial: UInt64, reportsProgress: Bool) -> CallContext {
    guard reportsProgress, let token = call.progressToken else { return quietContext }
    return CallContext(hub: setup.hub, inbox: setup.inbox, coordination: setup.coordination) {
      [weak self, loop] done, total, text in
      let report: @Sendable () -> Void = { [weak self] in
        self?.assumeIsolated { $0.progress(call, serial, token, done, total, text) }
      }
      if loop.isCurrent { report() } else { loop.execute(report) }
    }
  }

  private func progress(
    _ call: Call, _ serial: UInt64, _ token: RequestID, _ done: Double, _ total: Double?, _ text: String?
  ) {
    guard pending.advance(call.id, serial: serial, to: done) else { return }
    notify("notifications/progress", over: call.path) { line in
      line.key("progressToken")
      line.raw(token.slice)
      line.member("progress", done)
      if let total, total.isFinite { line.member("total", total) }
      if let text, call.revision >= .march2025 { line.member("message", text) }
    }
  }

  private func finishTool(_ call: Call, _ serial: UInt64, _ outcome: ToolOutcome) async {
    if !unread.hasWaited { await awaitUnread() }
    answer(call, serial, outcome)
  }

  private func answer(_ call: Call, _ serial: UInt64, _ outcome: ToolOutcome) {
    unread.refresh(from: setup.inbox)
    guard pending.remove(call.id, serial: serial) else { return }
    switch outcome {
    case .success(let members): answer(call, members)
    case .failure(let error): answer(call, error)
    case .content(let content): answer(call, content)
    }
    callEnded()
  }

  /// While the backend is live, the first results wait a little for the catch-up, so that they tell what is unread.
  private func awaitUnread() async {
    let health = await setup.hub.supervisor.health
    guard health.state == .live || health.state == .degraded else { return }
    _ = await setup.inbox.ready(until: loop.now.advanced(by: .seconds(2)))
    unread.hasWaited = true
  }

  /// The structured result, and the same as text for clients that know only that. Revisions that do not know a member
  /// ignore it, so that all get the same.
  private func answer(_ call: Call, _ members: [UInt8]) {
    structured.removeAll()
    structured.beginObject()
    structured.raw(trusted: members)
    structured.raw(trusted: unread.members)
    structured.endObject()
    let bytes = structured.bytes
    respond(call, meta: { [unread] in $0.raw(trusted: unread.metaMembers) }) { result in
      result.key("content")
      result.textContent(trusted: bytes)
      result.raw(trusted: #""structuredContent":"#)
      result.raw(trusted: bytes)
    }
  }

  private func answer(_ call: Call, _ content: ToolContent) {
    let meta = { [unread] (meta: inout JSONWriter) in
      if let code = content.errorCode { meta.member("parley/error", code) }
      meta.raw(trusted: unread.metaMembers)
    }
    respond(call, meta: meta) { result in
      result.key("content")
      result.textBlocks(content.blocks)
      if let structured = content.structured {
        result.key("structuredContent")
        result.raw(trusted: structured)
      }
      if content.errorCode != nil {
        result.key("isError")
        result.bool(true)
      }
    }
  }

  /// Failures carry no structured content: clients check that against the output schema.
  private func answer(_ call: Call, _ error: HubError) {
    let meta = { [unread] (meta: inout JSONWriter) in
      meta.member("parley/error", error.code)
      meta.raw(trusted: unread.metaMembers)
    }
    respond(call, meta: meta) { result in
      result.key("content")
      result.textContent(error.description)
      result.key("isError")
      result.bool(true)
    }
  }
}

extension JSONWriter {
  /// Writes an array of one text block.
  mutating func textContent(_ text: String) {
    textContent { $0.string(text) }
  }

  /// Writes an array of one text block, whose text is known to be valid UTF-8.
  mutating func textContent(trusted text: [UInt8]) {
    textContent { $0.string(trusted: text) }
  }

  /// Writes an array of text blocks.
  mutating func textBlocks(_ texts: [String]) {
    beginArray()
    for text in texts { textBlock { $0.string(text) } }
    endArray()
  }

  private mutating func textContent(_ text: (inout JSONWriter) -> Void) {
    beginArray()
    textBlock(text)
    endArray()
  }

  private mutating func textBlock(_ text: (inout JSONWriter) -> Void) {
    raw(trusted: #"{"type":"text","text":"#)
    text(&self)
    endObject()
  }
}
