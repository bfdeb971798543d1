import ParleyCoordination
import ParleyRuntime

extension Call {
  /// The client understands a handle instead of an answer: it says so with every request.
  var takesTaskHandles: Bool {
    let capabilities = isModern ? param("_meta")?.member(MetaKey.clientCapabilities) : nil
    return capabilities?.member("extensions")?.member(TaskHandle.extensionName)?.kind == .object
  }
}

extension Session {
  /// Answers a `parley_wait` for tasks with a handle; false where it is to be answered as any call: all are over, the
  /// caller said how long it waits, or something is wrong with it.
  func answerWithHandle(
    _ call: Call, _ serial: UInt64, _ tool: any Tool, _ arguments: JSONSlice, in context: CallContext
  ) async -> Bool {
    guard call.takesTaskHandles, let tool = tool as? WaitTool, let state = await tool.handle(arguments, in: context)
    else { return false }
    guard pending.remove(call.id, serial: serial) else { return true }
    let bytes = setup.limits.resultBytes
    respond(call, resultType: "task") { state.write(into: &$0, bytes: bytes) }
    callEnded()
    return true
  }

  /// `tasks/get`: how far it has come, with the answer where there is one.
  func getTask(_ call: Call) throws(RPCError) {
    let bytes = setup.limits.resultBytes
    try withHandle(call) { state, result in state.write(into: &result, bytes: bytes) }
  }

  /// `tasks/update` and `tasks/cancel`: nothing is ever asked of the client, and nothing runs that could be stopped.
  func acknowledgeTask(_ call: Call) throws(RPCError) { try withHandle(call) { _, _ in } }

  /// Looks at the tasks of the handle that the params name.
  private func withHandle(
    _ call: Call, _ write: @escaping @Sendable (TaskHandleState, inout JSONWriter) -> Void
  ) throws(RPCError) {
    guard call.takesTaskHandles else { throw .missingExtension(TaskHandle.extensionName) }
    guard let handle = call.param("taskId")?.string.flatMap(TaskHandle.init) else {
      throw RPCError(.invalidParams, "Invalid params: \"taskId\" names no task")
    }
    try start(call) { session, serial in
      let context = session.context(for: call, serial, reportsProgress: false)
      do throws(HubError) {
        let state = try await WaitTool.state(of: handle, in: context)
        session.finish(call, serial) { write(state, &$0) }
      } catch {
        session.finish(call, serial, RPCError(error))
      }
    }
  }
}

// MARK: Notifications

extension Session {
  /// The handles that a listener names, at most as many as it may have; what is none is left out.
  func taskHandles(_ wished: JSONSlice?, _ call: Call) throws(RPCError) -> [TaskHandle] {
    guard let wished else { return [] }
    guard call.takesTaskHandles else { throw .missingExtension(TaskHandle.extensionName) }
    guard wished.kind == .array else {
      throw RPCError(.invalidParams, "Invalid params: \"taskIds\" must be an array")
    }
    var seen: Set<TaskHandle> = []
    let handles = wished.elements.compactMap(\.string).compactMap(TaskHandle.init).filter { seen.insert($0).inserted }
    guard handles.count <= TaskHandle.watchLimit else {
      throw RPCError(.invalidParams, "Too many tasks: at most \(TaskHandle.watchLimit) in one request")
    }
    return handles
  }

  /// Acknowledges those that there are, and tells each as `tasks/get` has it: as it is now, and whenever that changed,
  /// until it is over.
  func watch(_ call: Call, _ handles: [TaskHandle], besides uris: [String]) async {
    var open: [TaskHandle] = []
    for handle in handles where await state(of: handle) != nil { open.append(handle) }
    guard !Task.isCancelled else { return }
    acknowledge(call, uris, open)
    let tasks = setup.coordination.tasks
    var told: [TaskHandle: [UInt8]] = [:]
    while !open.isEmpty {
      // Taken first, so that no change falls between the look and the wait.
      let ticket = await tasks.ticket()
      var remaining: [TaskHandle] = []
      var expiry = Int64.max
      for handle in open {
        guard let state = await state(of: handle), !Task.isCancelled else { continue }
        let text = state.text(bytes: setup.limits.resultBytes)
        if told.updateValue(text, forKey: handle) != text { tell(text, call) }
        guard !state.areOver else { continue }
        remaining.append(handle)
        expiry = min(expiry, state.nextExpiry)
      }
      open = remaining
      guard !open.isEmpty, await tasks.change(ticket, within: .milliseconds(expiry)) else {
        return await tasks.forget(ticket)
      }
    }
  }

  private func state(of handle: TaskHandle) async -> TaskHandleState? {
    do throws(HubError) { return try await WaitTool.state(of: handle, in: quietContext) } catch { return nil }
  }

  private func tell(_ members: [UInt8], _ call: Call) {
    notify("notifications/tasks", over: call.path) { line in
      line.raw(trusted: members)
      line.subscriptionMeta(call.id)
    }
  }
}

extension RPCError {
  /// The request needs an extension that the client did not declare with it.
  static func missingExtension(_ name: String) -> RPCError {
    var data = JSONWriter()
    data.key("requiredCapabilities")
    data.beginObject()
    data.key("extensions")
    data.beginObject()
    data.key(name)
    data.beginObject()
    data.endObject()
    data.endObject()
    data.endObject()
    return RPCError(.missingCapability, "Missing required client capability", data: data.bytes)
  }
}
